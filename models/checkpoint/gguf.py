"""GGUF checkpoints: a header read without trusting its bytes, tensor names, quantized blocks and the order of rotary pairs."""

import functools
import math
import mmap
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from hwsim.errors import CheckpointError, cut, shown
from models.checkpoint.base import AffineBlocks, Checkpoint, Weights, check_names
from models.checkpoint.gguf_metadata import configuration, end_tokens, is_interleaved
from models.checkpoint.gguf_tokenizer import read_tokenizer, why_none
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, HEAD, block
from models.config import ModelConfig
from models.families import has_file

__all__ = ["load"]

_PARTS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

_TOPS = {"token_embd": EMBEDDING, "output_norm": FINAL_NORM, "output": HEAD}

_PART = re.compile(r"-([0-9]{5})-of-([0-9]{5})$")
"""How the name of a part ends: which it is, from 1, and of how many."""

_Q4_1_BYTES = 20

# Ref: the GGUF specification, versions 2 and 3, little endian.
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
_DEFAULT_ALIGNMENT = 32
# No published model needs more; a larger count is a damaged or hostile file.
_MOST_ENTRIES = 1 << 16
_MOST_ELEMENTS = 1 << 24
_MOST_DIMENSIONS = 4


def load(path: Path, name: str | None = None) -> Checkpoint:
    """Return the checkpoint in the GGUF file `path`; CheckpointError says what is wrong with it.

    name: the model's name; None takes the file's.
    """
    parts = _parts(path)
    metadata, tensors = parts[0].metadata, _merged(parts)
    has_pairs = is_interleaved(metadata)
    if "rope_freqs.weight" in tensors:
        raise CheckpointError(
            "GGUF file must not carry rope_freqs.weight, a table of stretched frequencies: "
            "load the model's Hugging Face folder instead"
        )
    if "token_embd.weight" not in tensors:
        raise CheckpointError(f"Checkpoint must hold the tensor {EMBEDDING}.weight, which is missing")
    config = configuration(
        metadata, name or _PART.sub("", path.stem), vocab=tensors["token_embd.weight"].shape[0], has_head="output.weight" in tensors
    )
    store = _GgufStore(tensors, config, has_pairs)
    check_names(config, store.shapes())
    return Checkpoint(
        config=config,
        weights=Weights(config, store),
        tokenizer=read_tokenizer(metadata, end_tokens(metadata)),
        why_no_tokenizer=why_none(metadata),
        source=str(path),
        files=tuple(part.path for part in parts),
    )


def _parts(path: Path) -> list["_File"]:
    """Return the headers of the files that a checkpoint is split into, `path` the first of them."""
    first = _read_header(path)
    count = first.count("split.count", 1)
    if count <= 1:
        return [first]
    match = _PART.search(path.stem)
    if match is None or int(match[1]) != 1 or int(match[2]) != count or first.count("split.no", 0) != 0:
        raise CheckpointError(
            f"File {path.name} must be the first of the {count} files of its checkpoint, NAME-00001-of-{count:05d}.gguf, "
            f"not number {first.count('split.no', 0) + 1}"
        )
    parts = [first]
    for number in range(1, count):
        other = path.with_name(f"{_PART.sub('', path.stem)}-{number + 1:05d}-of-{count:05d}{path.suffix}")
        if not has_file(other):
            raise CheckpointError(f"Folder {path.resolve().parent.name} must hold {other.name}, a part of {path.name}")
        parts.append(_read_header(other))
        place = (parts[-1].count("split.no", 0), parts[-1].count("split.count", 1))
        if place != (number, count):
            raise CheckpointError(f"File {other.name} must be part {number + 1} of {count}, not {place[0] + 1} of {place[1]}")
    return parts


