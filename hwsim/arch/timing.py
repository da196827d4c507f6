"""The constants of the timing laws; docs/engine.md says where each one enters."""

__all__ = [
    "CODE_LATENCY",
    "CYCLES_PER_DISPATCH",
    "EPILOGUE_LATENCY",
    "FIFO_LATENCY",
    "MATRIX_LATENCY",
    "MEASURE_LATENCY",
    "PEAK_LATENCY",
    "READ_LATENCY",
    "SIDE_BURST_BEATS",
    "STALL_RATE",
    "VECTOR_ROWS",
    "WRITE_LATENCY",
    "WRITE_LEAD",
]

CYCLES_PER_DISPATCH = 3
"""Fetch, decode, execute of the sequencer."""
FIFO_LATENCY = 2
"""Cycles from a beat's arrival to the first cycle it can be popped."""
MATRIX_LATENCY = 19
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
WRITE_LEAD = 6
"""Cycles the writer needs before its first beat: addresses, and reading the first words."""
READ_LATENCY = 32
"""Cycles from an accepted read address to its first beat, in the `ideal` and `stalling` memory models."""
WRITE_LATENCY = 8
"""Cycles from an accepted write to its response, in the same models."""
STALL_RATE = 48
"""Of 256 cycles, how many a channel of the `stalling` model is held down on average."""
