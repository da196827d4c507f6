"""GGUF checkpoints: metadata, tensor names, quantized blocks and the order of rotary pairs."""

from collections.abc import Mapping
from pathlib import Path

import numpy
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.checkpoint.base import AffineBlocks, Checkpoint, Weights, check_names
from models.checkpoint.gguf_header import GgufFile, read_header
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, HEAD, block
from models.config import ModelConfig, RopeScaling
from models.tokenizer import Tokenizer

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

_Q4_1_BYTES = 20

_TOPS = {"token_embd": EMBEDDING, "output_norm": FINAL_NORM, "output": HEAD}


def load(path: Path, name: str | None = None) -> Checkpoint:
    """Return the checkpoint in the GGUF file `path`; CheckpointError says what is wrong with it.

    name: the model's name; None takes the file's.
    """
    file = read_header(path)
    config, is_interleaved = _config(file, name or path.stem)
    store = _GgufStore(file, config, is_interleaved)
    check_names(config, store.shapes())
    return Checkpoint(
        config=config, weights=Weights(config, store), tokenizer=Tokenizer.from_gguf(file.metadata), source=str(path), files=(path,)
    )


class _GgufStore:
    """Tensors of one GGUF file under Hugging Face names, mapped into memory and dequantized when read."""

    def __init__(self, file: GgufFile, config: ModelConfig, is_interleaved: bool) -> None:
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


def _config(file: GgufFile, name: str) -> tuple[ModelConfig, bool]:
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
