"""The estimates of offloading beside every published figure there is."""

from __future__ import annotations

import dataclasses

from lamforge.flow.verb import SILENT, Listener
from reports.studies.validation.constants import Constant, derived_constants
from reports.studies.validation.row import ValidationSet
from reports.studies.validation.sets import SETS

__all__ = ["OffloadValidation", "offload"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffloadValidation:
    """Every set with its rows, and the derived constants of systems and devices."""

    sets: tuple[ValidationSet, ...]
    constants: tuple[Constant, ...] = ()


def offload(listener: Listener = SILENT) -> OffloadValidation:
    """Set the estimates of offloading beside every published figure; one set of constants serves all rows of a machine.

    Raises:
        SpecError: a device file is wrong.
    """
    for done, each in enumerate(SETS):
        listener.progress("compute rows", done / len(SETS))
        # They are computed when they are first asked for, which is here.
        assert each.rows
    listener.progress("compute rows", 1.0)
    return OffloadValidation(sets=SETS, constants=derived_constants())
