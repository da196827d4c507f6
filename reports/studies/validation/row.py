"""A published figure beside ours, and a set of such rows from one publication or table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

__all__ = ["Row", "ValidationSet"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A published figure beside ours.

    Attributes:
        case: what the figure is of.
        unit: of both figures.
        published, ours: the figures.
        fitted: whether a constant behind ours was chosen with this figure in sight.
        source: where the published figure stands.
        assumed: numbers behind ours that are assumed, as `file.field`.
    """

    case: str
    unit: str
    published: float
    ours: float
    fitted: bool
    source: str
    assumed: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """How far ours is above the published figure, as a fraction of it."""
        return self.ours / self.published - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationSet:
    """Rows that belong together.

    Attributes:
        name: on the command line and in results.
        title: what is compared, in a line.
        rows: computes the rows; raises SpecError when a device file is wrong.
    """

    name: str
    title: str
    rows: Callable[[], tuple[Row, ...]]
