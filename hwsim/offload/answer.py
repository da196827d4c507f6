"""The answer of a system to a workload: times by cause, bytes by link, the use of every memory, energy, price."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.offload.devices.device import Device
from hwsim.offload.span import Span, repeated, select, serial
from hwsim.sourced import Sourced
from hwsim.units import Bytes, Dollars, Joules, Seconds, Value, Watts

__all__ = ["IDLE_SHARE", "LIFE", "Answer", "Part", "Tier", "fastest"]

IDLE_SHARE: Sourced[float] = Sourced(value=0.3, kind="assumed", source="of the power at work, between devices of these kinds")
"""Power of a device that waits, as a share of its power at work."""
LIFE: Sourced[Seconds] = Sourced(value=Seconds(3 * 365 * 86400.0), kind="assumed", source="three years of use")
"""Time over which a price is spread."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tier:
    """A memory of a system, and what a workload puts there."""

    name: str
    used: Bytes
    """Largest amount that the workload puts there during the run."""
    capacity: Bytes

    @property
    def over(self) -> Bytes:
        """How much does not fit; 0 where all does."""
        return Bytes(np.maximum(self.used.value - self.capacity.value, 0.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """The equal devices of one kind in a system."""

    device: Device
    count: int
    power: Sourced[Watts]
    """Power of one device at work."""
    causes: tuple[str, ...]
    """Causes of time during which the devices work; at other times they wait."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a system does with a workload.

    Attributes:
        system: name of the system.
        work: the workload.
        prefill: until every sequence has its first token.
        step: from one token of every sequence to the next, in the mean.
        tiers: its memories.
        parts: its devices.
        assumed: constants of the system itself that are assumed.
        way: how the devices are used, where a system may use them in several ways; empty for a grid, whose points may differ.
    """

    system: str
    work: Workload
    prefill: Span
    step: Span
    tiers: tuple[Tier, ...]
    parts: tuple[Part, ...]
    assumed: tuple[str, ...] = ()
    way: str = ""

    @property
    def decode(self) -> Span:
        """Time of all tokens after the first."""
        return repeated(self.step, np.subtract(self.work.generated, 1))

    @property
    def whole(self) -> Span:
        """Time from the prompts to the last tokens."""
        return serial(self.prefill, self.decode)

    @property
    def tokens_per_second(self) -> Value:
        """Generated tokens over the whole time, prompts included."""
        return np.multiply(self.work.batch, self.work.generated) / self.whole.time.value

    @property
    def decode_tokens_per_second(self) -> Value:
        """Tokens of all sequences over the time of a step."""
        return np.asarray(self.work.batch) / self.step.time.value

    @property
    def binding(self) -> str:
        """Cause to which most of a step is charged."""
        return self.step.binding()

    @property
    def fits(self) -> Value:
        """Whether the workload fits in every memory."""
        return functools.reduce(np.logical_and, (np.equal(tier.over.value, 0) for tier in self.tiers))

    @property
    def energy(self) -> Mapping[str, Joules]:
        """Energy of the whole run by device: of the share of time in which it works at its power, else at IDLE_SHARE of that."""
        whole = self.whole
        return {part.device.name: _energy(part, whole) for part in self.parts}

    @property
    def joules_per_token(self) -> Value:
        """Energy of all devices over generated tokens."""
        total = sum(np.asarray(energy.value) for energy in self.energy.values())
        return total / np.multiply(self.work.batch, self.work.generated)

    @property
    def price(self) -> Dollars | None:
        """Price of all devices; None where one has none."""
        prices = [part.device.price for part in self.parts]
        if any(price is None for price in prices):
            return None
        return Dollars(sum(float(price.value.value) * part.count for price, part in zip(prices, self.parts, strict=True) if price))

    @property
    def dollars_per_million_tokens(self) -> Value | None:
        """Price spread over LIFE of running nothing else, without electricity."""
        price = self.price
        return None if price is None else price.value / (self.tokens_per_second * LIFE.value.value) * 1e6

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Every assumed number behind the answer, as `device.field` or `system.field`."""
        devices = [f"{part.device.name}.{field}" for part in self.parts for field in part.device.assumed]
        return (*devices, *(f"{self.system}.{field}" for field in self.assumed))


def fastest(first: Answer, *others: Answer) -> Answer:
    """Return of every point the answer that takes the least time among those that fit, or among all where none does.

    The answers are of one system and work, and have the same memories.
    """
    answers = (first, *others)
    if not others:
        return first
    found = [np.broadcast_arrays(answer.whole.time.value, answer.fits) for answer in answers]
    times, fit = (np.stack(np.broadcast_arrays(*each)) for each in zip(*found, strict=True))
    chosen = np.asarray(np.argmin(np.where(fit | ~fit.any(axis=0), times, np.inf), axis=0))

    def pick(sizes: Sequence[Bytes]) -> Bytes:
        every = np.stack([np.broadcast_to(size.value, times.shape[1:]) for size in sizes])
        return Bytes(np.take_along_axis(every, chosen[np.newaxis], axis=0)[0][()])

    tiers = tuple(
        Tier(name=same[0].name, used=pick([tier.used for tier in same]), capacity=pick([tier.capacity for tier in same]))
        for same in zip(*(answer.tiers for answer in answers), strict=True)
    )
    prefill, step = (select(chosen, [getattr(answer, part) for answer in answers]) for part in ("prefill", "step"))
    way = answers[int(chosen)].way if chosen.ndim == 0 else ""
    return dataclasses.replace(first, prefill=prefill, step=step, tiers=tiers, way=way)


def _energy(part: Part, whole: Span) -> Joules:
    busy = [whole.busy[cause] for cause in part.causes if cause in whole.busy]
    worked = Seconds(np.minimum(sum((np.asarray(time.value) for time in busy), np.asarray(0.0)), whole.time.value))
    waiting = (whole.time - worked) * IDLE_SHARE.value
    return part.power.value * (worked + waiting) * float(part.count)
