"""Energy of a run: constants with their sources, what a run does, and joules by part; start at `estimate`."""

from hwsim.arch.board import EnergyConstants
from hwsim.machine.energy.activity import Operations, activity_of, operations_of
from hwsim.machine.energy.estimate import Activity, Energy, Part, constants_of, energy_board, estimate, load_constants
from hwsim.machine.energy.systems import PublishedSystem, load_systems

__all__ = [
    "Activity",
    "Energy",
    "EnergyConstants",
    "Operations",
    "Part",
    "PublishedSystem",
    "activity_of",
    "constants_of",
    "energy_board",
    "estimate",
    "load_constants",
    "load_systems",
    "operations_of",
]
