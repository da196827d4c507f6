"""Spans of time: put one after another, at the same time or many times over, with what each second is spent on.

A span has a duration and charges every second of it to one cause: a device that works, a link that moves, or something named
that nothing can be done about, such as launches. What happens beside the longest part is busy, not charged. So charges
add up to the duration, and the largest of them is what binds.

Everything takes numbers, or arrays that broadcast: then a span stands for every point of a grid.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from hwsim.units import Bytes, Quantity, Seconds, Value, maximum

__all__ = ["NOTHING", "Span", "move", "overlapped", "repeated", "select", "serial", "spend"]

Kind = TypeVar("Kind", bound=Quantity)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """A time, with what each part of it is spent on.

    Attributes:
        time: from beginning to end.
        charged: the same time by cause.
        busy: time that each cause works within it, hidden work included.
        moved: what each link moves.
    """

    time: Seconds
    charged: Mapping[str, Seconds]
    busy: Mapping[str, Seconds]
    moved: Mapping[str, Bytes]

    def share(self, cause: str) -> Value:
        """Return the part of the time that is charged to a cause."""
        charged = self.charged.get(cause)
        return 0.0 if charged is None else charged / self.time

    def binding(self) -> str:
        """Return the cause with the largest charge; of a grid, the largest over all points together."""
        return max(self.charged, key=lambda cause: float(np.sum(self.charged[cause].value)))


NOTHING = Span(time=Seconds(0.0), charged={}, busy={}, moved={})
"""The empty span, which takes no time."""


def spend(cause: str, time: Seconds) -> Span:
    """Return the time that one cause takes."""
    return Span(time=time, charged={cause: time}, busy={cause: time}, moved={})


def move(link: str, amount: Bytes, time: Seconds) -> Span:
    """Return the time in which a link moves an amount."""
    return dataclasses.replace(spend(link, time), moved={link: amount})


def serial(*spans: Span) -> Span:
    """Return the span of several spans one after another."""
    return Span(
        time=functools.reduce(Seconds.__add__, (span.time for span in spans), Seconds(0.0)),
        charged=_summed([span.charged for span in spans], Seconds),
        busy=_summed([span.busy for span in spans], Seconds),
        moved=_summed([span.moved for span in spans], Bytes),
    )


def overlapped(*spans: Span) -> Span:
    """Return the span of several spans at the same time: the longest decides and is charged; of equal ones the first."""
    longest = np.argmax(np.stack(np.broadcast_arrays(*(span.time.value for span in spans))), axis=0)
    charges = [{cause: _where(longest == index, time) for cause, time in span.charged.items()} for index, span in enumerate(spans)]
    return Span(
        time=maximum(*(span.time for span in spans)),
        charged=_summed(charges, Seconds),
        busy=_summed([span.busy for span in spans], Seconds),
        moved=_summed([span.moved for span in spans], Bytes),
    )


def select(chosen: Value, spans: Sequence[Span]) -> Span:
    """Return the span that is chosen of several, by its place among them, at every point of a grid."""

    def of(part: str) -> Any:
        kept = [
            {name: _where(chosen == place, each) for name, each in getattr(span, part).items()} for place, span in enumerate(spans)
        ]
        return _summed(kept, Bytes if part == "moved" else Seconds)

    times = [_where(chosen == place, span.time) for place, span in enumerate(spans)]
    return Span(time=functools.reduce(Seconds.__add__, times), charged=of("charged"), busy=of("busy"), moved=of("moved"))


def repeated(span: Span, count: Value) -> Span:
    """Return the span of something that happens `count` times."""
    return Span(
        time=span.time * count,
        charged={cause: time * count for cause, time in span.charged.items()},
        busy={cause: time * count for cause, time in span.busy.items()},
        moved={link: amount * count for link, amount in span.moved.items()},
    )


def _where(is_there: object, amount: Kind) -> Kind:
    return type(amount)(np.where(np.asarray(is_there), amount.value, 0.0)[()])


def _summed(parts: Sequence[Mapping[str, Kind]], kind: type[Kind]) -> dict[str, Kind]:
    total: dict[str, Kind] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = kind(total[name].value + amount.value) if name in total else amount
    return total
