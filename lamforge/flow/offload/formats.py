"""The formats that a workload may be asked in, by name: bits of a stored weight and of a cached value, scales included."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hwsim.arch.stream_sizes import CacheFormat, Format

__all__ = ["FORMATS", "WorkFormat"]

_HEAD_DIM = 128
"""Elements of a head, over which the header of a key is spread."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkFormat:
    """Bits of a number, scales included."""

    weight: float
    cache: float


def _engine(weights: Format, cache: CacheFormat) -> WorkFormat:
    return WorkFormat(weight=weights.sizes.bits_per_weight, cache=cache.bits_per_value(_HEAD_DIM))


FORMATS: Mapping[str, WorkFormat] = {
    "fp16": WorkFormat(weight=16, cache=16),
    # Groups of 64 with minimum and maximum in FP16, as FlexGen compresses (arXiv 2303.06865).
    "flexgen-int4": WorkFormat(weight=4.5, cache=4.5),
    # Its released parameters, 3.43 GB of Llama-2-7B; the cache in FP16 fits its two measured contexts.
    "flightllm": WorkFormat(weight=4.07, cache=16),
    # As the engine's memory has them (docs/decisions/0004).
    "w8a8kv4": _engine(Format.W8, CacheFormat.KV4),
    "w4a8kv4": _engine(Format.W4, CacheFormat.KV4),
    "w2a8kv4": _engine(Format.W2S, CacheFormat.KV4),
}
"""By the name that commands take."""
