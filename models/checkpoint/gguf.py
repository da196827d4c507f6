"""GGUF checkpoints: a header read without trusting its bytes, tensor names, quantized blocks and the order of rotary pairs."""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.checkpoint.base import AffineBlocks, Checkpoint, Weights, check_names
from models.checkpoint.gguf_tokenizer import read_tokenizer, why_none
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, HEAD, block
from models.config import ModelConfig, RopeScaling

__all__ = ["load"]

# GGUF architecture, the architecture it is read as, and whether its query and key rows are interleaved.
_ARCHITECTURES = {"llama": ("LlamaForCausalLM", True), "qwen2": ("Qwen2ForCausalLM", False)}

_PARTS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

_TOPS = {"token_embd": EMBEDDING, "output_norm": FINAL_NORM, "output": HEAD}

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
    file = _read_header(path)
    config, is_interleaved = _config(file, name or path.stem)
    store = _GgufStore(file, config, is_interleaved)
    check_names(config, store.shapes())
    return Checkpoint(
        config=config,
        weights=Weights(config, store),
        tokenizer=read_tokenizer(file.metadata),
        why_no_tokenizer=why_none(file.metadata),
        source=str(path),
        files=(path,),
    )


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    """Where a tensor lies.

    shape: outputs first, as PyTorch orders a weight.
    kind: storage format.
    start, stop: bytes in the file.
    """

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int
    stop: int


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

    def blocks(self, name: str) -> numpy.ndarray:
        """Return the stored bytes of a tensor, uint8 [rows, bytes per row], mapped from the file."""
        tensor = self.tensors[name]
        mapped = numpy.memmap(self.path, mode="r", offset=tensor.start, shape=(tensor.stop - tensor.start,))
        return numpy.asarray(mapped).reshape(*tensor.shape[:-1], -1)


class _GgufStore:
    """Tensors of one GGUF file under Hugging Face names, mapped into memory and dequantized when read."""

    def __init__(self, file: _File, config: ModelConfig, is_interleaved: bool) -> None:
        self._file = file
        self._config = config
        self._is_interleaved = is_interleaved
        self._names = {_huggingface_name(name): name for name in file.tensors}

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: self._file.tensors[stored].shape for name, stored in self._names.items()}

    def read(self, name: str) -> torch.Tensor:
        stored = self._names[name]
        kind = self._file.tensors[stored].kind
        try:
            values = dequantize(self._file.blocks(stored), kind)
        # The gguf package says so of formats it knows by name alone.
        except NotImplementedError:
            raise CheckpointError(f"Tensor {name} must be in a format that can be dequantized, not {kind.name}") from None
        weight = torch.from_numpy(numpy.array(values, dtype=numpy.float32))
        order = self._row_order(name, len(weight))
        return weight if order is None else weight[order]

    def read_blocks(self, name: str) -> AffineBlocks | None:
        stored = self._names[name]
        if self._file.tensors[stored].kind != GGMLQuantizationType.Q4_1:
            return None
        blocks = _from_q4_1(self._file.blocks(stored))
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


def _config(file: _File, name: str) -> tuple[ModelConfig, bool]:
    metadata, held = file.metadata, file.tensors
    kind = metadata.get("general.architecture")
    if not isinstance(kind, str) or kind not in _ARCHITECTURES:
        raise CheckpointError(f"GGUF architecture must be {nearest(str(kind), _ARCHITECTURES)}, not {shown(kind)}")
    architecture, is_interleaved = _ARCHITECTURES[kind]
    if "rope_freqs.weight" in held:
        raise CheckpointError(
            "GGUF file must not carry rope_freqs.weight, a table of stretched frequencies: "
            "load the model's Hugging Face folder instead"
        )
    hidden = _integer(metadata, f"{kind}.embedding_length")
    heads = _integer(metadata, f"{kind}.attention.head_count")
    head_dim = _integer(metadata, f"{kind}.attention.key_length", max(hidden // heads, 1))
    rotated = _integer(metadata, f"{kind}.rope.dimension_count", head_dim)
    if rotated != head_dim:
        raise CheckpointError(f"GGUF {kind}.rope.dimension_count must be the head width {head_dim}, not {rotated}")
    if "token_embd.weight" not in held:
        raise CheckpointError(f"Checkpoint must hold the tensor {EMBEDDING}.weight, which is missing")
    config = ModelConfig(
        name=name,
        architecture=architecture,
        hidden=hidden,
        layers=_integer(metadata, f"{kind}.block_count"),
        heads=heads,
        kv_heads=_integer(metadata, f"{kind}.attention.head_count_kv", heads),
        head_dim=head_dim,
        ffn=_integer(metadata, f"{kind}.feed_forward_length"),
        vocab=held["token_embd.weight"].shape[0],
        norm_eps=_number(metadata, f"{kind}.attention.layer_norm_rms_epsilon"),
        rope_base=_number(metadata, f"{kind}.rope.freq_base", 10000.0),
        rope_scaling=_scaling(metadata, kind),
        tied_head="output.weight" not in held,
        qkv_bias=kind == "qwen2",
        max_positions=_integer(metadata, f"{kind}.context_length"),
    )
    return config, is_interleaved


def _scaling(metadata: Mapping[str, object], kind: str) -> RopeScaling:
    spelled = metadata.get(f"{kind}.rope.scaling.type", "none")
    if spelled == "none":
        return RopeScaling()
    if spelled != "linear":
        raise CheckpointError(f"GGUF {kind}.rope.scaling.type must be none or linear, not {shown(spelled)}")
    return RopeScaling(kind="linear", factor=_number(metadata, f"{kind}.rope.scaling.factor"))


def _integer(metadata: Mapping[str, object], key: str, default: int | None = None) -> int:
    value = metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"GGUF {key} must be a positive integer, not {shown(value)}")
    return value


def _number(metadata: Mapping[str, object], key: str, default: float | None = None) -> float:
    value = metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"GGUF {key} must be a number, not {shown(value)}")
    # Stored as float32: take the shortest decimal that means the same, 1e-05 and not 9.99999974e-06.
    return float(str(numpy.float32(value)))


def _read_header(path: Path) -> _File:
    """Return the metadata and the tensors' places; CheckpointError when the file is not a complete GGUF file."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(path, content).read()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"File {path.name} must be a complete GGUF file, but: {error}") from None


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
        known = {kind.value: kind for kind in GGML_QUANT_SIZES}
        if number not in known:
            raise self._refusal(f"the tensor {shown(name)} is of unknown type {number}")
        block_values, block_bytes = GGML_QUANT_SIZES[known[number]]
        if not shape or min(shape) < 1 or shape[-1] % block_values:
            raise self._refusal(f"the tensor {shown(name)} of shape {shape} does not fall into blocks of {block_values}")
        stop = start + math.prod(shape) // block_values * block_bytes
        if stop > self._size:
            raise self._refusal(f"the tensor {shown(name)} ends at byte {stop} of {self._size}")
        return _Tensor(shape=shape, kind=known[number], start=start, stop=stop)

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
