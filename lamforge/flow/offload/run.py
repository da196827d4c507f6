"""What one system does with a workload: times by cause, bytes by link, memory that is needed, energy and cost."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from hwsim.offload.answer import Answer
from hwsim.offload.dependence import Dependence, dependences
from hwsim.units import Quantity
from lamforge.flow.offload.contender import Contender, SystemRequest, contender, question
from lamforge.flow.verb import SILENT, Listener

__all__ = ["Estimate", "RunRequest", "largest_first", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRequest(SystemRequest):
    """A workload on a system.

    Attributes:
        batch: sequences at once.
    """

    batch: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a system does with one workload; its `answer` has times by cause, bytes by link, memories and devices, with units."""

    contender: Contender
    answer: Answer

    @property
    def fits(self) -> bool:
        """Whether every memory holds what the workload puts there; times are given either way."""
        return bool(self.answer.fits)

    @property
    def first_token_s(self) -> float:
        """Seconds until every sequence has its first token."""
        return float(self.answer.prefill.time.value)

    @property
    def step_s(self) -> float:
        """Seconds from one token of every sequence to the next, in the mean."""
        return float(self.answer.step.time.value)

    @property
    def token_per_s(self) -> float:
        """Generated tokens of all sequences over the whole time, prompts included."""
        return float(self.answer.tokens_per_second)

    @property
    def decode_token_per_s(self) -> float:
        """Generated tokens of all sequences over the time between tokens."""
        return float(self.answer.decode_tokens_per_second)

    @property
    def joules_per_token(self) -> float:
        """Energy of all devices over generated tokens."""
        return float(self.answer.joules_per_token)

    @property
    def price_usd(self) -> float | None:
        """Price of all devices; None where one of them has no price."""
        price = self.answer.price
        return None if price is None else float(price.value)

    @property
    def usd_per_million_tokens(self) -> float | None:
        """That price spread over three years of running nothing else, without electricity."""
        cost = self.answer.dollars_per_million_tokens
        return None if cost is None else float(cost)

    @property
    def binding(self) -> str:
        """What most of a step is spent on."""
        return self.answer.binding

    @functools.cached_property
    def depends_on(self) -> Mapping[str, Dependence]:
        """The numbers on which the estimate depends, by the path that settings take, those first that change its speed most."""
        found = dependences(self.contender.system, self.answer.work)
        return dict(sorted(found.items(), key=lambda each: -abs(each[1].elasticity)))

    @property
    def numbers(self) -> int:
        """How many numbers with a source the devices and the system have."""
        return self.contender.numbers(self.answer)

    @property
    def assumed_share(self) -> float:
        """Part of these numbers that is assumed."""
        return self.contender.assumed_share(self.answer)


def run(request: RunRequest, listener: Listener = SILENT) -> Estimate:
    """Estimate what a system does with a workload: times, bytes moved, memory, energy and cost, and what binds.

    Raises:
        SpecError: there is no such system, format or setting, or a count is out of range.
        CheckpointError: there is no such network.
    """
    asked = contender(request.system, request.settings)
    about = question(request.model, prompt=request.prompt, generate=request.generate, batch=request.batch)
    return Estimate(contender=asked, answer=asked.answer(about))


def largest_first(values: Mapping[str, Quantity]) -> dict[str, float]:
    """Return what is above zero in base units (seconds, bytes), the largest first."""
    plain = {name: float(value.value) for name, value in values.items() if float(value.value) > 0}
    return dict(sorted(plain.items(), key=lambda entry: -entry[1]))
