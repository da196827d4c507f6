"""Energy constants by board: of the board that an engine is made for, or of another one by name."""

from __future__ import annotations

from hwsim.arch.board import Board, EnergyConstants, board_of, load_board
from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError

__all__ = ["EnergyConstants", "energy_board", "load_constants"]

_USUAL = "u280"
"""Board of engines that are made for none."""


def energy_board(engine: EngineConfig) -> Board:
    """Return the board whose constants an engine's energy is estimated with: its own, or the U280 where it has none."""
    board = board_of(engine)
    return load_board(_USUAL) if board is None else board


def load_constants(name: str = _USUAL) -> EnergyConstants:
    """Return the constants of a board by name or file; raise SpecError for one there is not, or that has none."""
    board = load_board(name)
    if board.energy is None:
        raise SpecError(f"Board {board.name} must have energy, the constants of the estimate, which its file leaves out")
    return board.energy
