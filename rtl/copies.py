"""Registers of one value, so many that none drives too much."""

from amaranth import Module, Signal
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.pipeline import OWN_COPY

__all__ = ["COPY", "Copy", "copies"]

COPY = "copy_"
"""What the names of copies begin with."""


class Copy(wiring.Component):
    """A register: `copy` is `value` a cycle later.

    It is a module, because synthesis merges equal registers inside one.
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"value": In(width), "copy": Out(width)})

    def elaborate(self, platform):
        m = Module()
        held = Signal(self.width, attrs=OWN_COPY)
        m.d.sync += held.eq(self.value)
        m.d.comb += self.copy.eq(held)
        return m


def copies(m: Module, value: Value, count: int, name: str) -> list[Value]:
    """Return registers that hold a value a cycle later, each for a part of what the value drives."""
    made = []
    for number in range(count):
        m.submodules[f"{COPY}{name}_{number}"] = copy = Copy(len(value))
        m.d.comb += copy.value.eq(value)
        made.append(copy.copy)
    return made
