"""Hypothesis strategies for instructions, derived from the field declarations: a new field is tested at once."""

from typing import Any

from hypothesis import strategies as st

from hwsim.arch.fields import HEADER, Field, Instruction
from hwsim.arch.isa import INSTRUCTIONS

__all__ = ["field_values", "instructions", "instructions_of", "programs"]


def field_values(field: Field) -> st.SearchStrategy[int]:
    """Return a strategy of the values a field can hold, its ends more often."""
    if field.kind is not None:
        return st.sampled_from(list(field.kind))
    low = -(1 << (field.width - 1)) if field.signed else 0
    high = low + (1 << field.width) - 1
    return st.one_of(st.sampled_from([low, high]), st.integers(low, high))


def instructions_of(kind: type[Instruction]) -> st.SearchStrategy[Instruction]:
    """Return a strategy of the instructions of one class, every header value included."""
    mask = st.integers(0, (1 << HEADER["wait"][1]) - 1)
    register = st.integers(0, (1 << HEADER["register0"][1]) - 1)
    fields: dict[str, Any] = {field.name: field_values(field) for field in kind.layout}
    return st.builds(kind, wait=mask, signal=mask, registers=st.tuples(register, register, register), **fields)


def instructions() -> st.SearchStrategy[Instruction]:
    """Return a strategy of all instructions."""
    return st.one_of([instructions_of(kind) for kind in INSTRUCTIONS])


def programs(max_size: int = 20) -> st.SearchStrategy[list[Instruction]]:
    """Return a strategy of instruction lists; they need not make sense to run."""
    return st.lists(instructions(), max_size=max_size)
