"""What a run is given, and where program and inputs lie in the side memory."""

import dataclasses

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage, Program
from hwsim.errors import ProgramError

__all__ = ["Inputs", "check_side", "place", "placements"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """One run: the position of its first token, the residual rows, int32 [rows, hidden] (fixed values), and the sequence.

    A program that runs a row of every sequence takes them all, in order, with sequence 0.
    """

    position: int
    rows: np.ndarray
    sequence: int = 0


def placements(engine: EngineConfig, program: Program, inputs: Inputs) -> list[tuple[int, np.ndarray]]:
    """Return what a run needs in the side memory, as (offset, uint8 bytes): program and inputs, digests and shapes checked."""
    program.check(engine)
    if inputs.rows.ndim != 2 or inputs.rows.shape[0] != program.rows:
        raise ProgramError(f"Inputs must be {program.rows} rows, not {inputs.rows.shape}")
    program.slot_of(inputs.position + program.positions - 1, inputs.sequence)
    rows = np.ascontiguousarray(inputs.rows, dtype=np.int32).view(np.uint8)
    if rows.shape[1] > program.input_row_bytes:
        raise ProgramError(f"Input rows must fit {program.input_row_bytes} bytes, not {rows.shape[1]}")
    start = program.buffer("input").offset
    places = [(start + number * program.input_row_bytes, row) for number, row in enumerate(rows)]
    return [(program.buffer(f"program.{program.name}").offset, program.code()), *places]


def check_side(program: Program, places: list[tuple[int, np.ndarray]], side_bytes: int) -> None:
    """Raise ProgramError unless a side memory holds what a run places in it and what it puts out."""
    needed = max(program.buffer("output").end, *(offset + len(content) for offset, content in places))
    if needed > side_bytes:
        raise ProgramError(f"Side memory must hold {needed} bytes for program {program.name}, not {side_bytes}")


def place(engine: EngineConfig, program: Program, image: MemoryImage, inputs: Inputs) -> MemoryImage:
    """Return a copy of the image with the program and the inputs in their buffers, after checking digests and shapes."""
    places = placements(engine, program, inputs)
    if image.ports.shape[0] != engine.tile.ports:
        raise ProgramError(f"Memory image must have {engine.tile.ports} ports, not {image.ports.shape[0]}")
    check_side(program, places, len(image.side))
    placed = image.copy()
    for offset, content in places:
        placed.side[offset : offset + len(content)] = content
    return placed
