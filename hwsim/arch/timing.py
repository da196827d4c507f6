"""The constants of the timing laws; docs/engine.md says where each one enters."""

__all__ = [
    "CYCLES_PER_DISPATCH",
    "EPILOGUE_LATENCY",
    "FIFO_LATENCY",
    "KV_SCALAR",
    "MATRIX_LATENCY",
    "NORM_SCALAR",
    "PASS_LATENCY",
    "QUANT_SCALAR",
    "READ_LATENCY",
    "SIDE_BURST_BEATS",
    "SOFTMAX_SCALAR",
    "STALL_RATE",
    "WRITE_LATENCY",
    "WRITE_LEAD",
]

CYCLES_PER_DISPATCH = 3
"""Fetch, decode, execute of the sequencer."""
FIFO_LATENCY = 2
"""Cycles from a beat's arrival to the first cycle it can be popped."""
MATRIX_LATENCY = 21
"""Cycles from a capture to its first drained word leaving the array."""
EPILOGUE_LATENCY = 6
"""Cycles from the last drained word leaving the array to retirement: scale, residual, write."""
PASS_LATENCY = 18
"""Cycles a vector pass takes beyond one per word: memory, arithmetic, reduction, write."""
NORM_SCALAR = 10
QUANT_SCALAR = 10
SOFTMAX_SCALAR = 10
KV_SCALAR = 10
"""Cycles of the scalar phases: bit-serial division. What only the scale entry needs is computed during the next pass."""
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
