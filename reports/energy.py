"""The energy of a simulated run, and how the estimate stands beside the power that published systems state."""

from __future__ import annotations

import dataclasses
from typing import Any

from hwsim.arch.config import EngineConfig
from hwsim.machine.energy import (
    Activity,
    Energy,
    EnergyConstants,
    PublishedSystem,
    activity_of,
    energy_board,
    estimate,
    load_constants,
    load_systems,
)
from hwsim.machine.time import Timeline
from hwsim.machine.trace import Trace

__all__ = ["VALIDATED", "EnergyValidation", "energy_document", "run_energy", "validate_energy"]

VALIDATED = "u280"
"""Board that the published systems run on."""


def run_energy(trace: Trace, timeline: Timeline, engine: EngineConfig) -> Energy:
    """Return the energy of a run on the board that the engine is made for."""
    constants = load_constants(energy_board(engine).name)
    return estimate(activity_of(trace, timeline, engine, constants), constants)


def energy_document(energy: Energy, tokens: int, board: str) -> dict[str, Any]:
    """Return an energy as plain values: joules and watts by part, power, token/J, and the share of assumed numbers."""
    return {
        "board": board,
        "joules": {part.value: joules for part, joules in energy.parts.items()},
        "watts": {part.value: joules / energy.seconds for part, joules in energy.parts.items()},
        "card_j": energy.card_j,
        "card_w": energy.card_w,
        "chip_w": energy.chip_w,
        "token_per_j": tokens / energy.card_j,
        "assumed_share": energy.assumed_share,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A published power beside the estimate of the same scope."""

    system: PublishedSystem
    activity: Activity
    energy: Energy

    @property
    def ours_w(self) -> float:
        """The estimate, of what the published figure covers."""
        return self.energy.card_w if self.system.scope == "card" else self.energy.chip_w

    @property
    def error(self) -> float:
        """How far the estimate is above the published power, as a fraction of it."""
        return self.ours_w / self.system.watts.value - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyValidation:
    """The estimate beside every published system; the constants are the same for all, and none is fitted."""

    constants: EnergyConstants
    rows: tuple[Row, ...]

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        constants = {
            name: entry
            for name, entry in dataclasses.asdict(self.constants).items()
            if isinstance(entry, dict)
        }
        return {
            "board": VALIDATED,
            "constants": constants,
            "rows": [
                {
                    "system": row.system.name,
                    "scope": row.system.scope,
                    "token_per_s": row.system.token_per_s.value,
                    "ours_w": row.ours_w,
                    "theirs_w": row.system.watts.value,
                    "error": row.error,
                    "ours_token_per_j": row.system.token_per_s.value / row.ours_w,
                    "theirs_token_per_j": row.system.token_per_s.value / row.system.watts.value,
                    "card_w": row.energy.card_w,
                    "chip_w": row.energy.chip_w,
                    "watts": {part.value: joules / row.energy.seconds for part, joules in row.energy.parts.items()},
                    "assumed_share": row.energy.assumed_share,
                    "assumed_facts": list(row.system.assumed),
                }
                for row in self.rows
            ],
        }


def validate_energy() -> EnergyValidation:
    """Return the estimate beside every published system; raise SpecError for a number without a source."""
    constants = load_constants(VALIDATED)
    rows = tuple(
        Row(system=system, activity=system.activity, energy=estimate(system.activity, constants)) for system in load_systems()
    )
    return EnergyValidation(constants=constants, rows=rows)
