"""The statistics that the first pass takes of a row, in trees over the lanes: largest values of either sign, and a sum."""

from collections.abc import Callable

from amaranth import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.pipeline import Pipeline

__all__ = ["MARK", "Largest", "Total", "Tree", "tree_stages"]

_LEVELS_PER_STAGE = 2


def tree_stages(count: int) -> int:
    """Return the latency in cycles of a tree of `count` inputs."""
    return max(1, -(-(count.bit_length() - 1) // _LEVELS_PER_STAGE))


class Tree(wiring.Component):
    """Reduces `count` inputs (a power of two) with `operator`; `result` is there `latency` cycles after them."""

    def __init__(self, *, count: int, shape: Shape, result: Shape, operator: Callable[[Value, Value], Value]):
        self.count, self.operator = count, operator
        self.latency = tree_stages(count)
        super().__init__({"inputs": In(data.ArrayLayout(shape, count)), "result": Out(result)})

    def elaborate(self, platform):
        m = Module()
        values: list[Value] = [self.inputs[lane] for lane in range(self.count)]
        for stage in range(self.latency):
            for _ in range(_LEVELS_PER_STAGE):
                if len(values) > 1:
                    values = [self.operator(*pair) for pair in zip(values[::2], values[1::2], strict=True)]
            held = [Signal.like(value, name=f"stage_{stage}_{n}", reset_less=True) for n, value in enumerate(values)]
            m.d.sync += [register.eq(value) for register, value in zip(held, values, strict=True)]
            values = list(held)
        m.d.comb += self.result.eq(values[0])
        return m


MARK = data.StructLayout({"valid": 1, "first": 1})
"""Whether a word counts, and whether it is the first of its row."""


class Largest(wiring.Component):
    """The largest value of the words of a row so far, `latency` cycles after a word; starts at `floor` with each row."""

    def __init__(self, lanes: int, *, bits: int, floor: int):
        self.tree = Tree(count=lanes, shape=signed(bits), result=signed(bits), operator=lambda a, b: Mux(a > b, a, b))
        self.floor = floor
        self.latency = self.tree.latency + 1
        super().__init__({"mark": In(MARK), "values": In(data.ArrayLayout(signed(bits), lanes)), "largest": Out(signed(bits))})

    def elaborate(self, platform):
        m = Module()
        mark = _reduced(m, self.tree, self.mark, self.values)
        before = Mux(mark.first, self.floor, self.largest)
        with m.If(mark.valid):
            m.d.sync += self.largest.eq(Mux(self.tree.result > before, self.tree.result, before))
        return m


class Total(wiring.Component):
    """The sum of the words of a row so far, `latency` cycles after a word."""

    def __init__(self, lanes: int, *, bits: int, sum_bits: int):
        wide = unsigned(bits + lanes.bit_length() - 1)
        self.tree = Tree(count=lanes, shape=unsigned(bits), result=wide, operator=lambda a, b: a + b)
        self.latency = self.tree.latency + 1
        super().__init__({"mark": In(MARK), "values": In(data.ArrayLayout(unsigned(bits), lanes)), "total": Out(sum_bits)})

    def elaborate(self, platform):
        m = Module()
        mark = _reduced(m, self.tree, self.mark, self.values)
        with m.If(mark.valid):
            m.d.sync += self.total.eq(Mux(mark.first, 0, self.total) + self.tree.result)
        return m


def _reduced(m: Module, tree: Tree, mark: data.View, values: Value) -> data.View:
    """Feed a tree; return the mark of the word whose result it shows."""
    m.submodules.tree = tree
    m.d.comb += tree.inputs.eq(values)
    return Pipeline(m, mark, 0, "mark", is_cleared=True).at(tree.latency)
