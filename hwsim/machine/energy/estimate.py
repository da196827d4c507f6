"""The energy of some work: joules by part of the card, by the constants of a board, and how much rests on assumed numbers."""

import dataclasses
import enum

from hwsim.arch.board import Board, EnergyConstants, board_of, load_board
from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError
from hwsim.sourced import Sourced

__all__ = ["Activity", "Energy", "Part", "constants_of", "energy_board", "estimate", "load_constants"]

_USUAL = "u280"
"""Board of engines that are made for none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Activity:
    """What some work does, counted.

    Attributes:
        seconds: how long it takes.
        memory_bits: bits moved between chip and memory, in both directions.
        ram_accesses: accesses of up to 72 bits to on-chip memories.
        multiplier_operations: operations of DSP blocks.
        logic_cycles: LUTs times the cycles they are at work.
        register_cycles: clocked registers times cycles.
        assumed: names of the counts that rest on assumed numbers.
    """

    seconds: float
    memory_bits: float = 0.0
    ram_accesses: float = 0.0
    multiplier_operations: float = 0.0
    logic_cycles: float = 0.0
    register_cycles: float = 0.0
    assumed: frozenset[str] = frozenset()


class Part(enum.Enum):
    """Where energy goes."""

    MEMORY = "memory"
    """Memory devices, by bit."""
    INTERFACE = "interface"
    """Memory controllers, PHY and switch on the chip, by bit."""
    ON_CHIP = "on_chip_memory"
    """On-chip memories, by access."""
    MULTIPLIERS = "multipliers"
    """DSP blocks, by operation."""
    LOGIC = "logic"
    """LUTs and their wires, while at work."""
    CLOCK = "clock"
    """Registers and clock trees."""
    SHELL = "shell"
    """Host interface."""
    STATIC = "static"
    """Leakage of the chip and its memory."""
    CARD = "card"
    """Losses of the regulators, and what else is on the card."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Energy:
    """Joules by part.

    Attributes:
        seconds: over which they are spent.
        parts: every part.
        assumed_j: joules whose constant or count is assumed.
    """

    seconds: float
    parts: dict[Part, float]
    assumed_j: float

    @property
    def card_j(self) -> float:
        """Energy of the whole card."""
        return sum(self.parts.values())

    @property
    def chip_j(self) -> float:
        """Energy of the chip with its memory, without regulators and the rest of the card."""
        return self.card_j - self.parts[Part.CARD]

    @property
    def card_w(self) -> float:
        """Mean power of the card."""
        return self.card_j / self.seconds

    @property
    def chip_w(self) -> float:
        """Mean power of the chip with its memory."""
        return self.chip_j / self.seconds

    @property
    def joules(self) -> dict[str, float]:
        """Joules by name of the part."""
        return {part.value: joules for part, joules in self.parts.items()}

    @property
    def watts(self) -> dict[str, float]:
        """Mean power by name of the part."""
        return {name: joules / self.seconds for name, joules in self.joules.items()}

    @property
    def assumed_share(self) -> float:
        """Share of the card's energy that rests on assumed numbers."""
        return self.assumed_j / self.card_j


def energy_board(engine: EngineConfig) -> Board:
    """Return the board whose constants an engine's energy is estimated with: its own, or the U280 where it has none."""
    board = board_of(engine)
    return load_board(_USUAL) if board is None else board


def constants_of(board: Board) -> EnergyConstants:
    """Return the constants of a board; raise SpecError where it has none."""
    if board.energy is None:
        raise SpecError(f"Board {board.name} must have energy, the constants of the estimate, which its file leaves out")
    return board.energy


def load_constants(name: str = _USUAL) -> EnergyConstants:
    """Return the constants of a board by name or file; raise SpecError for one there is not, or that has none."""
    return constants_of(load_board(name))


def estimate(activity: Activity, constants: EnergyConstants) -> Energy:
    """Return the energy of an activity on a board."""
    terms: list[tuple[Part, str, Sourced[float]]] = [
        (Part.MEMORY, "memory_bits", constants.memory_j_per_bit),
        (Part.INTERFACE, "memory_bits", constants.interface_j_per_bit),
        (Part.ON_CHIP, "ram_accesses", constants.ram_j_per_access),
        (Part.MULTIPLIERS, "multiplier_operations", constants.multiplier_j_per_operation),
        (Part.LOGIC, "logic_cycles", constants.lut_j_per_cycle),
        (Part.LOGIC, "logic_cycles", constants.signal_j_per_cycle),
        (Part.CLOCK, "register_cycles", constants.register_j_per_cycle),
        (Part.CLOCK, "register_cycles", constants.clock_j_per_register_cycle),
        (Part.SHELL, "seconds", constants.shell_w),
        (Part.STATIC, "seconds", constants.static_w),
        (Part.CARD, "seconds", constants.card_w),
    ]
    parts = dict.fromkeys(Part, 0.0)
    assumed = 0.0
    for part, count, constant in terms:
        joules = getattr(activity, count) * constant.value
        parts[part] += joules
        assumed += joules if constant.is_assumed or count in activity.assumed else 0.0
    chip = sum(joules for part, joules in parts.items() if part is not Part.CARD)
    loss = chip * (1 / constants.regulator_efficiency.value - 1)
    parts[Part.CARD] += loss
    assumed += loss if constants.regulator_efficiency.is_assumed else 0.0
    return Energy(seconds=activity.seconds, parts=parts, assumed_j=assumed)
