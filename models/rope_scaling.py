"""How rotary frequencies are stretched beyond the length a model was first trained on, and what config.json says of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.families import boolean, integer, number, positive_integer, positive_number

__all__ = ["DEFAULT_BASE", "ROPE_ENTRIES", "ROPE_SCALINGS", "RopeScaling", "base_and_scaling"]

ROPE_SCALINGS = ("none", "linear", "llama3", "yarn")

DEFAULT_BASE = 10000.0
"""Base of the rotary frequencies where a file gives none."""

ROPE_ENTRIES = ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings", "rope_scaling", "rope_parameters")
"""Entries of config.json, at its top level, that `base_and_scaling` reads."""

_FAST_TURNS, _SLOW_TURNS = 32.0, 1.0


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How rotary frequencies are stretched beyond the length a model was first trained on.

    kind: one of ROPE_SCALINGS.
    factor: stretch of the positions; 1 for "none".
    original_positions: training length before stretching ("llama3" and "yarn").
    low_frequency_factor, high_frequency_factor: band edges in turns over the training length ("llama3").
    fast_turns, slow_turns: band edges in turns over the training length ("yarn").
    attention_factor: multiplier of cosine and sine ("yarn"); None takes 0.1 ln(factor) + 1.
    is_truncated: whether the band edges are rounded outwards to whole features ("yarn").
    """

    kind: str = "none"
    factor: float = 1.0
    original_positions: int = 0
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    fast_turns: float = _FAST_TURNS
    slow_turns: float = _SLOW_TURNS
    attention_factor: float | None = None
    is_truncated: bool = True

    def __post_init__(self) -> None:
        if self.kind not in ROPE_SCALINGS:
            raise CheckpointError(f"RoPE scaling must be {nearest(str(self.kind), ROPE_SCALINGS)}, not {shown(self.kind)}")
        for name in ("factor", "low_frequency_factor", "high_frequency_factor", "fast_turns", "slow_turns"):
            positive_number(f"RoPE scaling {name}", getattr(self, name))
        if self.kind in ("llama3", "yarn"):
            positive_integer("RoPE scaling original_positions", self.original_positions)
        if self.high_frequency_factor <= self.low_frequency_factor:
            raise CheckpointError(
                f"RoPE scaling high_frequency_factor must be above low_frequency_factor "
                f"{shown(self.low_frequency_factor)}, not {shown(self.high_frequency_factor)}"
            )
        if self.attention_factor is not None:
            positive_number("RoPE scaling attention_factor", self.attention_factor)
        if not isinstance(self.is_truncated, bool):
            raise CheckpointError(f"RoPE scaling is_truncated must be true or false, not {shown(self.is_truncated)}")

    def band(self, head_dim: int, base: float) -> tuple[float, float]:
        """Return the pairs of features at which stretching begins and is whole ("yarn").

        The second lies before the first where the training length is too short for the turns. Ref: YaRN, arXiv 2309.00071,
        section 3.2.
        """

        def place(turns: float) -> float:
            return head_dim * math.log(self.original_positions / (turns * 2 * math.pi)) / (2 * math.log(base))

        first, last = place(self.fast_turns), place(self.slow_turns)
        if self.is_truncated:
            first, last = math.floor(first), math.ceil(last)
        return max(first, 0), min(last, head_dim - 1)


# Entries of config.json that each kind reads; transformers passes over the last two where a kind does not need them.
_COMMON = ("rope_type", "type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings", "finetuned")
_ENTRIES: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
}


def base_and_scaling(document: Mapping[str, object], max_positions: int) -> tuple[float, RopeScaling]:
    """Return the base of the rotary frequencies and their stretching, as a parsed config.json gives them.

    max_positions: longest sequence the model was made for; the training length where the file gives none.

    As in transformers 5.24, `rope_scaling` stands for the whole of `rope_parameters` where both are there, an entry of the block
    goes before the one of the top level, and only the training length of the top level goes before that of the block.
    CheckpointError names the entry that cannot be honoured.
    """
    block = _block(document, "rope_scaling") or _block(document, "rope_parameters")
    whole = {**{key: document[key] for key in ("rope_theta", "partial_rotary_factor") if key in document}, **block}
    kind = whole.get("rope_type", whole.get("type", "default"))
    kind = "default" if kind == "none" else kind
    if not isinstance(kind, str) or kind not in _ENTRIES:
        raise CheckpointError(f"RoPE scaling must be {nearest(str(kind), _ENTRIES)}, not {shown(kind)}")
    for key in block:
        known = (*_COMMON, *_ENTRIES[kind])
        if key not in known:
            raise CheckpointError(f"config.json RoPE entry of {kind} scaling must be {nearest(str(key), known)}, not {shown(key)}")
    partial = whole.get("partial_rotary_factor")
    if partial is not None and (isinstance(partial, bool) or partial != 1):
        raise CheckpointError(f"config.json partial_rotary_factor must be 1, not {shown(partial)}")
    base = number(whole, "rope_theta") if "rope_theta" in whole else DEFAULT_BASE
    if kind == "default":
        return base, RopeScaling()
    if kind == "linear":
        return base, RopeScaling(kind=kind, factor=number(whole, "factor"))
    key = "original_max_position_embeddings"
    original = integer(document if key in document else {key: max_positions, **block}, key)
    if kind == "llama3":
        return base, RopeScaling(
            kind=kind,
            factor=number(whole, "factor"),
            original_positions=original,
            low_frequency_factor=number(whole, "low_freq_factor"),
            high_frequency_factor=number(whole, "high_freq_factor"),
        )
    if "factor" not in whole:
        raise CheckpointError("config.json factor must be a positive number in yarn scaling, but is missing")
    factor = max_positions / original if whole["factor"] is None else number(whole, "factor")
    return base, RopeScaling(
        kind=kind,
        factor=factor,
        original_positions=original,
        fast_turns=number(whole, "beta_fast", _FAST_TURNS),
        slow_turns=number(whole, "beta_slow", _SLOW_TURNS),
        attention_factor=_attention_factor(whole, factor),
        is_truncated=boolean(whole, "truncate", True),
    )


def _block(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    block = document.get(key)
    if block is not None and not isinstance(block, Mapping):
        raise CheckpointError(f"config.json {key} must be an object, not {shown(block)}")
    return block or {}


def _attention_factor(entries: Mapping[str, object], factor: float) -> float | None:
    """Return the multiplier of cosine and sine, or None for the usual one.

    It is the one given or, where both are there, that of `mscale` over that of `mscale_all_dim`.
    """
    if entries.get("attention_factor") is not None:
        return number(entries, "attention_factor")
    both = [number(entries, key) for key in ("mscale", "mscale_all_dim") if entries.get(key) is not None]
    if len(both) < 2 or factor <= 1:
        return None
    above, below = (0.1 * scale * math.log(factor) + 1.0 for scale in both)
    return above / below
