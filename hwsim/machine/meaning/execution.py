"""Execution of a trace in program order."""

from collections.abc import Callable

import numpy as np

from hwsim.arch.complete import require_rows
from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Instruction
from hwsim.arch.isa import UNIT_INSTRUCTIONS, Append, Axpy, Dot, Fetch, KvQuant, Load, Norm, Quant, Rope, Softmax, Store, SwiGlu
from hwsim.errors import ProgramError
from hwsim.machine.meaning import matrix, mover, vector
from hwsim.machine.meaning.memories import Memories, ResultLog
from hwsim.machine.rules import check
from hwsim.machine.trace import Trace

__all__ = ["run_meaning"]

_MATRIX: dict[type[Instruction], Callable[..., np.ndarray]] = {Dot: matrix.dot, Axpy: matrix.axpy}
_VECTOR: dict[type[Instruction], Callable[..., np.ndarray]] = {
    Norm: vector.norm,
    Quant: vector.quant,
    SwiGlu: vector.swiglu,
    Rope: vector.rope,
    Softmax: vector.softmax,
    KvQuant: vector.kvquant,
}
_MOVER: dict[type[Instruction], Callable[..., None]] = {Load: mover.load, Store: mover.store, Append: mover.append}
require_rows({Fetch, *_MATRIX, *_VECTOR, *_MOVER}, UNIT_INSTRUCTIONS, what="a meaning", module=__name__)


def run_meaning(
    trace: Trace,
    config: EngineConfig,
    ports: np.ndarray,
    side: np.ndarray,
    *,
    has_log: bool = False,
    leftovers: np.random.Generator | None = None,
) -> tuple[Memories, ResultLog]:
    """Execute every instruction on `ports` (uint8 [ports, bytes]) and `side` (uint8 [bytes]), written in place.

    Returns the memories after the run, and the log, empty unless `has_log`. On-chip memories start at zero, or with what
    `leftovers` draws: a program that gives the same either way needs nothing of the runs before it.

    Raises:
        ProgramError: an instruction asks for what the engine does not have, consumes more beats than were fetched,
            or beats are left at the end.
    """
    if ports.dtype != np.uint8 or ports.ndim != 2 or len(ports) != config.tile.ports:
        raise ProgramError(f"Port memories must be uint8 [{config.tile.ports}, bytes], not {ports.dtype} {ports.shape}")
    if side.dtype != np.uint8 or side.ndim != 1:
        raise ProgramError(f"Side memory must be uint8 [bytes], not {side.dtype} {side.shape}")
    check(trace, config, ports.shape[1], len(side))
    memories = Memories(config, ports, side)
    if leftovers is not None:
        memories.leave(leftovers)
    log = ResultLog(matrix={}, vector={})
    for index in range(len(trace)):
        instruction = trace.instruction(index)
        kind = type(instruction)
        if isinstance(instruction, Fetch):
            memories.streams.fetch(instruction.offset, instruction.beats)
        elif kind in _MATRIX:
            words = _MATRIX[kind](memories, config, instruction, trace.name(index))
            if has_log:
                log.matrix[index] = words
        elif kind in _VECTOR:
            codes = _VECTOR[kind](memories, config, instruction)
            if has_log:
                log.vector[index] = codes
        else:
            _MOVER[kind](memories, config, instruction)
    if memories.streams.beats:
        raise ProgramError(f"Program must consume every beat it fetches, not leave {memories.streams.beats} at End")
    return memories, log
