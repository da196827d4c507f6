"""The constants of the timing laws; docs/engine.md says where each one enters."""

__all__ = [
    "CODE_LATENCY",
    "EPILOGUE_LATENCY",
    "FIFO_LATENCY",
    "MATRIX_LATENCY",
    "MEASURE_LATENCY",
    "MOVER_WRITES",
    "PEAK_LATENCY",
    "READ_LATENCY",
    "REFILL_CYCLES",
    "SIDE_BURST_BEATS",
    "STALL_RATE",
    "VECTOR_ROWS",
    "WRITE_LATENCY",
    "WRITE_LEAD",
]

REFILL_CYCLES = 3
"""Fetch, decode, execute: cycles from a change of registers or program counter to the execution of the next instruction."""
FIFO_LATENCY = 2
"""Cycles from a beat's arrival to the first cycle it can be popped."""
MATRIX_LATENCY = 24
"""Cycles from a capture to its first drained word leaving the array."""
EPILOGUE_LATENCY = 6
"""Cycles from the last drained word leaving the array to retirement: scale, residual, write."""
PEAK_LATENCY = 6
"""Cycles between the two passes of a SOFTMAX row: the largest score must be known before the first distance to it."""
MEASURE_LATENCY = 31
"""Cycles from the end of a row's first pass to its first code: arithmetic, reduction, reciprocal."""
CODE_LATENCY = 10
"""Cycles from the end of a row's codes to its retirement: arithmetic, sum of the zero points, scale entry."""
VECTOR_ROWS = 8
"""Rows between the start of their first pass and the end of their codes, at most."""
SIDE_BURST_BEATS = 64
"""Beats of a full read burst on the side port."""
WRITE_LEAD = 8
"""Cycles the writer needs before its first beat: addresses, and reading the first words."""
MOVER_WRITES = 8
"""Instructions of the mover that may wait for responses at a time."""
READ_LATENCY = 32
"""Cycles from an accepted read address to its first beat, in the `ideal` and `stalling` memory models."""
WRITE_LATENCY = 8
"""Cycles from an accepted write to its response, in the same models."""
STALL_RATE = 48
"""Of 256 cycles, how many a channel of the `stalling` model is held down on average."""
