"""The check of a board: one decode step on it against the simulator and against PyTorch's integer reference."""

import dataclasses
import time
from collections.abc import Callable, Sequence

from compiler.model import compile_model
from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError
from hwsim.memory.models import IDEAL
from models.integer import IntegerModel, IntegerReference
from testbenches.backend import Backend
from testbenches.cosim import against_reference, differences, prepare_step
from testbenches.simulated import Simulated

__all__ = ["BoardCheck", "check_board"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardCheck:
    """One decode step on a board.

    Attributes:
        engine: name of the engine.
        position: of the token.
        compared, mismatches: values compared, and those that differ.
        cycles, simulated_cycles: length of the step on the board, and in the simulator under `ideal` memory.
        run_s: seconds of the step with everything around it: image to the board, run, memory back.
        first: the first difference as a sentence, or None.
    """

    engine: str
    position: int
    compared: int
    mismatches: int
    cycles: int
    simulated_cycles: int
    run_s: float
    first: str | None


def check_board(
    model: IntegerModel,
    engine: EngineConfig,
    board: Backend,
    *,
    tokens: Sequence[int],
    progress: Callable[[str], None] = lambda text: None,
) -> BoardCheck:
    """Run the last of the tokens, after those before it, on the board; compare logits, cache and all of memory.

    Raises SpecError without tokens, ScheduleError for a model the engine cannot hold, MachineError as the board does.
    """
    if not tokens:
        raise SpecError("A board must be checked with at least one token, not none")
    progress("compiling")
    compiled = compile_model(model, engine, context=len(tokens))
    progress(f"reference: {len(tokens)} tokens in PyTorch's integers")
    step = prepare_step(IntegerReference(model), compiled, tokens)
    image, inputs = step.image, step.inputs
    progress("simulator")
    expected, simulated = Simulated(engine).run(compiled.decode, image, inputs, IDEAL)
    progress(board.name)
    began = time.perf_counter()
    found, log = board.run(compiled.decode, image, inputs, IDEAL)
    run_s = time.perf_counter() - began
    results = [
        *against_reference(board.name, found, step, compiled),
        (f"memory after the run, {board.name} against simulator", *differences(image, expected.image, found.image)),
    ]
    return BoardCheck(
        engine=engine.name,
        position=inputs.position,
        compared=sum(total for _, total, _ in results),
        mismatches=sum(wrong for _, _, wrong in results),
        cycles=log.cycles,
        simulated_cycles=simulated.cycles,
        run_s=run_s,
        first=next((f"{what}: {wrong} of {total} values differ" for what, total, wrong in results if wrong), None),
    )
