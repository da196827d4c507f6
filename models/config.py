"""Geometry of a decoder of the Llama family, read from a published config.json or from its own fields."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.families import ARCHITECTURES, boolean, family_of, integer

__all__ = ["DESCRIPTION", "ROPE_SCALINGS", "ModelConfig", "RopeScaling"]

DESCRIPTION = "model.json"
"""File in the folder of a compressed model whose entry `config` is the configuration."""

ROPE_SCALINGS = ("none", "linear", "llama3", "yarn")

# Values that the published defaults of the family leave out of config.json.
_DEFAULT_NORM_EPS = 1e-6
_DEFAULT_ROPE_BASE = 10000.0
_DEFAULT_MAX_POSITIONS = 2048
_FULL_ATTENTION = {"Qwen2ForCausalLM": "Qwen2", "Qwen3ForCausalLM": "Qwen3"}
"""Architectures whose layers may each have a window of their own, which none may have here, and what models of them are called."""


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How rotary frequencies are stretched beyond the length a model was first trained on.

    kind: one of ROPE_SCALINGS.
    factor: stretch of the positions; 1 for "none".
    original_positions: training length before stretching ("llama3" and "yarn").
    low_frequency_factor, high_frequency_factor: band edges in turns over the training length ("llama3").
    fast_turns, slow_turns: band edges in turns over the training length ("yarn").
    attention_factor: multiplier of cosine and sine ("yarn"); None takes 0.1 ln(factor) + 1.
    """

    kind: str = "none"
    factor: float = 1.0
    original_positions: int = 0
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    fast_turns: float = 32.0
    slow_turns: float = 1.0
    attention_factor: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in ROPE_SCALINGS:
            raise CheckpointError(f"RoPE scaling must be {nearest(self.kind, ROPE_SCALINGS)}, not {self.kind!r}")
        for name in ("factor", "low_frequency_factor", "high_frequency_factor", "fast_turns", "slow_turns"):
            _positive_number(f"RoPE scaling {name}", getattr(self, name))
        if self.kind in ("llama3", "yarn"):
            _check_positive_integer("RoPE scaling original_positions", self.original_positions)
        if self.high_frequency_factor <= self.low_frequency_factor:
            raise CheckpointError(
                f"RoPE scaling high_frequency_factor must be above low_frequency_factor "
                f"{self.low_frequency_factor!r}, not {self.high_frequency_factor!r}"
            )
        if self.attention_factor is not None:
            _positive_number("RoPE scaling attention_factor", self.attention_factor)


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
            raise CheckpointError(f"Model name must be a text, not {self.name!r}")
        if self.architecture not in ARCHITECTURES:
            raise CheckpointError(
                f"Model architecture must be {nearest(self.architecture, ARCHITECTURES)}, not {self.architecture!r}"
            )
        for name in ("hidden", "layers", "heads", "kv_heads", "head_dim", "ffn", "vocab", "max_positions"):
            _check_positive_integer(f"Model {name}", getattr(self, name))
        for name in ("norm_eps", "rope_base"):
            _positive_number(f"Model {name}", getattr(self, name))
        for name in ("tied_head", "qkv_bias"):
            if not isinstance(getattr(self, name), bool):
                raise CheckpointError(f"Model {name} must be true or false, not {getattr(self, name)!r}")
        if self.sliding_window is not None:
            _check_positive_integer("Model sliding_window", self.sliding_window)
        if self.heads % self.kv_heads:
            raise CheckpointError(f"Model heads must be a multiple of its {self.kv_heads} kv_heads, not {self.heads}")
        if self.head_dim % 2:
            raise CheckpointError(f"Model head_dim must be even, not {self.head_dim}")
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
        architectures = document.get("architectures")
        if architectures is None and "model_type" in document:
            architectures = [family_of(document).architecture]
        if not isinstance(architectures, list) or len(architectures) != 1 or not isinstance(architectures[0], str):
            raise CheckpointError(f"config.json architectures must be a list of one name, not {architectures!r}")
        architecture = architectures[0]
        if architecture not in ARCHITECTURES:
            raise CheckpointError(f"Model architecture must be {nearest(architecture, ARCHITECTURES)}, not {architecture!r}")
        _refuse_unsupported(document)
        family, stated = ARCHITECTURES[architecture], document.get("_name_or_path")
        rope = _rope_entries(document)
        max_positions = integer(document, "max_position_embeddings", _DEFAULT_MAX_POSITIONS)
        return cls(
            name=stated if isinstance(stated, str) and stated else name,
            architecture=architecture,
            **family.sizes(document),
            norm_eps=_number(document, "rms_norm_eps", _DEFAULT_NORM_EPS),
            rope_base=_number(rope, "rope_theta", _DEFAULT_ROPE_BASE),
            rope_scaling=_scaling(rope, max_positions),
            tied_head=family.has_tied_head(document),
            qkv_bias=architecture == "Qwen2ForCausalLM",
            max_positions=max_positions,
            sliding_window=_sliding_window(document, architecture),
        )


