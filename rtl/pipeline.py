"""A value that passes through registers, for which readers ask by pipeline stage, and registers of which there are several."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Pipeline", "copies"]

_NO_SHIFT_REGISTER = {"shreg_extract": "no", "keep": "true"}
"""Attributes of registers for Vivado (UG901, SHREG_EXTRACT) and Yosys, which knows the other one alone."""


class Pipeline:
    """`at(stage)` is the value's register at that stage, made on demand: `value` itself at the first.

    With `is_cleared` the registers start at zero and are reset; with `clear` they are zeroed while it is high as well.
    Other registers hold data that is only used when a flag beside it says so. With `has_flip_flops` none becomes a shift
    register in look-up tables, so that registers can lie in several SLRs, or where look-up tables are what is short.
    """

    def __init__(
        self,
        m: Module,
        value: Value,
        stage: int,
        name: str,
        *,
        is_cleared: bool = False,
        clear: Value | None = None,
        has_flip_flops: bool = False,
    ):
        self._m, self._name, self._clear = m, name, clear
        self._is_cleared = is_cleared or clear is not None
        self._attributes = _NO_SHIFT_REGISTER if has_flip_flops else None
        self._first, self._values = stage, [value]

    def at(self, stage: int) -> Value:
        """Return the value `stage - first stage` cycles later."""
        assert stage >= self._first
        while len(self._values) <= stage - self._first:
            last = self._values[-1]
            name = f"{self._name}_{self._first + len(self._values)}"
            later = Signal(last.shape(), name=name, reset_less=not self._is_cleared, attrs=self._attributes)
            self._m.d.sync += later.eq(last if self._clear is None else Mux(self._clear, 0, last))
            self._values.append(later)
        return self._values[stage - self._first]


class _Copy(wiring.Component):
    """One register, in a module of its own, so that no tool takes it and its copies for one."""

    def __init__(self, shape: ShapeLike):
        super().__init__({"d": In(shape), "q": Out(shape)})

    def elaborate(self, platform):
        m = Module()
        kept = Signal(self.q.shape(), name="kept", reset_less=True, attrs={"keep": "true"})
        m.d.sync += kept.eq(self.d)
        m.d.comb += self.q.eq(kept)
        return m


def copies(m: Module, value: Value, count: int, name: str) -> list[Value]:
    """Return `count` registers of a value: each for some of its loads where they are many."""
    found = []
    for number in range(count):
        m.submodules[f"{name}_copy_{number}"] = copy = _Copy(value.shape())
        m.d.comb += copy.d.eq(value)
        found.append(copy.q)
    return found
