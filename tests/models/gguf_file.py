"""Writes a Hugging Face folder as a GGUF file, its matrices in blocks of any type, with any metadata beside the usual."""

import json
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy
import safetensors.torch
from gguf import GGMLQuantizationType

__all__ = ["WRITABLE", "add_entry", "rounded", "write_gguf"]

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOPS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def _is_writable(kind: GGMLQuantizationType) -> bool:
    try:
        gguf.quants.quantize(numpy.ones((1, 256), numpy.float32), kind)
    except NotImplementedError:
        return False
    return True


WRITABLE = [kind for kind in GGMLQuantizationType if _is_writable(kind)]
"""Block types that the gguf package can write."""


def rounded(weight: numpy.ndarray, kind: GGMLQuantizationType) -> numpy.ndarray:
    """Return what is left of a matrix in blocks of a type."""
    return gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)


def interleaved(weight: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Return rows in the pair order that GGUF files of the llama kind keep."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(
    path: Path,
    folder: Path,
    kind: str,
    *,
    type: GGMLQuantizationType = GGMLQuantizationType.F32,
    only: str = "",
    entries: Mapping[str, object] | None = None,
    split_tensors: int = 0,
) -> None:
    """Write a folder's model as GGUF.

    type: block type of the matrices whose name holds `only`; the others are float32.
    entries: metadata beside the usual or instead of it, without the architecture's name; None takes an entry away.
    split_tensors: tensors of a part at most; 0 writes one file.
    """
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, kind, split_max_tensors=split_tensors)
    usual = {
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "feed_forward_length": config["intermediate_size"],
        "context_length": config["max_position_embeddings"],
        "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "rope.freq_base": 10000.0,
    }
    if kind == "qwen3":
        usual |= {"attention.key_length": config["head_dim"], "attention.value_length": config["head_dim"]}
    for key, value in (usual | dict(entries or {})).items():
        if value is not None:
            add_entry(writer, key if key.startswith(("tokenizer.", "general.", "split.")) else f"{kind}.{key}", value)
    for name, tensor in safetensors.torch.load_file(folder / "model.safetensors").items():
        weight, stored = tensor.float().numpy(), TOPS.get(name)
        if stored is None:
            _, _, layer, part = name.split(".", 3)
            part, suffix = part.rsplit(".", 1)
            heads = {"self_attn.q_proj": config["num_attention_heads"], "self_attn.k_proj": config["num_key_value_heads"]}.get(part)
            if heads is not None and kind == "llama":
                weight = interleaved(weight, heads)
            stored = f"blk.{layer}.{NAMES[part]}.{suffix}"
        if weight.ndim == 2 and only in name:
            writer.add_tensor(stored, gguf.quants.quantize(weight, type), raw_dtype=type)
        else:
            writer.add_tensor(stored, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_entry(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        assert isinstance(value, list)
        writer.add_array(key, value)