def _check_positive_integer(subject: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{subject} must be a positive integer, not {value!r}")


def _positive_number(subject: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise CheckpointError(f"{subject} must be a positive number, not {value!r}")
    return value


def _check_fields(subject: str, document: object, declared: type) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise CheckpointError(f"{subject} must be a mapping, not {document!r}")
    known = {entry.name: entry for entry in dataclasses.fields(declared)}
    for key in document:
        if key not in known:
            raise CheckpointError(f"{subject} field must be {nearest(str(key), known)}, not {key!r}")
    for key, entry in known.items():
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and key not in document:
            raise CheckpointError(f"{subject} must have the field {key}, which is missing")
    return dict(document)


def _number(document: Mapping[str, object], key: str, default: float | None = None) -> float:
    value = document.get(key)
    value = default if value is None else value
    return float(_positive_number(f"config.json {key}", value))


def _refuse_unsupported(document: Mapping[str, object]) -> None:
    if document.get("quantization_config") is not None:
        raise CheckpointError("config.json quantization_config must be absent: give the unquantized checkpoint")
    activation = document.get("hidden_act", "silu")
    if activation not in ("silu", "swish"):
        raise CheckpointError(f"config.json hidden_act must be silu, not {activation!r}")
    for key in ("attention_bias", "mlp_bias"):
        if boolean(document, key, False):
            raise CheckpointError(f"config.json {key} must be false, not true")
    partial = document.get("partial_rotary_factor", 1.0)
    if partial != 1.0:
        raise CheckpointError(f"config.json partial_rotary_factor must be 1, not {partial!r}")


def _sliding_window(document: Mapping[str, object], architecture: str) -> int | None:
    if architecture in _FULL_ATTENTION:
        name = _FULL_ATTENTION[architecture]
        if boolean(document, "use_sliding_window", False):
            raise CheckpointError(f"config.json use_sliding_window must be false in a {name} model, not true")
        kinds = document.get("layer_types") or []
        if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
            raise CheckpointError(f"config.json layer_types must be full_attention alone in a {name} model, not {shown(kinds)}")
        return None
    if architecture == "LlamaForCausalLM" or document.get("sliding_window") is None:
        return None
    return integer(document, "sliding_window")


def _rope_entries(document: Mapping[str, object]) -> dict[str, object]:
    """Merge the two spellings of the rotary entries: at top level with rope_scaling, or all in rope_parameters."""
    merged: dict[str, object] = {"rope_theta": document.get("rope_theta")}
    for key in ("rope_scaling", "rope_parameters"):
        entries = document.get(key)
        if entries is None:
            continue
        if not isinstance(entries, Mapping):
            raise CheckpointError(f"config.json {key} must be an object, not {entries!r}")
        merged.update(entries)
    return merged


def _scaling(rope: Mapping[str, object], max_positions: int) -> RopeScaling:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind in ("default", "none"):
        return RopeScaling()
    if not isinstance(kind, str) or kind not in ROPE_SCALINGS:
        raise CheckpointError(f"RoPE scaling must be {nearest(str(kind), ROPE_SCALINGS)}, not {kind!r}")
    linear = RopeScaling(kind="linear", factor=_number(rope, "factor"))
    if kind == "linear":
        return linear
    stretched = dataclasses.replace(
        linear, kind=kind, original_positions=integer(rope, "original_max_position_embeddings", max_positions)
    )
    if kind == "llama3":
        low, high = _number(rope, "low_freq_factor"), _number(rope, "high_freq_factor")
        return dataclasses.replace(stretched, low_frequency_factor=low, high_frequency_factor=high)
    for key in ("mscale", "mscale_all_dim"):
        if rope.get(key) is not None:
            raise CheckpointError(f"config.json RoPE entry {key} must be absent, not {rope[key]!r}")
    attention_factor = rope.get("attention_factor")
    return dataclasses.replace(
        stretched,
        fast_turns=_number(rope, "beta_fast", 32.0),
        slow_turns=_number(rope, "beta_slow", 1.0),
        attention_factor=None if attention_factor is None else _number(rope, "attention_factor"),
    )
