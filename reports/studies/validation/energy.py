"""The energy estimate beside the power that published systems state."""

import dataclasses

from hwsim.machine.energy import Energy, PublishedSystem, estimate, load_constants, load_systems
from hwsim.sourced import Sourced

__all__ = ["EnergyRow", "EnergyValidation", "energy"]

_BOARD = "u280"
"""Board that the published systems run on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyRow:
    """A published power beside the estimate of the same scope."""

    system: PublishedSystem
    energy: Energy

    @property
    def ours_w(self) -> float:
        """The estimate, of what the published figure covers."""
        return self.energy.card_w if self.system.scope == "card" else self.energy.chip_w

    @property
    def theirs_w(self) -> float:
        """The published power."""
        return self.system.watts.value

    @property
    def error(self) -> float:
        """How far the estimate is above the published power, as a fraction of it."""
        return self.ours_w / self.theirs_w - 1

    @property
    def ours_token_per_joule(self) -> float:
        """The published speed over the estimated power."""
        return self.system.token_per_s.value / self.ours_w

    @property
    def theirs_token_per_joule(self) -> float:
        """The published speed over the published power."""
        return self.system.token_per_s.value / self.theirs_w


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyValidation:
    """The estimate beside every published system; the constants are the same for all, and none is fitted.

    Attributes:
        board: name of the board whose constants were taken.
        constants: the constants with their sources, by name.
        rows: one for each published system.
    """

    board: str
    constants: dict[str, Sourced[float]]
    rows: tuple[EnergyRow, ...]

    @property
    def assumed(self) -> dict[str, float]:
        """Values of the constants that are assumed, by name."""
        return {name: constant.value for name, constant in self.constants.items() if constant.is_assumed}


def energy() -> EnergyValidation:
    """Set the energy estimate beside the power of every published system.

    Raises:
        SpecError: a number of a file has no source.
    """
    constants = load_constants(_BOARD)
    rows = tuple(EnergyRow(system=system, energy=estimate(system.activity, constants)) for system in load_systems())
    values = {field.name: getattr(constants, field.name) for field in dataclasses.fields(constants)}
    sourced = {name: value for name, value in values.items() if isinstance(value, Sourced)}
    return EnergyValidation(board=_BOARD, constants=sourced, rows=rows)
