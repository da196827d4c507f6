"""A value that travels through registers, and is asked for by the stage it is needed in."""

from amaranth import Module, Signal
from amaranth.hdl import Value

__all__ = ["Pipeline"]


class Pipeline:
    """`at(stage)` is the value's register at that stage, made on demand: `value` itself at the first.

    With `is_cleared` the registers start at zero and are reset; others hold data that a flag beside them qualifies.
    """

    def __init__(self, m: Module, value: Value, stage: int, name: str, *, is_cleared: bool = False):
        self._m, self._name, self._is_cleared = m, name, is_cleared
        self._first, self._values = stage, [value]

    def at(self, stage: int) -> Value:
        """Return the value `stage - first stage` cycles later."""
        assert stage >= self._first
        while len(self._values) <= stage - self._first:
            last = self._values[-1]
            name = f"{self._name}_{self._first + len(self._values)}"
            later = Signal(last.shape(), name=name, reset_less=not self._is_cleared)
            self._m.d.sync += later.eq(last)
            self._values.append(later)
        return self._values[stage - self._first]
