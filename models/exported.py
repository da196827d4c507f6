"""Exports a compressed model as a Hugging Face folder of floats that stand for its integers, for other tools."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.arch.formats import unpacked_of
from hwsim.arch.numerics import FRACTION_BITS
from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from hwsim.whole_files import whole_folder
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, HEAD, block
from models.compressed import CompressedModel
from models.config import ModelConfig, RopeScaling
from models.families import ARCHITECTURES
from models.integer import IntegerModel
from models.matrices import FINAL_NORM as INTEGER_FINAL_NORM
from models.matrices import HEAD as INTEGER_HEAD
from models.matrices import LINEARS, layer_norms, layer_part
from models.shards import ShardWriter
from models.tokenizer import Tokenizer
from models.tokenizer_classes import GENERIC, class_of
from models.tokenizer_files import CONFIG, FILE, older_names, write_files

__all__ = ["TYPES", "export", "huggingface_config"]

TYPES = {"float32": np.float32, "float16": np.float16}
"""Types of the exported weights; float32 represents the integers' values exactly."""

_SHARD_BYTES = 1 << 31


def export(made: CompressedModel, folder: Path, *, type: str = "float32", progress: Callable[[float], None] | None = None) -> None:
    """Write config.json, safetensors in one file or several with an index, and the tokenizer's files, all or nothing.

    The head is a tensor of its own. The values of the weights are exported; a checkpoint cannot express 8-bit activations,
    the rounded cache and Λ-shaped attention.

    SpecError when `folder` is there already, or cannot be written, or the type is not one of TYPES.
    """
    if type not in TYPES:
        raise SpecError(f"Type of exported weights must be {nearest(type, TYPES)}, not {shown(type)}")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SpecError(f"Output folder must be new or empty, not {shown(str(folder))}")
    with whole_folder(folder) as new:
        writer = ShardWriter(new, "model", limit=_SHARD_BYTES)
        layers = made.model.config.layers
        for name, tensor, done in _tensors(made.model):
            writer.add(name, tensor.astype(TYPES[type]))
            if progress is not None:
                progress(done / layers)
        writer.close()
        document = huggingface_config(made.model.config, made.tokenizer)
        _write_json(new / "config.json", document | {"torch_dtype": type})
        if made.tokenizer is not None:
            _write_tokenizer(new, made.tokenizer, str(document["model_type"]))


def huggingface_config(config: ModelConfig, tokenizer: Tokenizer | None = None) -> dict[str, Any]:
    """Return the content of the config.json that `ModelConfig.from_huggingface` reads as this geometry, the head untied.

    A Llama with biases of queries, keys and values is what Qwen2 is, one with a sliding window what Mistral is, and one with both a
    Qwen2 all of whose layers slide.
    """
    architecture = _architecture(config)
    document: dict[str, Any] = {
        "architectures": [architecture],
        "model_type": ARCHITECTURES[architecture].model_type,
        "_name_or_path": config.name,
        "hidden_size": config.hidden,
        "intermediate_size": config.ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_base,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
    }
    if config.rope_scaling.kind != "none":
        document["rope_scaling"] = _rope_scaling(config.rope_scaling, config.max_positions)
    if architecture != "LlamaForCausalLM":
        document["sliding_window"] = config.sliding_window
    if "use_sliding_window" in ARCHITECTURES[architecture].defaults:
        document |= {"use_sliding_window": config.sliding_window is not None, "max_window_layers": 0}
    if tokenizer is not None and tokenizer.eos_ids:
        document["eos_token_id"] = list(tokenizer.eos_ids)
    if tokenizer is not None and tokenizer.bos_id is not None:
        document["bos_token_id"] = tokenizer.bos_id
    return document


