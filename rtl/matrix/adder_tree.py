"""A level of an adder tree, registered."""

from collections.abc import Sequence

from amaranth import Module, Signal, signed
from amaranth.hdl import Value

__all__ = ["halve"]


def halve(m: Module, values: Sequence[Value], bits: int, name: str) -> list[Signal]:
    """Return the signed sums of neighbours, of so many bits, one cycle later.

    One addition between registers: Yosys takes two of them for a carry-save adder, which is larger than both.
    """
    sums = [Signal(signed(bits), name=f"{name}_{index}", reset_less=True) for index in range(len(values) // 2)]
    m.d.sync += [total.eq(values[2 * index] + values[2 * index + 1]) for index, total in enumerate(sums)]
    return sums
