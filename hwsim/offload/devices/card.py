"""Cards: FPGAs with an engine in them, which stream weights past multipliers."""

import dataclasses
from typing import Annotated, Any, ClassVar

from hwsim.arch.board import load_board
from hwsim.errors import SpecError
from hwsim.offload.devices.device import SHARE, Device, Family
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, Dollars, OperationsPerSecond, Seconds, Watts

__all__ = ["CARDS", "Card"]


def _of_board() -> Any:
    """Return the default of a field that a card's board has, as a dataclass field."""
    return dataclasses.field(default=None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card(Device):
    """An FPGA card with an engine in it; what is left out is taken from its board's file."""

    subject: ClassVar[str] = "Card"
    folder: ClassVar[str] = "cards"
    references: ClassVar[tuple[str, ...]] = ("board",)

    board: str | None = None
    """Its board, by name of a file of `hwsim/specs/boards` or by path."""
    memory: Sourced[Bytes] = _of_board()
    """Memory on the card."""
    memory_rate: Sourced[BytesPerSecond] = _of_board()
    """Peak rate of its memory."""
    memory_share: Sourced[Annotated[float, SHARE]]
    """Part of that rate that the engine's reads reach."""
    peak: Sourced[OperationsPerSecond]
    """Rate of all multipliers."""
    rows: Sourced[Count]
    """Tokens that one pass over the weights serves at most."""
    token_cost: Sourced[Seconds]
    """Time of a token in a layer that streaming does not hide: what waits on results."""
    power: Sourced[Watts] = _of_board()
    """Power of the card at work."""
    price: Sourced[Dollars] | None = _of_board()
    """Price of one."""

    def __post_init__(self) -> None:
        for name in ("memory", "memory_rate", "power", "price"):
            if getattr(self, name) is None:
                fact = None if self.board is None else getattr(load_board(self.board), name)
                if fact is None and name != "price":
                    raise SpecError(f"Card {self.name} must have {name}, or a board whose file gives it, not neither")
                object.__setattr__(self, name, fact)


CARDS = Family(Card)
