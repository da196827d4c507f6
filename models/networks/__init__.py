"""Knows the sizes of published networks from their `config.json`: of those shipped here by name, or of any by path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from hwsim.arch.workload import Network
from hwsim.errors import CheckpointError
from hwsim.nearest import nearest

__all__ = ["FAMILIES", "names", "network"]

_KEYS = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "ffn": "intermediate_size",
    "vocab": "vocab_size",
}
_LLAMA = {"keys": _KEYS, "is_gated": True, "is_tied": False}

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "opt": {"keys": _KEYS | {"ffn": "ffn_dim"}, "is_gated": False, "is_tied": True},
    "chatglm": {
        "keys": _KEYS
        | {
            "layers": "num_layers",
            "kv_heads": "multi_query_group_num",
            "head_dim": "kv_channels",
            "ffn": "ffn_hidden_size",
            "vocab": "padded_vocab_size",
        },
        "is_gated": True,
        "is_tied": False,
    },
}
"""By `model_type`: what the configuration calls each size, and what it takes for granted."""


def names() -> tuple[str, ...]:
    """Return the names of the networks that ship, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(entry.name.removesuffix(".json") for entry in files if entry.name.endswith(".json")))


def network(name: str) -> Network:
    """Return the sizes of a network that ships, or those in a `config.json` by its path or its folder's.

    Raises:
        CheckpointError: there is none, or it lacks a size.
    """
    if name in names():
        return _read((resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8"), name)
    path = Path(name) / "config.json" if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise CheckpointError(f"Network must be {nearest(name, names())} or a config.json, not {name!r}")
    return _read(path.read_text(encoding="utf-8"), path.parent.name or path.stem)


def _read(text: str, name: str) -> Network:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"Configuration of {name} must be JSON, but: {error}") from None
    if not isinstance(fields, dict):
        raise CheckpointError(f"Configuration of {name} must be an object, not {fields!r}")
    kind = str(fields.get("model_type"))
    if kind not in FAMILIES:
        raise CheckpointError(f"Configuration of {name} model_type must be {nearest(kind, FAMILIES)}, not {kind!r}")
    family = FAMILIES[kind]
    keys = family["keys"]
    sizes: dict[str, Any] = {size: fields.get(key) for size, key in keys.items()}
    # Left out where every query head has keys of its own, and where heads share the width.
    sizes["kv_heads"] = sizes["kv_heads"] or sizes["heads"]
    if sizes["head_dim"] is None and isinstance(sizes["hidden"], int) and sizes["heads"]:
        sizes["head_dim"] = sizes["hidden"] // sizes["heads"]
    missing = [keys[size] for size, value in sizes.items() if value is None]
    if missing:
        raise CheckpointError(f"Configuration of {name} must have {missing[0]}, which is missing")
    is_tied = fields.get("tie_word_embeddings", family["is_tied"])
    return Network(name=name, is_gated=family["is_gated"], is_tied=bool(is_tied), **sizes)
