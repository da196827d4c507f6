"""A published figure beside ours, and a set of such rows from one publication or table."""

import dataclasses
import functools
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from hwsim.offload.answer import Answer

__all__ = ["Row", "ValidationSet"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A published figure beside ours.

    Attributes:
        case: what the figure is of.
        unit: of both figures.
        published, ours: the figures.
        fitted: whether a constant of a device behind ours was chosen with this figure in sight, besides those of `tuned`.
        source: where the published figure stands.
        assumed: numbers behind ours that are assumed, as `file.field`.
        misfits: memories in which a run behind ours has no room; a run that was published had it.
    """

    case: str
    unit: str
    published: float
    ours: float
    fitted: bool = False
    source: str
    assumed: tuple[str, ...] = ()
    misfits: tuple[str, ...] = ()

    @classmethod
    def of(cls, *answers: Answer, **fields: Any) -> "Row":
        """Return a row whose figure is made of answers of systems."""
        assumed = dict.fromkeys(name for answer in answers for name in answer.assumptions)
        misfits = [f"{answer.system}: {tier.name}" for answer in answers for tier in answer.tiers if tier.over.value > 0]
        return cls(**fields, assumed=tuple(assumed), misfits=tuple(misfits))

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
        compute: returns the rows; raises SpecError when a device file is wrong.
    """

    name: str
    title: str
    compute: Callable[[], Iterable[Row]]

    @functools.cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows, computed when first asked for."""
        return tuple(self.compute())

    @property
    def largest_error(self) -> float:
        """The error that is farthest from zero, as a fraction of the published figure."""
        return max((row.error for row in self.rows), key=abs)

    @property
    def median_error(self) -> float:
        """The median of the errors without their signs."""
        return statistics.median(abs(row.error) for row in self.rows)

    @property
    def assumed(self) -> list[str]:
        """Names of the assumed numbers behind the rows, each once."""
        return sorted({name for row in self.rows for name in row.assumed})
