"""Families of networks: what the config.json of each calls the sizes of a network, and what it takes for granted."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwsim.errors import CheckpointError, cut, shown
from hwsim.nearest import nearest
from hwsim.plain import Refused, from_json

__all__ = [
    "ARCHITECTURES",
    "FAMILIES",
    "SIZES",
    "Family",
    "boolean",
    "family_of",
    "has_file",
    "integer",
    "layer_count",
    "number",
    "object_in",
    "positive_integer",
    "positive_number",
    "read_object",
]

SIZES = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")
"""Sizes of a network that the config.json of every family gives."""

_MOST_BYTES = 1 << 24
"""Bytes of a JSON file of a checkpoint; the largest published index of tensors takes 9 MB."""
_MOST_SIZE = (1 << 31) - 1
"""Largest size of a network, so that products of sizes are numbers that can be computed with and written down."""
_MOST_LAYERS = 1 << 12
"""Layers, whose tensors are listed before any of them is looked for; the deepest published networks have 1000."""


# Ref: transformers 5.24, the configuration of each family. Sizes that are left out are refused.
_NORM = {"rms_norm_eps": 1e-6}
_QWEN = {
    **_NORM,
    "max_position_embeddings": 32768,
    "num_key_value_heads": 32,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
}


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the config.json of one family calls the sizes of a network, and what it takes for granted.

    model_type, architecture: how config.json names the family.
    is_run: whether its forward pass is the one in models.reference, which the engine runs; others have estimates only.
    layers, hidden, heads, kv_heads, head_dim, ffn, vocab: the entry of each size.
    is_gated: whether the feed-forward layer has a gate beside its up projection.
    is_tied: whether the head is the embedding where config.json does not say.
    has_qkv_bias: whether the query, key and value projections add a bias.
    has_head_norms: whether every query head and key head is normalized before it is rotated.
    defaults: what stands for entries that a config.json leaves out; an entry that is null is not left out.
    """

    model_type: str
    architecture: str
    is_run: bool = True
    layers: str = "num_hidden_layers"
    hidden: str = "hidden_size"
    heads: str = "num_attention_heads"
    kv_heads: str = "num_key_value_heads"
    head_dim: str = "head_dim"
    ffn: str = "intermediate_size"
    vocab: str = "vocab_size"
    is_gated: bool = True
    is_tied: bool = False
    has_qkv_bias: bool = False
    has_head_norms: bool = False
    defaults: Mapping[str, object] = field(default_factory=dict)

    def completed(self, document: Mapping[str, object]) -> Mapping[str, object]:
        """Return a parsed config.json with the family's defaults for what it leaves out."""
        return {**self.defaults, **document}

    def sizes(self, document: Mapping[str, object]) -> dict[str, int]:
        """Return SIZES as a parsed config.json gives them; CheckpointError names the entry that is wrong."""
        document = self.completed(document)
        read = {size: integer(document, getattr(self, size)) for size in SIZES if size not in ("kv_heads", "head_dim")}
        layer_count(f"config.json {self.layers}", read["layers"])
        heads, hidden = read["heads"], read["hidden"]
        if document.get(self.head_dim) is None and hidden % heads:
            raise CheckpointError(f"config.json {self.hidden} must be a multiple of {shown(heads)} heads, not {shown(hidden)}")
        read["head_dim"] = integer(document, self.head_dim, hidden // heads)
        read["kv_heads"] = integer(document, self.kv_heads, heads)
        return read

    def has_tied_head(self, document: Mapping[str, object]) -> bool:
        """Return whether the head is the embedding in the network that a parsed config.json describes."""
        return boolean(document, "tie_word_embeddings", self.is_tied)


FAMILIES: Mapping[str, Family] = {
    family.model_type: family
    for family in (
        Family(model_type="llama", architecture="LlamaForCausalLM", defaults={**_NORM, "max_position_embeddings": 2048}),
        Family(
            model_type="mistral",
            architecture="MistralForCausalLM",
            defaults={**_NORM, "max_position_embeddings": 131072, "num_key_value_heads": 8, "sliding_window": 4096},
        ),
        Family(model_type="qwen2", architecture="Qwen2ForCausalLM", has_qkv_bias=True, defaults=_QWEN),
        Family(model_type="qwen3", architecture="Qwen3ForCausalLM", has_head_norms=True, defaults={**_QWEN, "head_dim": 128}),
        Family(model_type="opt", architecture="OPTForCausalLM", is_run=False, ffn="ffn_dim", is_gated=False, is_tied=True),
        Family(
            model_type="chatglm",
            architecture="ChatGLMModel",
            is_run=False,
            layers="num_layers",
            kv_heads="multi_query_group_num",
            head_dim="kv_channels",
            ffn="ffn_hidden_size",
            vocab="padded_vocab_size",
        ),
    )
}
"""Families of networks by the `model_type` of their config.json."""

ARCHITECTURES = {family.architecture: family for family in FAMILIES.values() if family.is_run}
"""Families that the engine runs, by architecture."""


def family_of(document: Mapping[str, object]) -> Family:
    """Return the family of a parsed config.json, by its `model_type` or, where it has none, by its architecture."""
    kind, architectures = document.get("model_type"), document.get("architectures")
    for family in FAMILIES.values():
        if kind == family.model_type or (kind is None and architectures == [family.architecture]):
            return family
    raise CheckpointError(f"config.json model_type must be {nearest(str(kind), FAMILIES)}, not {shown(kind)}")


def has_file(path: Path) -> bool:
    """Return whether there is a file of that name; CheckpointError where it is no plain file, for a pipe waits for its writer."""
    try:
        is_there, is_plain = path.exists(), path.is_file()
    except OSError as error:
        # A name too long, or a folder that may not be looked into.
        raise CheckpointError(f"File {cut(path.name)} must be a plain file, but: {error.strerror}") from None
    if is_there and not is_plain:
        raise CheckpointError(f"File {cut(path.name)} must be a plain file, not a folder, a pipe or a device")
    return is_plain


def read_object(path: Path) -> Mapping[str, object]:
    """Return the object in a JSON file, such as a config.json; CheckpointError says what is wrong with it."""
    try:
        if not has_file(path):
            raise CheckpointError(f"Folder {path.parent.name} must hold {path.name}, which is missing")
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise CheckpointError(f"File {path.name} must be JSON of at most {_MOST_BYTES} bytes, not of {size}")
        text = path.read_text(encoding="utf-8")
    except (ValueError, OSError) as error:
        raise CheckpointError(f"File {path.name} must be JSON, but reading it failed: {cut(error)}") from None
    return object_in(path.name, text)


def object_in(name: str, text: str) -> Mapping[str, object]:
    """Return the JSON object that the text of a file holds; CheckpointError otherwise."""
    try:
        document = from_json(text)
    except Refused as error:
        raise CheckpointError(f"File {name} must be JSON, but reading it failed: {cut(error)}") from None
    if not isinstance(document, Mapping):
        raise CheckpointError(f"File {name} must hold one object, not {type(document).__name__}")
    return document


def integer(document: Mapping[str, object], key: str, default: int | None = None) -> int:
    """Return the positive integer at `key` of a parsed config.json; CheckpointError where it is none."""
    value = document.get(key)
    return positive_integer(f"config.json {key}", default if value is None else value)


def number(document: Mapping[str, object], key: str, default: float | None = None) -> float:
    """Return the positive number at `key` of a parsed config.json; CheckpointError where it is none."""
    value = document.get(key)
    return float(positive_number(f"config.json {key}", default if value is None else value))


def boolean(document: Mapping[str, object], key: str, default: bool) -> bool:
    """Return the truth value at `key` of a parsed config.json; CheckpointError where it is none."""
    value = document.get(key, default)
    if not isinstance(value, bool):
        raise CheckpointError(f"config.json {key} must be true or false, not {shown(value)}")
    return value


def positive_integer(subject: str, value: object, most: int = _MOST_SIZE) -> int:
    """Return `value` if it is a positive integer of at most `most`; CheckpointError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{subject} must be a positive integer, not {shown(value)}")
    if value > most:
        raise CheckpointError(f"{subject} must be at most {most:,}, not {shown(value)}")
    return value


def layer_count(subject: str, value: object) -> int:
    """Return `value` if it is a number of layers that a network may have; CheckpointError otherwise."""
    return positive_integer(subject, value, _MOST_LAYERS)


def positive_number(subject: str, value: object) -> float:
    """Return `value` if it is a positive number that floating-point numbers reach; CheckpointError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
        raise CheckpointError(f"{subject} must be a positive number, not {shown(value)}")
    return value
