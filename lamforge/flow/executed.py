"""Every executed instruction by name: its graph node, its layer and what it does there; and when each layer ran."""

import dataclasses
import functools

import numpy as np

from hwsim.arch.fields import Unit
from hwsim.arch.isa import Axpy, Dot, Format
from hwsim.machine.trace import KIND_OF_OPCODE
from lamforge.flow.simulate import Timing

__all__ = ["FAMILIES", "Executed"]

FAMILIES = ("attention", "qkv", "o", "gateup", "down", "head", "other")
"""Groups of nodes, each with a colour of its own in pictures."""
_LAYER = "layers.{}."
_ATTENTION = ("attention", "attention_codes")
_ATTENTION_KINDS = ("Score", "Softmax", "Mix", "Rope", "KvQuant")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Executed:
    """The instructions of a simulated run by index, in order of dispatch."""

    timing: Timing

    @functools.cached_property
    def iteration(self) -> np.ndarray:
        """How often each instruction's word had run before: in the body of the layer loop, the layer."""
        pc = self.timing.timeline.pc
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
        opcode = int(self.timing.trace.opcode[index])
        name = KIND_OF_OPCODE[opcode].__name__
        if opcode == Dot.opcode and self.format(index).cache is not None:
            return "Score"
        return "Mix" if opcode == Axpy.opcode else name

    def format(self, index: int) -> Format:
        """Return the stream format of a product."""
        trace = self.timing.trace
        return Format(int(trace.values(Dot, "format", np.array([index]))[0]))

    @functools.cached_property
    def layer_window(self) -> tuple[int, int]:
        """First and last cycle of the middle layer: from its first matrix instruction to that of the next layer."""
        timeline = self.timing.timeline
        first: dict[int, int] = {}
        for index in np.flatnonzero(timeline.unit == Unit.MATRIX).tolist():
            if self.is_in_layer(index):
                first.setdefault(int(self.iteration[index]), int(timeline.issue[index]))
        middle = len(first) // 2
        return first.get(middle, 0), first.get(middle + 1, timeline.cycles - 1)

    @property
    def attention_window(self) -> tuple[int, int]:
        """First and last cycle of the middle layer's attention, a little more on both sides."""
        start, stop = self.layer_window
        timeline = self.timing.timeline
        inside = np.flatnonzero((timeline.issue >= start) & (timeline.issue <= stop))
        mine = [index for index in inside.tolist() if self.kind(index) in _ATTENTION_KINDS]
        if not mine:
            return start, stop
        first, last = int(timeline.issue[mine[0]]), int(timeline.retire[mine].max())
        margin = (last - first) // 20
        return max(start, first - margin), min(stop, last + margin)

    @property
    def layer_spans(self) -> dict[str, tuple[int, int]]:
        """First and last cycle of the matrix unit in each layer, and in each node outside of them: `layer 0`, `head`."""
        timeline = self.timing.timeline
        spans: dict[str, tuple[int, int]] = {}
        for index in np.flatnonzero(timeline.unit == Unit.MATRIX).tolist():
            inside = self.is_in_layer(index)
            name = f"layer {int(self.iteration[index])}" if inside else self.part(index)
            first, last = int(timeline.issue[index]), int(timeline.release[index])
            spans[name] = (spans[name][0] if name in spans else first, last)
        return spans

    def within(self, start: int, stop: int) -> list[int]:
        """Return the instructions that are at work in some cycle from `start` to `stop`."""
        timeline = self.timing.timeline
        found: list[int] = np.flatnonzero((timeline.retire >= start) & (timeline.issue <= stop)).tolist()
        return found

    def _symbol(self, index: int) -> str:
        return self.timing.program.symbols[int(self.timing.timeline.pc[index])]
