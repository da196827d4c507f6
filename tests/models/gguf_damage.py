"""Damages of GGUF files: their header is taken apart, one of its parts changed, and written again."""

import random
import struct

from tests.damage import damage_bytes

__all__ = ["damage_gguf"]

_FORMS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
_INTEGERS = (0, 1, 2, 3, 4, 7, 31, 32, 33, 63, 64, 128, 255, 65535, 65536, 1 << 20, (1 << 31) - 1, (1 << 32) - 1)
_LARGE = (1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-5, 0.1, 10.0, 1e4, 3e38, float("nan"), float("inf"), float("-inf"))
_TEXTS = (
    b"",
    b"llama",
    b"qwen2",
    b"qwen3",
    b"gpt2",
    b"llama-bpe",
    b"yarn",
    b"linear",
    b"none",
    b"\xff\xfe",
    b"x" * 5000,
    b"\0",
    b"model",
)


class _Cursor:
    """A place in a header that moves on with what is read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, form: str):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self) -> bytes:
        size = self.number("<Q")
        self.at += size
        return self.data[self.at - size : self.at]

    def value(self, kind: int):
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.number("<I"), self.number("<Q")
            return [inner, [self.value(inner) for _ in range(count)]]
        return self.number(_FORMS[kind])


def _text(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value) -> bytes:
    if kind == _TEXT:
        return _text(value)
    if kind == _ARRAY:
        inner, values = value
        return struct.pack("<IQ", inner, len(values)) + b"".join(_value(inner, each) for each in values)
    return struct.pack(_FORMS[kind], value)


def _drawn(rng: random.Random) -> tuple[int, object]:
    """Return a type and a value of it."""
    kind = rng.choice((*_FORMS, _TEXT, _TEXT, _ARRAY, 4, 4, 6, 6))
    if kind == _TEXT:
        return kind, rng.choice(_TEXTS)
    if kind == _ARRAY:
        inner, value = _drawn(rng)
        if inner == _ARRAY:
            inner, value = 4, 1
        return kind, [inner, [value] * rng.choice((0, 1, 2, 400))]
    if kind in (6, 12):
        return kind, rng.choice(_FLOATS)
    if kind == 7:
        return kind, rng.random() < 0.5
    bits = 8 * struct.calcsize(_FORMS[kind])
    number = rng.choice([each for each in (*_INTEGERS, *_LARGE) if each < 1 << bits])
    is_signed = _FORMS[kind][1].islower()
    return kind, number - (1 << bits) if is_signed and number >= 1 << (bits - 1) else number


def damage_gguf(data: bytes, rng: random.Random) -> bytes:
    """Return a GGUF file with a metadata entry or a tensor's entry that is another, or with damaged bytes."""
    kind = rng.randrange(12)
    if kind == 0:
        return damage_bytes(data, rng)
    cursor = _Cursor(data)
    cursor.at = 4
    version, tensor_count, entry_count = cursor.number("<I"), cursor.number("<Q"), cursor.number("<Q")
    entries = []
    for _ in range(entry_count):
        key, form = cursor.text(), cursor.number("<I")
        entries.append([key, form, cursor.value(form)])
    tensors = []
    for _ in range(tensor_count):
        name, count = cursor.text(), cursor.number("<I")
        dimensions = [cursor.number("<Q") for _ in range(count)]
        tensors.append([name, dimensions, cursor.number("<I"), cursor.number("<Q")])
    body = data[-(-cursor.at // 32) * 32 :]
    entry, tensor = rng.choice(entries), rng.choice(tensors)
    if kind == 1:
        # A number anywhere in the header.
        place, form = rng.randrange(4, cursor.at), rng.choice(("<I", "<Q"))
        number = rng.choice(_INTEGERS if form == "<I" else _LARGE)
        return data[:place] + struct.pack(form, number) + data[place + struct.calcsize(form) :]
    if kind == 2:
        entries.remove(entry)
    elif kind == 3:
        entries.insert(rng.randrange(len(entries) + 1), [entry[0], *_drawn(rng)] if rng.random() < 0.5 else entry)
    elif kind == 4:
        entry[0] = rng.choice((entry[0] + b"_", b"", b"llama.expert_count", b"general.alignment", b"split.count", b"\xff"))
    elif kind in (5, 6, 7, 8):
        _change_value(entry, rng)
    elif kind == 9:
        where = rng.randrange(len(tensor[1]))
        tensor[1] = rng.choice((tensor[1][::-1], [*tensor[1], 1], [], [*tensor[1][:where], rng.choice(_INTEGERS + _LARGE)]))
    elif kind == 10:
        tensor[2] = rng.choice((0, 1, 2, 3, 6, 8, 12, 14, 24, 28, 30, 31, 39, 1 << 31))
    else:
        other = rng.choice(tensors)
        place = rng.randrange(3)
        if place == 0:
            tensor[3] = rng.choice((*_INTEGERS, *_LARGE, other[3], len(body)))
        elif place == 1:
            tensor[0] = rng.choice((other[0], b"", b"blk.9.attn_q.weight", b"rope_freqs.weight", b"output.weight", b"\xff" * 70))
        else:
            tensors.remove(tensor)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    head += b"".join(_text(key) + struct.pack("<I", form) + _value(form, value) for key, form, value in entries)
    for name, dimensions, form, offset in tensors:
        head += _text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, form, offset)
    return head + bytes(-len(head) % 32) + body


def _change_value(entry, rng: random.Random) -> None:
    """Replace a value, or one of a list of values, by one of any type or of its own."""
    if entry[1] == _ARRAY and rng.random() < 0.7:
        inner, values = entry[2]
        where = rng.randrange(len(values))
        change = rng.randrange(4)
        if change == 0:
            del values[where]
        elif change == 1:
            values.append(values[where])
        elif change == 2:
            values.clear()
        else:
            drawn = [value for form, value in (_drawn(rng) for _ in range(40)) if form == inner]
            values[where] = drawn[0] if drawn else values[0]
        return
    same = [found for found in (_drawn(rng) for _ in range(30)) if found[0] == entry[1]]
    entry[1:] = rng.choice((_drawn(rng), same[0] if same else _drawn(rng)))
