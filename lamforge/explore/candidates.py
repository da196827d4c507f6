"""Candidates of a study as arrays: one entry a design for everything that the time of a decoded token depends on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from compiler.pipeline import Request
from hwsim.memory.models import MemoryModel

__all__ = ["Candidates"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Arrays that broadcast to [candidates]; int64 where nothing else is said. Names are those of what they stand for.

    Attributes:
        layers, hidden, heads, kv_heads, head_dim, ffn, vocab: of `ModelConfig`.
        has_head_norms: 1 where query heads and key heads are normalized, else 0.
        layer_format, head_format: values of `Format`.
        cache_format: values of `CacheFormat`.
        sinks, window, batch: of `Request`.
        positions: `context` of `Request`, the positions that can be run.
        clock_hz: float64; this and the following of `EngineConfig`, fields of its units without the unit's name.
        memory: values of `MemoryKind`.
    """

    layers: np.ndarray
    hidden: np.ndarray
    heads: np.ndarray
    kv_heads: np.ndarray
    head_dim: np.ndarray
    ffn: np.ndarray
    vocab: np.ndarray
    has_head_norms: np.ndarray
    layer_format: np.ndarray
    head_format: np.ndarray
    cache_format: np.ndarray
    sinks: np.ndarray
    window: np.ndarray
    batch: np.ndarray
    positions: np.ndarray
    clock_hz: np.ndarray
    channel_bytes: np.ndarray
    ports: np.ndarray
    port_bits: np.ndarray
    tokens: np.ndarray
    nibble_tokens: np.ndarray
    burst_beats: np.ndarray
    fifo_beats: np.ndarray
    lanes: np.ndarray
    activation_segments: np.ndarray
    result_words: np.ndarray
    residual_words: np.ndarray
    parameter_words: np.ndarray
    side_words: np.ndarray
    scales: np.ndarray
    queue_depth: np.ndarray
    program_words: np.ndarray
    memory: np.ndarray

    @classmethod
    def of(cls, designs: Sequence[tuple[Request, MemoryModel]]) -> Candidates:
        """Return single designs, each what the compiler is asked and the memory it runs with, as arrays [designs]."""
        rows = [_values(request, memory) for request, memory in designs]
        return cls(**{field.name: np.array([row[field.name] for row in rows]) for field in dataclasses.fields(cls)})


def _values(request: Request, memory: MemoryModel) -> dict[str, int | float]:
    engine, model = request.engine, request.config
    parts = (engine.tile, engine.fetch, engine.vector, engine.buffer, engine.control)
    values: dict[str, int | float] = {name: value for part in parts for name, value in vars(part).items()}
    values |= {name: getattr(model, name) for name in ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")}
    values |= {name: getattr(request, name) for name in ("sinks", "window", "batch")}
    return values | {
        "has_head_norms": int(model.has_head_norms),
        "layer_format": int(request.layers),
        "head_format": int(request.head),
        "cache_format": int(request.cache),
        "positions": request.context,
        "clock_hz": engine.clock_hz,
        "channel_bytes": engine.channel_bytes,
        "memory": int(memory.kind),
    }
