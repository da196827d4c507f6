"""The stages of the vector unit's two pipelines, in cycles after the selection of a word or the end of a row.

Stage k of a word selected in cycle c is cycle c + k; a value "at stage k" is a register or memory output valid then. The
first pass ends in the scalar stages of a row, counted from the selection of its last word; the codes have stages of
their own, counted from the selection of the word in the temporary memory.
"""

from hwsim.arch.timing import CODE_LATENCY, MEASURE_LATENCY, PEAK_LATENCY
from hwsim.errors import ConfigError
from rtl.arithmetic import ApplyScale, Combine, Normalizer, Reciprocal, SquareRoot
from rtl.vector.statistics import tree_stages

__all__ = ["CodeStage", "RowStage", "Stage", "check_timing"]


class Stage:
    """The first pass; addresses are presented a cycle before their data."""

    EARLY = 1
    """Results arrive: scores and gates go through a table first."""
    MASK = 2
    """Which scores are valid is known."""
    SCORE = 3
    """Valid scores enter the tree that finds the largest."""
    LATE = 7
    """Everything else arrives; operands are registered next."""
    OPERAND = 8
    PRODUCT = 10
    ADDEND = 11
    """What is summed enters its tree."""
    VALUE = 13
    """The value goes to the temporary memory."""
    KEY = 14
    """What the maxima are taken of enters its trees."""


class RowStage:
    """The scalars of a row, from the end of its first pass on; a row every cycle."""

    def __init__(self, lanes: int):
        self.start = Stage.KEY + tree_stages(lanes) + 1
        """Maxima and sum stand."""
        self.collected = self.start + 1
        self.normalized = self.collected + Normalizer.LATENCY
        self.mean = self.normalized + Combine.LATENCY + 1
        self.root = self.mean + SquareRoot.LATENCY
        """The factor of the scale that is inverted next: the root of the mean square, or the sum of the weights."""
        self.factor = self.root + Reciprocal.LATENCY
        self.inverted = self.normalized + Reciprocal.LATENCY
        self.inverse = self.inverted + Combine.LATENCY + 1
        """The inverse can be read."""
        self.zero = self.inverse + ApplyScale.LATENCY + 1
        self.scale = self.factor + Combine.LATENCY + 1


class CodeStage:
    """The second pass."""

    READ = 1
    """The word arrives from the temporary memory, with its row's inverse."""
    VALUE = READ + ApplyScale.LATENCY
    """It is scaled; the zero point joins it."""
    CODE = VALUE + 1
    """The code is written."""
    LAST = CODE_LATENCY + 1
    """After a row's last word: scale and parameter are written, the instruction retires."""


def check_timing(lanes: int) -> None:
    """Raise ConfigError when the timing law leaves less time than the circuit takes."""
    row, tree = RowStage(lanes), tree_stages(lanes)
    # A row's end is at stage 0 in its last cycle; its first code word is selected 1 + MEASURE_LATENCY cycles later.
    measure = max(row.inverse, row.zero - CodeStage.VALUE) - 1
    needs = {
        "PEAK_LATENCY": (PEAK_LATENCY, Stage.SCORE + tree + 1 + 1 - Stage.EARLY - 1),
        "MEASURE_LATENCY": (MEASURE_LATENCY, measure),
        # The sum of the last word's zero points, and the scale of a row of one word, must be there in time.
        "CODE_LATENCY": (CODE_LATENCY, max(CodeStage.CODE + 1 + tree, row.scale - MEASURE_LATENCY - 2)),
    }
    for name, (given, needed) in needs.items():
        if given < needed:
            raise ConfigError(f"{name} must be at least {needed} cycles, not {given}")
