"""The interface of a backend: the inputs of a run, its outputs and its log."""

import dataclasses
from typing import Protocol, Self

import numpy as np

from hwsim.arch.fields import Unit
from hwsim.arch.program import MemoryImage, Program
from hwsim.host.inputs import Inputs
from hwsim.memory.models import MemoryModel

__all__ = ["Backend", "Log", "Outputs"]


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

    @classmethod
    def of(cls, program: Program, after: MemoryImage) -> Self:
        """Return the outputs in a memory after a run."""
        output = program.buffer("output")
        return cls(image=after, logits=after.side[output.offset : output.offset + output.size].view(np.int32))


class Backend(Protocol):
    """A machine that runs programs."""

    name: str

    def run(self, program: Program, image: MemoryImage, inputs: Inputs, memory: MemoryModel) -> tuple[Outputs, Log]:
        """Run a program once on a copy of the image; raise MachineError when the machine stops with an error."""
        ...
