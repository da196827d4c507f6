"""The statistics that the first pass takes of a row: the largest value, the largest of the opposite sign, and a sum."""

from amaranth import Module, Mux, signed, unsigned
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.pipeline import Pipeline
from rtl.vector.reduce import Tree, maximum_tree, sum_tree

__all__ = ["MARK", "Largest", "Total"]

MARK = data.StructLayout({"valid": 1, "first": 1})
"""Whether a word counts, and whether it is the first of its row."""


class Largest(wiring.Component):
    """The largest value of the words of a row so far, `latency` cycles after a word; starts at `floor` with each row."""

    def __init__(self, lanes: int, *, bits: int, floor: int):
        self.tree = maximum_tree(count=lanes, shape=signed(bits))
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
        self.tree = sum_tree(count=lanes, shape=unsigned(bits))
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
