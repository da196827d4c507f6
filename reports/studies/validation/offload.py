"""The estimates of offloading beside every published figure there is."""

from __future__ import annotations

import dataclasses
import statistics

from lamforge.flow.listener import SILENT, Listener
from reports.studies.validation.constants import Constant, derived_constants
from reports.studies.validation.row import Row
from reports.studies.validation.sets import SETS

__all__ = ["OffloadValidation", "ValidatedSet", "offload"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidatedSet:
    """A set with its rows.

    Attributes:
        name: of the set.
        title: what is compared, in a line.
        rows: published figures beside ours.
    """

    name: str
    title: str
    rows: tuple[Row, ...]

    @property
    def fitted(self) -> int:
        """Number of rows that a constant was chosen with."""
        return sum(row.fitted for row in self.rows)

    @property
    def largest_error(self) -> float:
        """The error that is farthest from zero, as a fraction of the published figure."""
        return max((row.error for row in self.rows), key=abs)

    @property
    def median_error(self) -> float:
        """The median of the errors without their signs."""
        return statistics.median(abs(row.error) for row in self.rows)

    @property
    def assumed(self) -> list[str]:
        """Names of the assumed numbers behind the rows, each once."""
        return sorted({name for row in self.rows for name in row.assumed})


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffloadValidation:
    """Every set with its rows, and the derived constants of systems and devices."""

    sets: tuple[ValidatedSet, ...]
    constants: tuple[Constant, ...] = ()


def offload(listener: Listener = SILENT) -> OffloadValidation:
    """Set the estimates of offloading beside every published figure; one set of constants serves all rows of a machine.

    Raises:
        SpecError: a device file is wrong.
    """
    sets = []
    for done, each in enumerate(SETS):
        listener.progress("compute rows", done / len(SETS))
        sets.append(ValidatedSet(name=each.name, title=each.title, rows=each.rows()))
    listener.progress("compute rows", 1.0)
    return OffloadValidation(sets=tuple(sets), constants=derived_constants())
