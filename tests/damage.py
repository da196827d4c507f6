"""Damages that files suffer, drawn at random: of bytes, of JSON documents, of safetensors files, and of folders."""

import contextlib
import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

from hwsim.errors import LamforgeError

__all__ = ["NONE", "VALUES", "damage_bytes", "damage_entry", "damage_file", "damage_folder", "damage_json", "damage_safetensors"]

NONE = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RecursionError, TypeError, ValueError, struct.error)
"""What reading raises that trusts a file."""
VALUES = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "2",
        "3",
        "7",
        "64",
        "96",
        "65536",
        "1.5",
        "-0.0",
        "1e308",
        "1e-320",
        "1e400",
        "-1e400",
    ),
    *("NaN", "Infinity", "-Infinity", "2147483647", "4294967296", "9223372036854775807", "18446744073709551616", "9" * 30),
    *("9" * 400, "9" * 4299, "9" * 5000, '""', '"x"', f'"{"x" * 5000}"', '"\\ud800"', '"\\u0000"', '"../../x"', '"\\n"', '"é"'),
    *("[]", "{}", "[null]", "[1, 2]", "[[[]]]", '{"a": 1}', '["a", "b"]', '[{"a": null}]', '"64"', '"yarn"', '"<|end|>"'),
    *("[" * 100_000, "[" * 900 + "]" * 900, '{"a": ' * 100_000, '{"a": ' * 900 + "1" + "}" * 900, "[1]" * 2, "\\", "'a'"),
)
"""JSON, and what is none, that stands in for a value."""
_SIZES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_DTYPES = ("BOOL", "U8", "I8", "I16", "F16", "BF16", "I32", "F32", "I64", "F64", "F8_E4M3", "U16", "C64", "", "f32")
_NUMBERS = (float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 65504.0, 1e-45, 0.0)
_MARK = "\ue000"
"""A letter of the private area, which no file of the tests has: it stands where a raw value goes."""


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with something flipped, lost, doubled, emptied or put in."""
    place, size = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 64, 4096))
    # What comes first decides what the rest means.
    place = rng.choice((place, min(place, rng.randrange(64)), min(place, rng.randrange(4096))))
    kind = rng.randrange(9)
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + data[place + size :]
    if kind == 2:
        return data[:place] + rng.randbytes(size) + data[place:]
    if kind == 3:
        return data[:place] + bytes(size) + data[place + size :]
    if kind == 4:
        return data[:place] + data[max(0, place - size) :]
    if kind == 5:
        return data + rng.choice((b"\0", b"\n", b"x" * size, data))
    if kind == 6:
        number = rng.choice(_SIZES)
        form = rng.choice([form for form in ("<B", "<H", "<I", "<Q") if number < 1 << 8 * struct.calcsize(form)])
        return data[:place] + struct.pack(form, number) + data[place + struct.calcsize(form) :]
    if kind == 7:
        return rng.choice((b"", b"\xef\xbb\xbf" + data, b"\xff\xfe" + data, b"\0" * len(data), data[::-1]))
    flipped = bytearray(data)
    for _ in range(size if data else 0):
        where = rng.choice((place % len(data), rng.randrange(len(data))))
        flipped[where] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def damage_json(data: bytes, rng: random.Random) -> bytes:
    """Return a JSON document with an entry replaced, lost, doubled, renamed or moved, or with damaged bytes."""
    if rng.random() < 0.15:
        return damage_bytes(data, rng)
    document = json.loads(data)
    holder, key = _place(document, rng)
    if holder is None:
        return rng.choice(VALUES).encode("utf-8", "surrogatepass")
    kind, raw = rng.randrange(12), rng.choice(VALUES)
    if kind < 6:
        holder[key] = _MARK
    elif kind == 6:
        del holder[key]
    elif kind == 7 and isinstance(holder, dict):
        holder[rng.choice((f"{key}_", str(key).upper(), "", "x" * 5000, "\0", "extra"))] = holder.pop(key)
    elif kind == 8 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = holder[key] * rng.choice((2, 3, 1024)) // rng.choice((1, 2, 8)) + rng.choice((0, 0, 1, -1))
    elif kind == 9:
        other, place = _place(document, rng)
        if other is not None:
            holder[key], other[place] = other[place], holder[key]
            # Unless one was inside of the other.
            try:
                json.dumps(document)
            except (ValueError, RecursionError):
                return damage_bytes(data, rng)
    elif kind == 10:
        holder[key] = rng.choice(([holder[key]], {"a": holder[key]}, str(holder[key])))
    else:
        text = json.dumps(document, ensure_ascii=False)
        name = json.dumps(str(key)) if isinstance(holder, dict) else '"architectures"'
        return rng.choice((f"{{{name}: {raw}, {text[1:]}", f"{text[:-1]}, {name}: {raw}}}")).encode("utf-8", "surrogatepass")
    return json.dumps(document, ensure_ascii=False).replace(f'"{_MARK}"', raw).encode("utf-8", "surrogatepass")


def _place(document, rng: random.Random):
    """Return a list or a mapping somewhere in a document, and a key of it; None where there is none."""
    holder, key = None, None
    inner = document
    while isinstance(inner, dict | list) and inner and (holder is None or rng.random() < 0.6):
        holder, key = inner, rng.choice(list(inner)) if isinstance(inner, dict) else rng.randrange(len(inner))
        inner = holder[key]
    return holder, key


def damage_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Return a safetensors file whose header says something else of a tensor, or with damaged bytes or values."""
    kind = rng.randrange(10)
    if kind == 0:
        return damage_bytes(data, rng)
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if kind == 1:
        return rng.choice((*_SIZES, length + 1, length - 1, length + 8, len(data))).to_bytes(8, "little") + data[8:]
    if kind == 2:
        return _safetensors(damage_json(data[8 : 8 + length], rng), body)
    names = [name for name in header if name != "__metadata__"]
    name = rng.choice(names)
    entry = header[name]
    if kind == 3:
        entry["dtype"] = rng.choice(_DTYPES)
    elif kind == 4:
        where = rng.randrange(len(entry["shape"]) + 1)
        entry["shape"] = rng.choice(
            (
                entry["shape"][::-1],
                [],
                [*entry["shape"], 1],
                [
                    *entry["shape"][:where],
                    rng.choice((0, 1, -1, 1 << 32, 1 << 63, 1 << 64, 1.5, None, "4")),
                    *entry["shape"][where + 1 :],
                ],
            )
        )
    elif kind == 5:
        begin, end = entry["data_offsets"]
        other = header[rng.choice(names)]["data_offsets"]
        entry["data_offsets"] = rng.choice(
            (
                [begin, end + 1],
                [begin + 4, end + 4],
                [end, begin],
                [0, 0],
                [-4, end],
                other,
                [begin, 1 << 63],
                [begin],
                [len(body)] * 2,
                "x",
            )
        )
    elif kind == 6:
        # A tensor whose bytes agree with what is said of it, and which is another.
        begin, end = entry["data_offsets"]
        return _rebuilt(header, body, name, rng.choice((begin, begin, end)), end, rng)
    elif kind == 7:
        begin, end = entry["data_offsets"]
        form = {"F32": "<f", "F16": "<e", "F64": "<d"}.get(entry["dtype"])
        value = rng.randbytes(8) if form is None else _packed(form, rng.choice(_NUMBERS))
        place = begin + len(value) * rng.randrange(max(1, (end - begin) // len(value)))
        body = body[:place] + value + body[place + len(value) :]
    elif kind == 8:
        header[rng.choice(("extra", f"{name}_", name.upper(), "model.layers.9.mlp.up_proj.weight", ""))] = header.pop(name)
    else:
        header["__metadata__"] = json.loads(rng.choice(('{"format": "pt"}', '{"a": 1}', "[]", "null", '{"format": "\\ud800"}')))
    return _safetensors(json.dumps(header).encode(), body)


def _packed(form: str, value: float) -> bytes:
    try:
        return struct.pack(form, value)
    except OverflowError:
        return struct.pack(form, float("inf"))


def _rebuilt(header, body: bytes, name: str, start: int, end: int, rng: random.Random) -> bytes:
    """Return a file that is in order and whose tensor `name` is another: of another type or shape, or empty."""
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I32": 4, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1, "U16": 2}
    dtype = rng.choice([*sizes])
    shape = list(header[name]["shape"])
    if shape and rng.random() < 0.5:
        shape[rng.randrange(len(shape))] = rng.choice((0, 1, 2, 48, 63, 65, 96))
    count = sizes[dtype]
    for size in shape:
        count *= size
    data = body[start:end][:count].ljust(count, b"\x3c")
    parts, at = [], 0
    for each in sorted((each for each in header if each != "__metadata__"), key=lambda each: header[each]["data_offsets"]):
        begin, stop = header[each]["data_offsets"]
        part = data if each == name else body[begin:stop]
        header[each] |= {"data_offsets": [at, at + len(part)]} | ({"dtype": dtype, "shape": shape} if each == name else {})
        parts.append(part)
        at += len(part)
    return _safetensors(json.dumps(header).encode(), b"".join(parts))


def _safetensors(header: bytes, body: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def damage_file(path: Path, rng: random.Random) -> None:
    """Damage the content of a file as files of its kind are damaged."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        path.write_bytes(damage_safetensors(data, rng))
    elif path.suffix == ".json":
        path.write_bytes(damage_json(data, rng))
    else:
        path.write_bytes(damage_bytes(data, rng))


def damage_entry(path: Path, rng: random.Random) -> None:
    """Put something else where a file was in a folder: nothing, a folder, a pipe, a link, or another file's content."""
    others = sorted(other for other in path.parent.iterdir() if other.is_file())
    kind = rng.randrange(10)
    if kind == 0:
        path.write_bytes(rng.choice(others).read_bytes())
        return
    if kind == 1:
        path.rename(path.with_name(rng.choice((f"{path.name}.bak", path.name.upper(), f"x{path.name}"))))
        return
    path.unlink()
    if kind == 2:
        path.mkdir()
    elif kind == 3:
        path.mkdir()
        (path / "inside").write_bytes(b"x")
    elif kind == 4:
        os.mkfifo(path)
    elif kind == 5:
        path.symlink_to(rng.choice(("nowhere", path.name, "/dev/zero", "/dev/null", "/proc/self/mem", "..")))
    elif kind == 6:
        path.symlink_to(rng.choice(others).name)
    elif kind == 7:
        path.touch()
    elif kind == 8:
        shutil.copyfile("/proc/self/status", path)


def damage_folder(
    folder: Path,
    drawn: Callable[[], str],
    rng: random.Random,
    *,
    share_of_entries: float,
    damage: Callable[[Path, random.Random], None] = damage_file,
) -> str:
    """Damage one or two files of a folder, whose names are drawn; return which.

    share_of_entries: how often it is not what the file holds, but that it is a file.
    """
    told = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        name = drawn()
        path = folder / name
        told.append(name)
        if not path.is_file() or path.is_symlink():
            continue
        if rng.random() < share_of_entries:
            damage_entry(path, rng)
            continue
        # Damaged before, it may be no file of its kind.
        with contextlib.suppress(LamforgeError, *NONE):
            damage(path, rng)
    return ", ".join(told)
