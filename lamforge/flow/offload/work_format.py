"""Formats of numbers: the bits of a weight, of a value between operators and of a cached value, together or each by itself."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

from hwsim.arch.stream_sizes import CacheFormat, Format
from hwsim.errors import SpecError, shown
from hwsim.nearest import closest

__all__ = ["FORMATS", "LISTED", "WorkFormat", "work_format"]

_HEAD_DIM = 128
"""Elements of a head, over which the header of a key is spread."""
_WHOLE = 16.0
_GROUPED = 4.5
"""Groups of 64 with minimum and maximum in FP16, as FlexGen compresses (arXiv 2303.06865)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkFormat:
    """Bits of a number, scales included."""

    weight: float = _WHOLE
    activation: float = _WHOLE
    cache: float = _WHOLE


_WEIGHTS: Mapping[str, float] = {
    "w16": _WHOLE,
    # As the engine's memory has them (docs/decisions/0004).
    "w8": Format.W8.sizes.bits_per_weight,
    "w4": Format.W4.sizes.bits_per_weight,
    "w2": Format.W2S.sizes.bits_per_weight,
    "w4g64": _GROUPED,
}
_ACTIVATIONS: Mapping[str, float] = {"a16": _WHOLE, "a8": 8.0}
_CACHES: Mapping[str, float] = {
    "kv16": _WHOLE,
    "kv8": CacheFormat.KV8.bits_per_value(_HEAD_DIM),
    "kv4": CacheFormat.KV4.bits_per_value(_HEAD_DIM),
    "kv4g64": _GROUPED,
}
_NAMED: Mapping[str, WorkFormat] = {
    "fp16": WorkFormat(),
    "flexgen-int4": WorkFormat(weight=_GROUPED, cache=_GROUPED),
    # Its released parameters, 3.43 GB of Llama-2-7B; the cache in FP16 fits its two measured contexts.
    "flightllm": WorkFormat(weight=4.07),
}


def _of_parts() -> Mapping[str, WorkFormat]:
    """Return every format that names some of its parts; what is not named has 16 bits."""
    choices = ({"": _WHOLE} | dict(part) for part in (_WEIGHTS, _ACTIVATIONS, _CACHES))
    made = itertools.product(*(choice.items() for choice in choices))
    found = {
        w + a + kv: WorkFormat(weight=weight, activation=activation, cache=cache)
        for (w, weight), (a, activation), (kv, cache) in made
    }
    return {name: each for name, each in found.items() if name}


FORMATS: Mapping[str, WorkFormat] = {**_NAMED, **_of_parts()}
"""Every format by the name that commands take: parts for weights, activations and cache one after another, or a name of its own."""

LISTED: Mapping[str, WorkFormat] = {name: FORMATS[name] for name in (*_NAMED, *_WEIGHTS, *_ACTIVATIONS, *_CACHES)}
"""The formats of which the others are put together."""


def work_format(text: str) -> WorkFormat:
    """Return a format by name; raise SpecError where there is none."""
    if text not in FORMATS:
        parts = ", ".join(" or ".join(part) for part in (_WEIGHTS, _ACTIVATIONS, _CACHES))
        guess = closest(text, FORMATS)
        near = f" (nearest: {guess})" if guess else ""
        raise SpecError(f"Format must be {', '.join(_NAMED)}, or some of {parts} in this order{near}, not {shown(text)}")
    return FORMATS[text]
