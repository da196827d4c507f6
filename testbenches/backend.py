"""The interface of a backend: the inputs of a run, its outputs and its log."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.program import MemoryImage, Program
from hwsim.errors import ProgramError
from hwsim.memory.models import MemoryModel

__all__ = ["Backend", "Inputs", "Log", "Outputs", "place", "placements"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """One run: the position of its first token, the residual rows, int32 [rows, hidden] (fixed values), and the sequence.

    A program that runs a row of every sequence takes them all, in order, with sequence 0.
    """

    position: int
    rows: np.ndarray
    sequence: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Log:
    """The events of a run, in the same form from every backend.

    Attributes:
        cycles: length of the run.
        error: error register, zero after a good run.
        dispatch: cycle of each unit instruction's dispatch, in program order.
        issue, retire: for each unit, the cycles of its instructions, in order.
        drained: uint32 [words, lanes], words that left the matrix unit, in order; None when not recorded.
        drained_cycle: cycle of each drained word; None where the backend has no time for it.
        codes: int8 [words, lanes], activation codes the vector unit wrote, in order; None when not recorded.
        codes_cycle: cycle of each word of codes; None where the backend has no time for it.
        pc: word index of each unit instruction, in program order; None where the backend does not know.
        drained_by, codes_by: which unit instruction (index in program order) each drained word and word of codes is of.
    """

    cycles: int
    error: int
    dispatch: np.ndarray
    issue: dict[Unit, np.ndarray]
    retire: dict[Unit, np.ndarray]
    drained: np.ndarray | None = None
    drained_cycle: np.ndarray | None = None
    codes: np.ndarray | None = None
    codes_cycle: np.ndarray | None = None
    pc: np.ndarray | None = None
    drained_by: np.ndarray | None = None
    codes_by: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """Memory after the run, and the logits of each sequence's last token (int32 fixed values) where the program computes them."""

    image: MemoryImage
    logits: np.ndarray


class Backend(Protocol):
    """A machine that runs programs."""

    name: str

    def run(self, program: Program, image: MemoryImage, inputs: Inputs, memory: MemoryModel) -> tuple[Outputs, Log]:
        """Run a program once on a copy of the image; raise MachineError when the machine stops with an error."""
        ...


def placements(engine: EngineConfig, program: Program, inputs: Inputs) -> list[tuple[int, np.ndarray]]:
    """Check digests and shapes, and return program and inputs as they lie in the side memory, as (offset, uint8 bytes)."""
    program.check(engine)
    if inputs.rows.ndim != 2 or inputs.rows.shape[0] != program.rows:
        raise ProgramError(f"Inputs must have {program.rows} rows, not the shape {inputs.rows.shape}")
    program.slot_of(inputs.position + program.positions - 1, inputs.sequence)
    rows = np.ascontiguousarray(inputs.rows, dtype=np.int32).view(np.uint8)
    if rows.shape[1] > program.input_row_bytes:
        raise ProgramError(f"Input rows must fit {program.input_row_bytes} bytes, not {rows.shape[1]}")
    start = program.buffer("input").offset
    places = [(start + number * program.input_row_bytes, row) for number, row in enumerate(rows)]
    return [(program.buffer(f"program.{program.name}").offset, program.code()), *places]


def place(engine: EngineConfig, program: Program, image: MemoryImage, inputs: Inputs) -> MemoryImage:
    """Return a copy of the image with the program and the inputs in their buffers, after checking digests and shapes."""
    places = placements(engine, program, inputs)
    if image.ports.shape[0] != engine.tile.ports:
        raise ProgramError(f"Memory image must have {engine.tile.ports} ports, not {image.ports.shape[0]}")
    placed = image.copy()
    for offset, content in places:
        placed.side[offset : offset + len(content)] = content
    return placed
