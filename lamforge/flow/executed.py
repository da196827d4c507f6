"""Knows what to call every executed instruction: its graph node, the layer it is of, and what it does there."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from hwsim.arch.isa import Axpy, Dot, Format
from hwsim.machine.trace import KIND_OF_OPCODE
from lamforge.flow.simulate import Timing

__all__ = ["FAMILIES", "Executed"]

FAMILIES = ("attention", "qkv", "o", "gateup", "down", "head", "other")
"""Groups of nodes, each with a colour of its own in pictures."""
_LAYER = "layers.{}."
_ATTENTION = ("attention", "attention_codes")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Executed:
    """The instructions of a simulated run by index, in order of dispatch."""

    simulation: Timing

    @functools.cached_property
    def iteration(self) -> np.ndarray:
        """How often each instruction's word had run before: in the body of the layer loop, the layer."""
        pc = self.simulation.timeline.pc
        order = np.argsort(pc, kind="stable")
        ordered = pc[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        run = np.repeat(starts, np.diff(np.concatenate([starts, [len(pc)]])))
        result = np.empty(len(pc), dtype=np.int64)
        result[order] = np.arange(len(pc)) - run
        return result

    def is_in_layer(self, index: int) -> bool:
        """Return whether an instruction is of the layer loop."""
        return "{}" in self._symbol(index)

    def name(self, index: int) -> str:
        """Return the graph node of an instruction, with its layer."""
        return self._symbol(index).replace("{}", str(int(self.iteration[index])))

    def part(self, index: int) -> str:
        """Return the graph node of an instruction without its layer, such as `qkv`."""
        return self._symbol(index).removeprefix(_LAYER)

    def family(self, index: int) -> str:
        """Return the group of an instruction's node, one of FAMILIES."""
        part = self.part(index)
        if part in _ATTENTION:
            return "attention"
        return part if part in FAMILIES else "other"

    def kind(self, index: int) -> str:
        """Return what an instruction does: its class, and for a product with cached keys `Score`."""
        opcode = int(self.simulation.trace.opcode[index])
        name = KIND_OF_OPCODE[opcode].__name__
        if opcode == Dot.opcode and self.format(index).cache is not None:
            return "Score"
        return "Mix" if opcode == Axpy.opcode else name

    def format(self, index: int) -> Format:
        """Return the stream format of a product."""
        trace = self.simulation.trace
        return Format(int(trace.values(Dot, "format", np.array([index]))[0]))

    def _symbol(self, index: int) -> str:
        return self.simulation.program.symbols[int(self.simulation.timeline.pc[index])]