def _merged(parts: Sequence["_File"]) -> dict[str, "_Tensor"]:
    """Return the tensors of all parts; a part may hold none, but two hold none alike."""
    tensors: dict[str, _Tensor] = {}
    for part in parts:
        for name in part.tensors:
            if name in tensors:
                raise CheckpointError(
                    f"File {part.path.name} must hold tensors of its own, not {shown(name)}, which is in another part"
                )
        tensors.update(part.tensors)
    promised = parts[0].count("split.tensors.count", len(tensors))
    if promised != len(tensors):
        raise CheckpointError(f"File {parts[0].path.name} must have {promised} tensors with its other parts, not {len(tensors)}")
    return tensors


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    """Where a tensor lies.

    shape: outputs first, as PyTorch orders a weight.
    kind: storage format.
    path: the file.
    start, stop: bytes in the file.
    """

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    path: Path
    start: int
    stop: int

    def blocks(self) -> numpy.ndarray:
        """Return the stored bytes, uint8 [rows, bytes per row], mapped from the file."""
        mapped = numpy.memmap(self.path, mode="r", offset=self.start, shape=(self.stop - self.start,))
        return numpy.asarray(mapped).reshape(*self.shape[:-1], -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _File:
    """A GGUF file whose header has been read.

    metadata: values by key.
    tensors: places by GGUF name.
    path: the file.
    """

    metadata: Mapping[str, object]
    tensors: Mapping[str, _Tensor]
    path: Path

    def count(self, key: str, default: int) -> int:
        """Return the whole number at `key`, or `default` where there is none; CheckpointError where it is another value."""
        value = self.metadata.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_ENTRIES:
            raise CheckpointError(f"GGUF {key} must be a whole number, not {shown(value)}")
        return value


class _GgufStore:
    """Tensors of a GGUF checkpoint under Hugging Face names, mapped into memory and dequantized when read."""

    def __init__(self, tensors: Mapping[str, _Tensor], config: ModelConfig, is_interleaved: bool) -> None:
        self._tensors = {_huggingface_name(name): tensor for name, tensor in tensors.items()}
        self._config = config
        self._is_interleaved = is_interleaved

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self._tensors.items()}

    def read(self, name: str) -> torch.Tensor:
        values = dequantize(self._tensors[name].blocks(), self._tensors[name].kind)
        weight = torch.from_numpy(numpy.array(values, dtype=numpy.float32))
        order = self._row_order(name, len(weight))
        return weight if order is None else weight[order]

    def read_blocks(self, name: str) -> AffineBlocks | None:
        if self._tensors[name].kind != GGMLQuantizationType.Q4_1:
            return None
        blocks = _from_q4_1(self._tensors[name].blocks())
        order = self._row_order(name, len(blocks.codes))
        return blocks if order is None else blocks.rows(order)

    def _row_order(self, name: str, rows: int) -> torch.Tensor | None:
        """Return which stored row is each row of the tensor, or None where they agree."""
        if not self._is_interleaved or not (".q_proj." in name or ".k_proj." in name):
            return None
        heads = self._config.heads if ".q_proj." in name else self._config.kv_heads
        # Stored pairs (0, n, 1, n + 1, ...) become halves (0, 1, ..., n, n + 1, ...).
        return torch.arange(rows).view(heads, -1, 2).swapaxes(1, 2).flatten()


def _from_q4_1(stored: numpy.ndarray) -> AffineBlocks:
    """Return the integers of Q4_1 data.

    stored: uint8 [outputs, bytes per row]; 20 bytes a block: scale and minimum as float16, then 16 bytes of
        which the low halves are inputs 0 to 15 and the high halves inputs 16 to 31. Ref: GGUF, GGML_TYPE_Q4_1.
    """
    blocks = stored.reshape(len(stored), -1, _Q4_1_BYTES)
    halves = numpy.ascontiguousarray(blocks[..., :4]).view(numpy.float16).astype(numpy.float32)
    packed = blocks[..., 4:]
    codes = numpy.concatenate([packed & 15, packed >> 4], axis=-1).reshape(len(stored), -1)
    return AffineBlocks(
        codes=torch.from_numpy(codes),
        scales=torch.from_numpy(halves[..., 0].copy()),
        minima=torch.from_numpy(halves[..., 1].copy()),
    )


def _huggingface_name(name: str) -> str:
    parts = name.split(".")
    if len(parts) == 2 and parts[0] in _TOPS:
        return f"{_TOPS[parts[0]]}.{parts[1]}"
    if len(parts) == 4 and parts[0] == "blk" and parts[1].isdecimal() and parts[2] in _PARTS:
        return f"{block(int(parts[1]), _PARTS[parts[2]])}.{parts[3]}"
    return name


def _read_header(path: Path) -> _File:
    """Return the metadata and the tensors' places; CheckpointError when the file is not a complete GGUF file."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(path, content).read()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"File {path.name} must be a complete GGUF file, but: {cut(error)}") from None


def _check_kinds(path: Path, numbers: Mapping[str, int]) -> None:
    """Refuse a file with tensors of types that cannot be read, all of them in one sentence; `numbers` has each tensor's type."""
    by_kind: dict[int, list[str]] = {}
    for name, number in numbers.items():
        if not _is_readable(number):
            by_kind.setdefault(number, []).append(name)
    if not by_kind:
        return
    names = {kind.value: kind.name for kind in GGMLQuantizationType}
    found = " and ".join(
        f"{len(held)} of type {names.get(number, number)} ({shown(held[0])}{' and others' if len(held) > 1 else ''})"
        for number, held in sorted(by_kind.items())
    )
    readable = ", ".join(sorted(kind.name for kind in GGML_QUANT_SIZES if _is_readable(kind.value)))
    raise CheckpointError(f"File {path.name} must hold tensors of types that can be read ({readable}) alone, not {found}")


