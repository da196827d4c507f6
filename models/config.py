"""Geometry of a decoder of the Llama family, read from a published config.json or from its own fields."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.entries import CONFIG
from models.families import ARCHITECTURES, SIZES, Family, family_of, integer, layer_count, positive_integer, positive_number
from models.rope_scaling import ROPE_ENTRIES, ROPE_SCALINGS, RopeScaling, base_and_scaling
from models.windows import WINDOW_ENTRIES, sliding_window

__all__ = ["DESCRIPTION", "NORM_EPS_RANGE", "ROPE_SCALINGS", "ModelConfig", "RopeScaling", "check_norm_eps"]

DESCRIPTION = "model.json"
"""File in the folder of a compressed model whose entry `config` is the configuration."""

NORM_EPS_RANGE = (1e-12, 0.1)
"""Least and largest number that RMSNorm may add: below, float32 loses it; above, it is no guard against zero but a gain."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and constants of one decoder; two models with equal configurations run the same operations.

    name: what reports call the model.
    architecture: one of ARCHITECTURES.
    hidden: width of the residual stream.
    layers: number of decoder blocks.
    heads, kv_heads: query heads and key/value heads; heads is a multiple of kv_heads.
    head_dim: width of one head; even, because rotation pairs its halves.
    ffn: width of the gated feed-forward layer.
    vocab: rows of the embedding and of the head.
    norm_eps: added to the mean square in RMSNorm.
    rope_base: base of the rotary frequencies.
    rope_scaling: how these frequencies are stretched.
    tied_head: whether the head is the embedding.
    qkv_bias: whether the query, key and value projections add a bias.
    max_positions: longest sequence the model was made for, in tokens.
    sliding_window: keys a query may read, itself included, in a model trained that way; None for all.
    """

    name: str
    architecture: str = "LlamaForCausalLM"
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    norm_eps: float
    rope_base: float
    rope_scaling: RopeScaling = field(default_factory=RopeScaling)
    tied_head: bool
    qkv_bias: bool = False
    max_positions: int
    sliding_window: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise CheckpointError(f"Model name must be a text, not {shown(self.name)}")
        if not isinstance(self.architecture, str) or self.architecture not in ARCHITECTURES:
            known = nearest(str(self.architecture), ARCHITECTURES)
            raise CheckpointError(f"Model architecture must be {known}, not {shown(self.architecture)}")
        for name in ("hidden", "layers", "heads", "kv_heads", "head_dim", "ffn", "vocab", "max_positions"):
            positive_integer(f"Model {name}", getattr(self, name))
        layer_count("Model layers", self.layers)
        check_norm_eps("Model norm_eps", self.norm_eps)
        if positive_number("Model rope_base", self.rope_base) <= 1:
            raise CheckpointError(f"Model rope_base (rope_theta of config.json) must be above 1, not {shown(self.rope_base)}")
        for name in ("tied_head", "qkv_bias"):
            if not isinstance(getattr(self, name), bool):
                raise CheckpointError(f"Model {name} must be true or false, not {shown(getattr(self, name))}")
        if self.sliding_window is not None:
            positive_integer("Model sliding_window", self.sliding_window)
        if self.heads % self.kv_heads:
            raise CheckpointError(f"Model heads must be a multiple of its {shown(self.kv_heads)} kv_heads, not {shown(self.heads)}")
        if self.head_dim % 2:
            raise CheckpointError(f"Model head_dim must be even, not {shown(self.head_dim)}")
        if self.has_head_norms and self.qkv_bias:
            raise CheckpointError(f"Model qkv_bias must be false in a {self.architecture}, whose heads are normalized, not True")

    @property
    def has_head_norms(self) -> bool:
        """Whether every query head and key head is divided by its root mean square and scaled before it is rotated."""
        return ARCHITECTURES[self.architecture].has_head_norms

    @property
    def group(self) -> int:
        """Query heads that share one key/value head."""
        return self.heads // self.kv_heads

    def to_json(self) -> str:
        """Return the configuration as JSON text that `from_json` reads back to an equal object."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Return the configuration that `to_json` wrote; CheckpointError on anything else."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise CheckpointError(f"Model configuration must be JSON, but reading it failed: {error}") from None
        return cls.from_fields(document)

    @classmethod
    def from_fields(cls, document: object) -> "ModelConfig":
        """Return the configuration whose field names and values `document` maps; CheckpointError otherwise."""
        fields = _check_fields("Model configuration", document, cls)
        scaling = fields.get("rope_scaling", {})
        fields["rope_scaling"] = RopeScaling(**_check_fields("RoPE scaling", scaling, RopeScaling))
        return cls(**fields)

    @classmethod
    def from_huggingface(cls, document: object, name: str = "model") -> "ModelConfig":
        """Return the configuration that a Hugging Face `config.json` describes.

        document: the parsed file.
        name: the model's name, used when the file carries none.

        CheckpointError names the entry that the reference cannot honour.
        """
        if not isinstance(document, Mapping):
            raise CheckpointError(f"config.json must hold one object, not {type(document).__name__}")
        family = _family(document)
        document = family.completed(document)
        sizes, max_positions = family.sizes(document), integer(document, "max_position_embeddings")
        rope_base, rope_scaling = base_and_scaling(document, max_positions)
        window = sliding_window(document, family, sizes["layers"])
        CONFIG.check(document, _taken(family))
        stated = document.get("_name_or_path")
        return cls(
            name=stated if isinstance(stated, str) and stated else name,
            architecture=family.architecture,
            **sizes,
            norm_eps=check_norm_eps("config.json rms_norm_eps", document["rms_norm_eps"]),
            rope_base=rope_base,
            rope_scaling=rope_scaling,
            tied_head=family.has_tied_head(document),
            qkv_bias=family.has_qkv_bias,
            max_positions=max_positions,
            sliding_window=window,
        )


