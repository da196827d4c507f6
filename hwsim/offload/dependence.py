"""What an answer depends on: the numbers of a system and its devices that change it, and how much the speed changes with each."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer
from hwsim.offload.changes import with_fact
from hwsim.offload.devices.storage import ArrayShare
from hwsim.offload.pcie import PcieLink
from hwsim.offload.systems.system import System
from hwsim.sourced import Sourced
from hwsim.units import Quantity

__all__ = ["Dependence", "dependences"]

_DIGITS = 6
"""Of an elasticity; more of them are rounding of the change."""
_LESS = 0.99
"""Factor by which a number is changed: down, since shares and rates have an upper end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dependence:
    """A number that an answer depends on.

    Attributes:
        fact: the number with its source.
        elasticity: relative change of tokens per second for a relative change of the number, both small; of a count or a link,
            for its next lower value. 0 where only energy, price or room depend on the number.
    """

    fact: Sourced[Any]
    elasticity: float


def dependences(system: System, work: Workload) -> Mapping[str, Dependence]:
    """Return the numbers on which a system's answer to one workload depends, by the paths that settings take.

    A number behind a part that something longer hides changes nothing, and is not among them.
    """
    answer = system.answer(work)
    before = _figures(answer)
    found = {}
    for path, fact in _numbers(system):
        for value, share in _changed(fact.value):
            try:
                after = _figures(with_fact(system, path, dataclasses.replace(fact, value=value)).answer(work))
            except SpecError:
                continue
            if before.shape != after.shape or not np.array_equal(before, after, equal_nan=True):
                found[".".join(path)] = Dependence(
                    fact=fact, elasticity=round(float((after[0] / before[0] - 1) / (share - 1)), _DIGITS)
                )
            break
    return found


def _numbers(system: System) -> Iterator[tuple[tuple[str, ...], Sourced[Any]]]:
    """Yield every number with its place in the system."""
    for field, device in system.devices.items():
        yield from (((field, name), fact) for name, fact in device.facts.items())
    yield from ((tuple(name.split(".")), fact) for name, fact in system.constants.items())


def _changed(value: Any) -> Iterator[tuple[Any, float]]:
    """Yield values a little smaller, with the share of the old one that each is: the first that is possible is taken."""
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield from ((type(value)(each), each / value) for each in (value - 1, value // 2) if each >= 1)
    elif isinstance(value, float):
        yield value * _LESS, _LESS
    elif isinstance(value, Quantity):
        yield type(value)(value.value * _LESS), _LESS
    elif isinstance(value, PcieLink):
        if value.lanes > 1:
            yield dataclasses.replace(value, lanes=value.lanes // 2), 0.5
    elif isinstance(value, tuple) and all(isinstance(each, ArrayShare) for each in value):
        yield tuple(dataclasses.replace(each, share=each.share * _LESS) for each in value), _LESS


def _figures(answer: Answer) -> np.ndarray:
    """Return what an answer says in numbers: speed first, then times, energy, price and room."""
    price = answer.price
    room = [size.value for tier in answer.tiers for size in (tier.used, tier.capacity)]
    times = (answer.prefill.time.value, answer.step.time.value)
    figures = (answer.tokens_per_second, *times, answer.joules_per_token, np.nan if price is None else price.value, *room)
    return np.concatenate([np.ravel(figure) for figure in figures])
