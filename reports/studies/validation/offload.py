"""The estimates of offloading beside every published figure: the table of the sets of rows, and the constants behind them."""

import dataclasses
import functools

from hwsim.offload.systems import names, system
from hwsim.sourced import value_text
from lamforge.flow.verb import SILENT, Listener
from reports.studies.validation.flash import FLASH
from reports.studies.validation.flexgen import FLEXGEN_ABLATION, FLEXGEN_BREAKDOWN, FLEXGEN_THROUGHPUT
from reports.studies.validation.fpga import FPGA_DECODE
from reports.studies.validation.gpu import GPU_MEASURED_OPERATORS, GPU_MEASURED_STEPS, GPU_OPERATORS
from reports.studies.validation.instinfer import INSTINFER_GAIN, INSTINFER_SHARE
from reports.studies.validation.minference import MINFERENCE_PROMPTS
from reports.studies.validation.pcie import PCIE_MEASURED, PCIE_PACKETS
from reports.studies.validation.row import Row, ValidationSet
from reports.studies.validation.shadowkv import SHADOWKV_BLOCKS, SHADOWKV_THROUGHPUT
from reports.studies.validation.triforce import TRIFORCE_GAIN, TRIFORCE_LATENCY
from reports.studies.validation.tuned import TUNED, Key, Summary, Tuning, tuning
from reports.studies.validation.zero_weights import ZERO_A6000, ZERO_T4, ZERO_WEIGHTS

__all__ = ["SETS", "Constant", "OffloadValidation", "offload"]

PUBLISHED: tuple[ValidationSet, ...] = (
    FLEXGEN_THROUGHPUT,
    FLEXGEN_ABLATION,
    FLEXGEN_BREAKDOWN,
    ZERO_WEIGHTS,
    ZERO_T4,
    ZERO_A6000,
    TRIFORCE_LATENCY,
    TRIFORCE_GAIN,
    SHADOWKV_THROUGHPUT,
    SHADOWKV_BLOCKS,
    INSTINFER_GAIN,
    INSTINFER_SHARE,
    FPGA_DECODE,
    MINFERENCE_PROMPTS,
)
"""Published runs of whole systems, for which constants were chosen."""
SETS: tuple[ValidationSet, ...] = (
    *PUBLISHED,
    FLASH,
    GPU_OPERATORS,
    GPU_MEASURED_OPERATORS,
    GPU_MEASURED_STEPS,
    PCIE_MEASURED,
    PCIE_PACKETS,
)
"""Every set, in the order in which they are printed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant:
    """A number that was not read anywhere: `system.field` or `device.field`, its value with its unit, what it is derived from."""

    name: str
    value: str
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffloadValidation:
    """Every set with its rows, and the derived constants of systems and devices; the calibrated ones say from which rows."""

    sets: tuple[ValidationSet, ...]
    constants: tuple[Constant, ...] = ()
    tuning: Tuning = Tuning(left_out={}, constants=())

    def left_out_summary(self, each: ValidationSet) -> Summary | None:
        """Return how far off a set's rows are that are left out of the choice of constants; None for a set without constants."""
        found = ((each.name, row.case) for row in each.rows)
        errors = [self.tuning.left_out[key] for key in found if key in self.tuning.left_out]
        return Summary.of(errors) if errors else None

    def is_fitted(self, each: ValidationSet, row: Row) -> bool:
        """Return whether a constant behind a row of a set was chosen with its figure in sight."""
        return row.fitted or (each.name, row.case) in self._in_sight

    def fitted(self, each: ValidationSet) -> int:
        """Return the number of such rows of a set."""
        return sum(self.is_fitted(each, row) for row in each.rows)

    @functools.cached_property
    def _in_sight(self) -> frozenset[Key]:
        return frozenset(key for constant in self.tuning.constants for key in constant.rows)


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
    return OffloadValidation(sets=SETS, constants=_derived_constants(), tuning=tuning(TUNED, PUBLISHED))


def _derived_constants() -> tuple[Constant, ...]:
    """Return those of every shipped system and its devices, each once, in the order of the systems."""
    found: dict[str, Constant] = {}
    for name in names():
        owner = system(name)
        devices = [(device.name, device.facts) for device in owner.devices.values()]
        for place, facts in (*devices, (name, owner.constants)):
            for field, fact in facts.items():
                # Systems that extend one another share constants.
                is_known = any(old.source == fact.source and old.name.endswith(field) for old in found.values())
                if fact.kind == "derived" and not is_known:
                    found[f"{place}.{field}"] = Constant(name=f"{place}.{field}", value=value_text(fact.value), source=fact.source)
    return tuple(found.values())
