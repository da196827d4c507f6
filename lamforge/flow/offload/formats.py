"""Knows the formats that a workload may be asked in, by name: bits of a stored weight and of a cached value, scales included."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

__all__ = ["FORMATS", "WorkFormat"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkFormat:
    """Bits of a number, scales included."""

    weight: float
    cache: float


FORMATS: Mapping[str, WorkFormat] = {
    "fp16": WorkFormat(weight=16, cache=16),
    # Groups of 64 with minimum and maximum in FP16, as FlexGen compresses (arXiv 2303.06865).
    "flexgen-int4": WorkFormat(weight=4.5, cache=4.5),
    # Its released parameters, 3.43 GB of Llama-2-7B; the cache in FP16 fits its two measured contexts.
    "flightllm": WorkFormat(weight=4.07, cache=16),
    # As the engine's memory has them (docs/decisions/0004): a word of scales before eight of data; a header before two keys.
    "w8a8kv4": WorkFormat(weight=8.5, cache=4.25),
    "w4a8kv4": WorkFormat(weight=4.5, cache=4.25),
    # 2:4, indices and scales included.
    "w2a8kv4": WorkFormat(weight=2.0, cache=4.25),
}
"""By the name that commands take."""
