"""The pipeline of the matrix unit: what happens how many cycles after a beat is popped or a block is captured.

Stage k of a beat popped in cycle c, and of word i of a block captured in cycle c - i, is cycle c + k. A value "at stage
k" is a register (or memory output) that is valid in that cycle.
"""

from hwsim.arch.config import EngineConfig
from hwsim.arch.timing import EPILOGUE_LATENCY, MATRIX_LATENCY
from rtl.arithmetic import ApplyScale
from rtl.matrix.multiplier import PackedMultipliers
from rtl.matrix.small_products import SmallProducts

__all__ = [
    "ACCUMULATED",
    "ACTIVATION",
    "APPLIED",
    "APPLY",
    "DECODE",
    "DRAIN",
    "FIRST_PRODUCT",
    "HOP",
    "LANE_DRAIN",
    "LEAVE",
    "PARAMETER",
    "RESULT_READ",
    "ROW_DRAIN",
    "SCALE_READ",
    "SECOND_PRODUCT",
    "SLICE",
    "SUMS",
    "SUMS_READY",
    "TREE",
    "WRITE",
    "check_stages",
]

DRAIN = 1
"""The drain names its word."""
ACTIVATION = 1
"""Activations leave their memory."""
HOP = 5
"""Activations lie in the order of the lanes and leave for the tiles; the next stage is a register in each tile."""
DECODE = 5
"""Stream words and the step's control enter a slice."""
SLICE = 6
"""Activations enter the slice, and meet the decoded word."""
PARAMETER = SCALE_READ = 7
"""The row scale of a captured block leaves its slice; the scale file is addressed."""
SUMS_READY = 7
"""Group sums of the activations are known, once for all slices."""
FIRST_PRODUCT = SLICE + PackedMultipliers.FIRST
"""Products of the first DSPs of the columns are known."""
SECOND_PRODUCT = SLICE + PackedMultipliers.SECOND
"""Products of the second ones, or the sums of both, are known."""
LANE_DRAIN = SECOND_PRODUCT + 1
"""Lane accumulators (AXPY) hold their final sums; the drain reads them."""
SUMS = SECOND_PRODUCT + 3
"""Group sums enter the slices, together with the slice's own sum of products."""
ACCUMULATED = ROW_DRAIN = SUMS + 3
"""The hold registers of the row accumulators (DOT) hold a captured block; the drain reads them."""
TREE = LANE_DRAIN + 2
"""Lane sums leave the slices and enter the adder tree over slices, one level a stage."""
LEAVE = MATRIX_LATENCY
"""A word leaves the array."""
APPLY = LEAVE + 1
APPLIED = APPLY + ApplyScale.LATENCY
"""The word has been multiplied by its scale."""
WRITE = LEAVE + EPILOGUE_LATENCY
"""The word is written; the instruction retires in the cycle after its last word is."""
RESULT_READ = WRITE - 2
"""The residual or bias that is added to the word is addressed."""


def check_stages(config: EngineConfig) -> None:
    """Fail when a constant of hwsim.arch.timing is too small for the circuit of an engine that EngineConfig accepts."""
    tree_levels = (config.tile.slices - 1).bit_length()
    assert max(ROW_DRAIN + 2, TREE + tree_levels) < LEAVE, "MATRIX_LATENCY is below the depth of the array"
    assert SLICE + SmallProducts.LATENCY == SUMS, "SmallProducts must meet the sums of the columns"
    assert WRITE > APPLIED, "EPILOGUE_LATENCY is below the depth of the epilogue"
