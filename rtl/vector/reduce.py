"""Trees that bring the lanes' values to one: a new word every cycle, two levels of operators between registers."""

from collections.abc import Callable

from amaranth import Module, Mux, Shape, Signal
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Tree", "maximum_tree", "sum_tree", "tree_stages"]

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


def maximum_tree(*, count: int, shape: Shape) -> Tree:
    """Return a tree that finds the largest of its inputs."""
    return Tree(count=count, shape=shape, result=shape, operator=lambda a, b: Mux(a > b, a, b))


def sum_tree(*, count: int, shape: Shape) -> Tree:
    """Return a tree that adds its inputs, without overflow."""
    result = Shape(shape.width + count.bit_length() - 1, shape.signed)
    return Tree(count=count, shape=shape, result=result, operator=lambda a, b: a + b)
