"""The pipeline of the matrix unit: what happens how many cycles after a beat is popped or a block is captured.

Stage k of a beat popped in cycle c, and of word i of a block captured in cycle c - i, is cycle c + k. A value "at stage
k" is a register (or memory output) that is valid in that cycle.
"""

from hwsim.arch.config import EngineConfig
from hwsim.arch.timing import EPILOGUE_LATENCY, MATRIX_LATENCY
from rtl.arithmetic import ApplyScale
from rtl.matrix.accumulator import RowAccumulator
from rtl.matrix.multiplier import PackedMultipliers
from rtl.matrix.small_products import SmallProducts

__all__ = [
    "ACCUMULATED",
    "ACTIVATION",
    "APPLIED",
    "APPLY",
    "DECODE",
    "DRAIN",
    "ENTRY_WRITE",
    "FIRST_PRODUCT",
    "GATHER",
    "HOP",
    "LANE_DRAIN",
    "LEAVE",
    "MERGED",
    "ORDERED",
    "PARAMETER",
    "REGION_LEVELS",
    "RESULT_READ",
    "ROW_DRAIN",
    "SCALE_READ",
    "SECOND_PRODUCT",
    "SENT",
    "SLICE",
    "SUMS",
    "SUMS_READY",
    "TREE",
    "WRITE",
    "check_stages",
]

SENT = 1
"""What the sequencer says of a beat leaves for the regions."""
DRAIN = 2
"""The drain names its word, and sends it to the regions."""
ACTIVATION = 2
"""Activations leave their memories, whose address was registered beside them."""
ORDERED = ACTIVATION + 3
"""Activations lie in the order of the lanes, and leave for the regions."""
HOP = ORDERED + 1
"""Activations are in every region; the next stage is a register in each tile."""
DECODE = HOP
"""Stream words and the step's control enter a slice."""
SLICE = DECODE + 1
"""Activations enter the slice, and meet the decoded word."""
PARAMETER = SLICE + 1
"""The row scale of a captured block leaves its slice."""
GATHER = 3
"""Cycles from a slice's output to the shared region: a choice in the slice's region, the way, a merger."""
SCALE_READ = PARAMETER + GATHER - 1
"""The scale file is addressed, so that its entry comes with the row scale."""
ENTRY_WRITE = SCALE_READ + 2
"""Value parameters are written, before the word that they belong to: nobody reads them until its instruction has retired."""
SUMS_READY = ACTIVATION + 7
"""Group sums of the activations are known, once for all slices."""
FIRST_PRODUCT = SLICE + PackedMultipliers.FIRST
"""Products of the first DSPs of the columns are known."""
SECOND_PRODUCT = SLICE + PackedMultipliers.SECOND
"""Products of the second ones, or the sums of both, are known."""
LANE_DRAIN = SECOND_PRODUCT + 1
"""Lane accumulators (AXPY) hold their final sums; the drain reads them."""
SUMS = SECOND_PRODUCT + 3
"""Group sums enter the slices, together with the slice's own sum of products."""
ACCUMULATED = SUMS + RowAccumulator.LATENCY
"""Row accumulators (DOT) hold a captured block."""
ROW_DRAIN = ACCUMULATED + 1
"""Their hold registers do; the drain reads them."""
TREE = LANE_DRAIN + 2
"""Lane sums leave the slices and enter the adder tree of their region."""
REGION_LEVELS = 3
"""Levels of that tree, three numbers to one each: for the 16 of 128 slices that are equal modulo 8."""
MERGED = TREE + REGION_LEVELS + 2
"""Sums of all regions, in up to eight parts; these halve in number with every stage."""
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
    parts = min(8, config.vector.lanes, config.tile.slices)
    assert max(ROW_DRAIN + 1 + GATHER, MERGED + parts.bit_length()) < LEAVE, "MATRIX_LATENCY is below the depth of the array"
    assert SLICE + SmallProducts.LATENCY == SUMS, "SmallProducts must meet the sums of the columns"
    assert WRITE > APPLIED, "EPILOGUE_LATENCY is below the depth of the epilogue"
