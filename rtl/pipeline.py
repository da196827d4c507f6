"""A value that passes through registers; readers ask for it by pipeline stage."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import Value

__all__ = ["OWN_COPY", "Pipeline"]

OWN_COPY = {"dont_touch": "true"}
"""Attributes of a register that synthesis must not merge with its copies in other modules."""
_NO_SHIFT_REGISTER = {"shreg_extract": "no", "keep": "true"}
"""Attributes of registers for Vivado (UG901, SHREG_EXTRACT) and Yosys, which knows the other one alone."""


class Pipeline:
    """`at(stage)` is the value's register at that stage, made on demand: `value` itself at the first.

    With `is_copy` the registers have copies in other modules, and stay apart so that none drives too much.
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
        is_copy: bool = False,
    ):
        self._m, self._name, self._clear = m, name, clear
        self._is_cleared = is_cleared or clear is not None
        self._attributes = (OWN_COPY if is_copy else {}) | (_NO_SHIFT_REGISTER if has_flip_flops else {})
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
