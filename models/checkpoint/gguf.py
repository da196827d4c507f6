"""Knows the GGUF file: its metadata, its tensor names, its quantized blocks and its order of rotary pairs."""

import struct
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy
import torch

from hwsim.errors import CheckpointError
from models.checkpoint.base import Checkpoint, Weights, check_names
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, HEAD, block
from models.config import ModelConfig, RopeScaling
from models.nearest import nearest
from models.tokenizer import Tokenizer

__all__ = ["load"]

# GGUF architecture, the architecture it is read as, and whether its query and key rows are interleaved.
_ARCHITECTURES = {
    "llama": ("LlamaForCausalLM", True),
    "qwen2": ("Qwen2ForCausalLM", False),
}

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

# What the reader raises on truncated or hostile files: it checks little itself.
_READ_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
)


def load(path: Path, name: str | None = None) -> Checkpoint:
    """Return the checkpoint in the GGUF file `path`; CheckpointError says what is wrong with it.

    name: the model's name; None takes the file's.
    """
    reader, metadata = _open(path)
    config, is_interleaved = _config(metadata, reader, name or path.stem)
    store = _GgufStore(reader, config, is_interleaved)
    check_names(config, store.shapes())
    return Checkpoint(
        config=config,
        weights=Weights(config, store),
        tokenizer=Tokenizer.from_gguf(metadata),
        source=str(path),
        files=(path,),
    )


class _GgufStore:
    """Tensors of one GGUF file under Hugging Face names, mapped into memory and dequantized when read."""

    def __init__(self, reader: gguf.GGUFReader, config: ModelConfig, is_interleaved: bool) -> None:
        self._config = config
        self._is_interleaved = is_interleaved
        self._tensors = {_huggingface_name(tensor.name): tensor for tensor in reader.tensors}

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {
            name: tuple(int(size) for size in reversed(tensor.shape.tolist())) for name, tensor in self._tensors.items()
        }

    def read(self, name: str) -> torch.Tensor:
        tensor = self._tensors[name]
        try:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        except (NotImplementedError, *_READ_ERRORS) as error:
            raise CheckpointError(
                f"Tensor {name} must be stored in a format that can be read, not {tensor.tensor_type.name}: {error}"
            ) from None
        weight = torch.from_numpy(numpy.array(values, dtype=numpy.float32))
        if not self._is_interleaved:
            return weight
        if ".q_proj." in name:
            return _half_split(weight, self._config.heads)
        return _half_split(weight, self._config.kv_heads) if ".k_proj." in name else weight


def _half_split(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the rows of each head from pair order (0, n, 1, n + 1, ...) in the order 0, 1, ..., n, n + 1, ...."""
    pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, *weight.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weight.shape).contiguous()


def _open(path: Path) -> tuple[gguf.GGUFReader, dict[str, object]]:
    try:
        reader = gguf.GGUFReader(path)
        return reader, {key: field.contents() for key, field in reader.fields.items()}
    except _READ_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"File {path.name} must be a complete GGUF file, but: {reason}") from None


def _huggingface_name(name: str) -> str:
    parts = name.split(".")
    if len(parts) == 2 and parts[0] in _TOPS:
        return f"{_TOPS[parts[0]]}.{parts[1]}"
    if len(parts) == 4 and parts[0] == "blk" and parts[1].isdecimal() and parts[2] in _PARTS:
        return f"{block(int(parts[1]), _PARTS[parts[2]])}.{parts[3]}"
    return name


def _config(metadata: Mapping[str, object], reader: gguf.GGUFReader, name: str) -> tuple[ModelConfig, bool]:
    kind = metadata.get("general.architecture")
    if not isinstance(kind, str) or kind not in _ARCHITECTURES:
        raise CheckpointError(f"GGUF architecture must be {nearest(str(kind), _ARCHITECTURES)}, not {kind!r}")
    architecture, is_interleaved = _ARCHITECTURES[kind]
    held = {tensor.name: tensor for tensor in reader.tensors}
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
        vocab=int(held["token_embd.weight"].shape[-1]),
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
        raise CheckpointError(f"GGUF {kind}.rope.scaling.type must be none or linear, not {spelled!r}")
    return RopeScaling(kind="linear", factor=_number(metadata, f"{kind}.rope.scaling.factor"))


def _integer(metadata: Mapping[str, object], key: str, default: int | None = None) -> int:
    value = metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"GGUF {key} must be a positive integer, not {value!r}")
    return value


def _number(metadata: Mapping[str, object], key: str, default: float | None = None) -> float:
    value = metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"GGUF {key} must be a number, not {value!r}")
    # Stored as float32: take the shortest decimal that means the same, 1e-05 and not 9.99999974e-06.
    return float(str(numpy.float32(value)))
