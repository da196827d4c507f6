"""Numbers of data files changed for a while, to see what depends on them.

A number is named by its owner and its field: `a100-sxm-80.attention_share` of a device by its file, `zero.layer_cost` of all
systems of a composition by the name that their files give in `method`, `zero-t4.copy_share` of one system by its file.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from hwsim.sourced import Sourced

__all__ = ["as_changed", "changed", "with_fact"]

Kept = TypeVar("Kept")

_CHANGES: ContextVar[tuple[Mapping[str, float], set[str]] | None] = ContextVar("changes", default=None)
"""Factors by name, and the owners that were loaded since."""


@contextlib.contextmanager
def changed(factors: Mapping[str, float]) -> Iterator[set[str]]:
    """Have every device and system that is loaded inside have these numbers times a factor; yield the owners that are loaded."""
    owners: set[str] = set()
    token = _CHANGES.set((factors, owners))
    try:
        yield owners
    finally:
        _CHANGES.reset(token)


def as_changed(declared: Kept, owner: str, facts: Mapping[str, Sourced[Any]]) -> Kept:
    """Return a device or a system, whose numbers are given by the path of their field, with those that are changed now."""
    changes = _CHANGES.get()
    if changes is None:
        return declared
    factors, owners = changes
    owners.add(owner)
    for path, fact in facts.items():
        factor = factors.get(f"{owner}.{path}")
        if factor is not None:
            declared = with_fact(declared, tuple(path.split(".")), dataclasses.replace(fact, value=fact.value * factor))
    return declared


def with_fact(declared: Any, path: tuple[str, ...], fact: Sourced[Any]) -> Any:
    """Return an object with another number at a path of fields."""
    first, *rest = path
    inner = with_fact(getattr(declared, first), tuple(rest), fact) if rest else fact
    return dataclasses.replace(declared, **{first: inner})