def check_norm_eps(subject: str, value: object) -> float:
    """Return the number that RMSNorm adds to its mean square if it lies in NORM_EPS_RANGE; CheckpointError otherwise."""
    least, most = NORM_EPS_RANGE
    number = positive_number(subject, value)
    if not least <= number <= most:
        raise CheckpointError(f"{subject} must be a number of {least:g} to {most:g}, not {shown(value)}")
    return float(number)


def _family(document: Mapping[str, object]) -> Family:
    """Return the family of a network that the engine runs; the architecture and the model type must agree where both are there."""
    architectures = document.get("architectures")
    if architectures is None and "model_type" in document:
        architectures = [family_of(document).architecture]
    if not isinstance(architectures, list) or len(architectures) != 1 or not isinstance(architectures[0], str):
        raise CheckpointError(f"config.json architectures must be a list of one name, not {shown(architectures)}")
    architecture = architectures[0]
    if architecture not in ARCHITECTURES:
        raise CheckpointError(f"Model architecture must be {nearest(architecture, ARCHITECTURES)}, not {shown(architecture)}")
    family = ARCHITECTURES[architecture]
    if document.get("model_type", family.model_type) != family.model_type:
        stated = shown(document["model_type"])
        raise CheckpointError(f"config.json model_type must be '{family.model_type}', the family of {architecture}, not {stated}")
    return family


def _taken(family: Family) -> set[str]:
    """Return the entries of config.json that are read as something that the computation takes."""
    return {
        *(getattr(family, size) for size in SIZES),
        *("architectures", "model_type", "rms_norm_eps", "tie_word_embeddings", "max_position_embeddings", "eos_token_id"),
        *ROPE_ENTRIES,
        *WINDOW_ENTRIES,
    }


def _check_fields(subject: str, document: object, declared: type) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise CheckpointError(f"{subject} must be a mapping, not {shown(document)}")
    known = {entry.name: entry for entry in dataclasses.fields(declared)}
    for key in document:
        if key not in known:
            raise CheckpointError(f"{subject} field must be {nearest(str(key), known)}, not {shown(key)}")
    for key, entry in known.items():
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and key not in document:
            raise CheckpointError(f"{subject} must have the field {key}, which is missing")
    return dict(document)