@functools.cache
def _is_readable(number: int) -> bool:
    """Return whether blocks of a type can be dequantized, of which the gguf package knows some by name alone."""
    kind = next((kind for kind in GGML_QUANT_SIZES if kind.value == number), None)
    if kind is None:
        return False
    try:
        dequantize(numpy.zeros((1, GGML_QUANT_SIZES[kind][1]), numpy.uint8), kind)
    except NotImplementedError:
        return False
    return True


class _Reader:
    """A position in the header that moves on with every value read."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self._path = path
        self._content = content
        self._size = len(content)
        self._at = 0

    def read(self) -> _File:
        if self._take(4) != _MAGIC:
            raise self._refusal("its first four bytes are not GGUF")
        version = self._integer("<I")
        if version not in _VERSIONS:
            raise self._refusal(f"its version is {version}, where 2 and 3 are known")
        tensor_count = self._count("<Q", _MOST_ENTRIES, "tensors")
        entry_count = self._count("<Q", _MOST_ENTRIES, "metadata entries")
        metadata: dict[str, object] = {}
        for _ in range(entry_count):
            key = self._text()
            if key in metadata:
                raise self._refusal(f"the metadata entry {shown(key)} appears twice")
            metadata[key] = self._value(self._integer("<I"))
        entries = [self._tensor_entry() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if isinstance(alignment, bool) or not isinstance(alignment, int) or alignment < 1:
            raise self._refusal(f"its alignment is {shown(alignment)}")
        start = -(-self._at // alignment) * alignment
        _check_kinds(self._path, {name: number for name, _, number, _ in entries})
        tensors: dict[str, _Tensor] = {}
        for name, shape, kind, offset in entries:
            if name in tensors:
                raise self._refusal(f"the tensor {shown(name)} appears twice")
            tensors[name] = self._place(name, shape, kind, start + offset)
        return _File(metadata=metadata, tensors=tensors, path=self._path)

    def _tensor_entry(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._text()
        dimensions = self._count("<I", _MOST_DIMENSIONS, f"dimensions of {shown(name)}")
        sizes = [self._integer("<Q") for _ in range(dimensions)]
        return name, tuple(reversed(sizes)), self._integer("<I"), self._integer("<Q")

    def _place(self, name: str, shape: tuple[int, ...], number: int, start: int) -> _Tensor:
        kind = GGMLQuantizationType(number)
        block_values, block_bytes = GGML_QUANT_SIZES[kind]
        if not shape or min(shape) < 1 or shape[-1] % block_values:
            raise self._refusal(f"the tensor {shown(name)} of shape {shape} does not fall into blocks of {block_values}")
        stop = start + math.prod(shape) // block_values * block_bytes
        if stop > self._size:
            raise self._refusal(f"the tensor {shown(name)} ends at byte {stop} of {self._size}")
        return _Tensor(shape=shape, kind=kind, path=self._path, start=start, stop=stop)

    def _value(self, kind: int) -> object:
        if kind in _SCALARS:
            return self._scalar(_SCALARS[kind])
        if kind == _TEXT:
            return self._text()
        if kind != _ARRAY:
            raise self._refusal(f"a metadata value is of unknown type {kind}")
        element = self._integer("<I")
        count = self._count("<Q", _MOST_ELEMENTS, "array elements")
        if element == _TEXT:
            return [self._text() for _ in range(count)]
        if element not in _SCALARS:
            raise self._refusal(f"a metadata array is of unknown type {element}")
        form = f"<{count}{_SCALARS[element][1]}"
        return list(struct.unpack(form, self._take(struct.calcsize(form))))

    def _text(self) -> str:
        return self._take(self._integer("<Q")).decode("utf-8", errors="replace")

    def _scalar(self, form: str) -> object:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _integer(self, form: str) -> int:
        return int.from_bytes(self._take(struct.calcsize(form)), "little")

    def _count(self, form: str, most: int, subject: str) -> int:
        count = self._integer(form)
        if count > most:
            raise self._refusal(f"it promises {count} {subject}")
        return count

    def _take(self, size: int) -> bytes:
        if size > self._size - self._at:
            raise self._refusal(f"it ends at byte {self._size} inside its header")
        taken = self._content[self._at : self._at + size]
        self._at += size
        return taken

    def _refusal(self, reason: str) -> CheckpointError:
        return CheckpointError(f"File {self._path.name} must be a complete GGUF file, but {reason}")
