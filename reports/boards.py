"""Knows the verdict on a board: one decode step of a model on it, everything given as on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import SpecError
from hwsim.host.runtime import Waiting
from reports.conversation import prompt_tokens
from reports.engines import chosen_engine
from reports.sources import open_compressed
from testbenches.host.backend import Board
from testbenches.host.check import check_board

__all__ = ["board_command"]


def board_command(
    source: str,
    xclbin: Path,
    *,
    engine: str,
    settings: Sequence[str],
    index: int,
    waiting: str,
    prompt: str,
    is_raw: bool,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Return the check of the last token of a prompt on a board, as plain values with `is_equal`.

    Raises:
        SpecError: no such way of waiting.
        MachineError: the board cannot be opened, holds another engine, or stops.
    """
    if waiting not in list(Waiting):
        raise SpecError(f"Way of waiting must be one of {', '.join(Waiting)}, not {waiting!r}")
    chosen = chosen_engine(engine, settings)
    compressed = open_compressed(source)
    board = Board(chosen, xclbin, index=index, waiting=Waiting(waiting))
    try:
        tokens = prompt_tokens(compressed, prompt, is_raw=is_raw)
        check = check_board(compressed.model, chosen, board, tokens=tokens, progress=progress)
    finally:
        board.close()
    document = dataclasses.asdict(check) | {"model": compressed.model.config.name, "board": index}
    return document | {"is_equal": check.mismatches == 0, "clock_hz": chosen.clock_hz}
