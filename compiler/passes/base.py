"""What a pass is: a frozen dataclass from graph to graph; its fields are its options."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from compiler.graph import Graph

__all__ = ["Pass"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pass(abc.ABC):
    """One step of the compiler; never changes its input."""

    name: ClassVar[str]

    @abc.abstractmethod
    def apply(self, graph: Graph) -> Graph:
        """Return the graph after this pass."""
