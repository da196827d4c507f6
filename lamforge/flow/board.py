"""One decode step of a model on a board, beside the simulator and the integer reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError, shown
from hwsim.host.runtime import Waiting
from hwsim.plain import Settings
from lamforge.flow.cosim import QUESTION
from lamforge.flow.engines import chosen_engine
from lamforge.flow.generate import prompt_tokens
from lamforge.flow.sources import ModelSource, open_compressed
from lamforge.flow.verb import SILENT, Listener, verb
from testbenches.host.backend import Board
from testbenches.host.check import BoardCheck, check_board

__all__ = ["BoardRequest", "BoardVerdict", "board", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardRequest:
    """A decode step to run on a board.

    Attributes:
        model: folder of a compressed model, or one that is open.
        xclbin: the linked kernel.
        engine: name of the engine in the kernel, path of its YAML file, or an engine.
        settings: values of the engine to change, by path.
        index: number of the board in this machine.
        waiting: how the end of a run is noticed: `polling` or `interrupt`.
        question: text before the decode step.
        is_raw: whether the text is taken as it is, without the chat template.
    """

    model: ModelSource = dataclasses.field(kw_only=False)
    xclbin: str | Path = dataclasses.field(kw_only=False)
    engine: str | EngineConfig = "u280"
    settings: Settings = dataclasses.field(default_factory=dict)
    index: int = 0
    waiting: str = "polling"
    question: str = QUESTION
    is_raw: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardVerdict:
    """What the check of a board found: name of the model, number of the board, clock of the engine, and what was compared."""

    model: str
    index: int
    clock_hz: float
    check: BoardCheck

    @property
    def is_equal(self) -> bool:
        """Whether every bit agrees."""
        return self.check.mismatches == 0

    @property
    def token_per_s(self) -> float:
        """Decode steps per second at the engine's clock."""
        return self.clock_hz / self.check.cycles


def run(request: BoardRequest, listener: Listener = SILENT) -> BoardVerdict:
    """Run one whole decode step of a model on a board through XRT, and compare it with the simulator and the reference.

    Raises:
        SpecError: there is no such way of waiting.
        MachineError: the board cannot be opened, holds another engine, or stops.
    """
    if request.waiting not in list(Waiting):
        raise SpecError(f"Way of waiting must be one of {', '.join(Waiting)}, not {shown(request.waiting)}")
    engine = chosen_engine(request.engine, request.settings)
    compressed = open_compressed(request.model)
    device = Board(engine, Path(request.xclbin), index=request.index, waiting=Waiting(request.waiting))
    try:
        tokens = prompt_tokens(compressed, request.question, is_raw=request.is_raw)
        check = check_board(compressed.model, engine, device, tokens=tokens, progress=listener.say)
    finally:
        device.close()
    return BoardVerdict(model=compressed.model.config.name, index=request.index, clock_hz=engine.clock_hz, check=check)


board = verb("board", BoardRequest, run)