def _architecture(config: ModelConfig) -> str:
    """Return the architecture of transformers that computes what a model of this geometry does."""
    if config.has_head_norms:
        return config.architecture
    if config.qkv_bias:
        return "Qwen2ForCausalLM"
    # Llama takes no heads whose number does not divide the width, which Mistral does.
    if config.sliding_window is not None or config.hidden % config.heads:
        return "MistralForCausalLM"
    return "LlamaForCausalLM" if config.architecture == "Qwen2ForCausalLM" else config.architecture


def _rope_scaling(scaling: RopeScaling, max_positions: int) -> dict[str, Any]:
    """Return the block that every release of transformers from 4.50 on reads as this stretching.

    YaRN goes without `original_max_position_embeddings`: 4.50 passes over it, and 4.51 and others take the factor from it and not
    from `factor`, so that no value gives the same frequencies in all. Where it is missing all take `max_position_embeddings` for
    it, over which there are as many more turns as it is longer.
    """
    document: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "llama3":
        document |= {
            "original_max_position_embeddings": scaling.original_positions,
            "low_freq_factor": scaling.low_frequency_factor,
            "high_freq_factor": scaling.high_frequency_factor,
        }
    if scaling.kind == "yarn":
        longer = max_positions / scaling.original_positions
        document |= {"beta_fast": scaling.fast_turns * longer, "beta_slow": scaling.slow_turns * longer}
        if scaling.attention_factor is not None or scaling.factor < 1:
            # Without one, 4.50 takes a number below 1 for a factor below 1.
            document["attention_factor"] = 1.0 if scaling.attention_factor is None else scaling.attention_factor
        if not scaling.is_truncated:
            document["truncate"] = False
    return document


def _tensors(model: IntegerModel) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield every tensor by its Hugging Face name, and how many layers are done."""
    config, codes = model.config, model.embedding.codes
    scales = np.repeat(model.embedding.scales.astype(np.float32), codes.shape[1] // model.embedding.scales.shape[1], axis=1)
    yield f"{EMBEDDING}.weight", codes * scales, 0
    rows = np.cumsum([config.heads, config.kv_heads]) * config.head_dim
    borders = {"qkv": rows.tolist(), "gateup": [config.ffn]}
    for layer in range(config.layers):
        for norm, name in layer_norms(config).items():
            yield f"{block(layer, name)}.weight", _gains(model, layer_part(layer, norm)), layer
        for part, names in LINEARS.items():
            whole, at = layer_part(layer, part), borders.get(part, [])
            for name, weight in zip(names, np.split(_floats(model, whole), at), strict=True):
                yield f"{block(layer, name)}.weight", weight, layer
            if whole in model.biases:
                for name, bias in zip(names, np.split(model.biases[whole] / 2.0**FRACTION_BITS, at), strict=True):
                    yield f"{block(layer, name)}.bias", bias, layer
    yield f"{FINAL_NORM}.weight", _gains(model, INTEGER_FINAL_NORM), config.layers
    yield f"{HEAD}.weight", _floats(model, INTEGER_HEAD), config.layers


def _gains(model: IntegerModel, name: str) -> np.ndarray:
    gain = model.gains[name]
    return gain.values / 2.0**gain.shift


def _floats(model: IntegerModel, name: str) -> np.ndarray:
    return unpacked_of(model.matrices[name]).dequantize()


def _write_tokenizer(folder: Path, tokenizer: Tokenizer, model_type: str) -> None:
    """Write the tokenizer's files as they came, but for names that not every release of transformers has.

    The class is named, too, where the network's new family would stand for another.
    """
    files = dict(tokenizer.folder_files())
    settings, document = (json.loads(files.get(name, b"{}")) for name in (CONFIG, FILE))
    kind = class_of(settings, document, tokenizer.model_type)
    if class_of(settings, document, model_type) != kind:
        settings["tokenizer_class"] = GENERIC if kind is None else kind.name
        files[CONFIG] = _as_json(settings)
    write_files(older_names(files), folder)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_bytes(_as_json(document))


def _as_json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
