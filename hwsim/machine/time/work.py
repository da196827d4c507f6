"""What the time of an instruction depends on, as numbers: beats, blocks, drain lengths, durations, token partners."""

from __future__ import annotations

import dataclasses

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import (
    Append,
    Axpy,
    CacheFormat,
    Dot,
    Fetch,
    Format,
    KvQuant,
    Load,
    Norm,
    Quant,
    Rope,
    Softmax,
    Store,
    SwiGlu,
)
from hwsim.arch.timing import PEAK_LATENCY
from hwsim.machine.trace import Trace

__all__ = ["AXPY", "BLOCKS", "BLOCKS_TWO_CYCLES", "NEVER", "READ", "WRITE", "Work", "body_beats", "work_of"]

NEVER = -2
"""Token partner of a wait that no signal will ever answer."""

BLOCKS, BLOCKS_TWO_CYCLES, AXPY = range(3)
"""Kinds of matrix work: row blocks of one-cycle beats, of W2 (data beats take two cycles), weighted sums."""
READ, WRITE = range(2)
"""Kinds of mover work."""

_RUN = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """Per dynamic instruction, int64.

    `amount` [instructions, 5]:
      FETCH   offset, beats, 0, 0, 0
      MATRIX  kind, blocks (of AXPY: beats), body beats of a block, blocks per header, drain length
      VECTOR  rows, words of a row, cycles of a row's first passes, 0, 0
      MOVER   kind, beats, first word of the side memory a store writes (-1: an append), 0, 0
    `partner` [instructions, 4]: for each unit waited for, the instruction whose token is taken; -1 without a wait.
    """

    unit: np.ndarray
    amount: np.ndarray
    partner: np.ndarray


def body_beats(format_: int, inner: np.ndarray) -> np.ndarray:
    """Return the beats of one row block without header for rows of `inner` x 32 inputs."""
    if format_ == Format.W4:
        return inner + -(-inner // _RUN)
    if format_ == Format.W8:
        return 2 * inner + -(-inner // _RUN)
    if format_ == Format.W2:
        return inner // 2 + -(-(inner // 2) // _RUN)
    if format_ == Format.W2S:
        return inner // 2
    if format_ == Format.KV8:
        return 2 * inner
    return inner


def work_of(trace: Trace, config: EngineConfig) -> Work:
    """Return the work of the instructions of a trace that `hwsim.machine.rules.check` accepted."""
    amount = np.zeros((len(trace), 5), dtype=np.int64)
    rows = trace.rows_of(Fetch)
    amount[rows, 0], amount[rows, 1] = trace.values(Fetch, "offset", rows), trace.values(Fetch, "beats", rows)
    _matrix(trace, config, amount)
    vectors: tuple[type[Instruction], ...] = (Norm, Quant, SwiGlu, Rope, Softmax, KvQuant)
    for kind in vectors:
        rows = trace.rows_of(kind)
        amount[rows, 0] = 1 if kind is KvQuant else trace.values(kind, "rows", rows)
        amount[rows, 1], amount[rows, 2] = _row_words(trace, kind, rows)
    copies: tuple[tuple[type[Instruction], int], ...] = ((Load, READ), (Store, WRITE), (Append, WRITE))
    for kind, code in copies:
        rows = trace.rows_of(kind)
        amount[rows, 0] = code
        amount[rows, 1] = (
            (1 << trace.values(kind, "segments", rows)) + 1 if kind is Append else trace.values(kind, "beats", rows)
        )
        if code == WRITE:
            amount[rows, 2] = -1 if kind is Append else trace.values(kind, "offset", rows)
    return Work(unit=trace.unit, amount=amount, partner=_partners(trace))


def _matrix(trace: Trace, config: EngineConfig, amount: np.ndarray) -> None:
    rows = trace.rows_of(Dot)
    formats, inner, blocks = (trace.values(Dot, name, rows) for name in ("format", "inner", "blocks"))
    amount[rows, 0] = np.where(formats == Format.W2, BLOCKS_TWO_CYCLES, BLOCKS)
    amount[rows, 1] = blocks
    amount[rows, 2] = np.choose(formats, [body_beats(f, inner) for f in Format])
    amount[rows, 3] = np.where(np.isin(formats, [cache.keys for cache in CacheFormat]), 2, 4)
    amount[rows, 4] = np.where(blocks == 0, 1, config.drain_words * trace.values(Dot, "rows", rows))
    rows = trace.rows_of(Axpy)
    amount[rows, 0], amount[rows, 1] = AXPY, trace.values(Axpy, "beats", rows)
    amount[rows, 3], amount[rows, 4] = 1, config.mixed_words * trace.values(Axpy, "rows", rows)


def _row_words(trace: Trace, kind: type[Instruction], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the words of a row, and the cycles in which they and the constants of NORM are selected for the first time."""
    if kind is Softmax:
        words = trace.values(Softmax, "sink_words", rows) + trace.values(Softmax, "ring_words", rows)
        return words, 2 * words + PEAK_LATENCY
    words = trace.values(kind, "length", rows)
    return words, words + (1 if kind is Norm else 0)


def _partners(trace: Trace) -> np.ndarray:
    """Match the n-th wait of a unit for another with the n-th signal of that other: counters are in order."""
    unit, wait, signal = trace.unit, trace.header("wait"), trace.header("signal")
    partner = np.full((len(trace), len(Unit)), -1, dtype=np.int64)
    for producer in Unit:
        for consumer in Unit:
            waits = np.flatnonzero((unit == consumer) & (wait >> producer & 1 == 1))
            signals = np.flatnonzero((unit == producer) & (signal >> consumer & 1 == 1))
            partner[waits, producer] = NEVER
            matched = min(len(waits), len(signals)) if producer != consumer else 0
            partner[waits[:matched], producer] = signals[:matched]
    return partner
