"""Knows systems beside one another over contexts: the best batch of each at each, and the contexts at which they change places."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer
from lamforge.flow.offload.contender import Contender
from reports.documents.offload import assumed_share

__all__ = ["BATCHES", "CONTENDERS", "CONTEXTS", "Comparison", "Crossover", "Line", "compare"]

CONTENDERS = (
    "gpu-a100",
    "gpu-a100:w4a8kv4",
    "gpu-a100:w2a8kv4:2048",
    "gpu-h100",
    "gpu-h200",
    "gpu-rtx-4090",
    "flexgen-a100",
    "flexgen-a100-drive",
    "zero-a100-host",
    "triforce-a100",
    "shadowkv-a100",
    "instinfer-flexgen",
    "instinfer-dense",
    "instinfer-sparf",
    "fpga-flightllm:flightllm",
    "fpga-u280:w2a8kv4:2048",
)
"""What is compared when nothing is named."""

CONTEXTS = tuple(2.0 ** (12 + eighth / 8) for eighth in range(65))
"""Tokens of the prompt, 4K to 1M, eight to a doubling."""
BATCHES = tuple(2**power for power in range(9))
"""Sequences that are tried where the best batch is asked for."""

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One contender over contexts; NaN where it has no room. Figures are of the batch with the most token/s.

    Attributes:
        contender: which.
        batch: sequences.
        tokens_per_s: generated, over the whole time.
        decode_tokens_per_s: of all sequences, between tokens.
        first_token_s, step_s: times.
        joules_per_token, usd_per_million_tokens: of generated tokens.
        binding: what most of a step is charged to.
        assumed_share: part of the numbers behind it that is assumed.
    """

    contender: Contender
    batch: Floats
    tokens_per_s: Floats
    decode_tokens_per_s: Floats
    first_token_s: Floats
    step_s: Floats
    joules_per_token: Floats
    usd_per_million_tokens: Floats
    binding: tuple[str | None, ...]
    assumed_share: float

    def document(self) -> dict[str, Any]:
        """Return the line as plain values; None where it has no room."""
        figures = [field.name for field in dataclasses.fields(self) if field.type == "Floats"]
        values = {name: [None if np.isnan(value) else float(value) for value in getattr(self, name)] for name in figures}
        rest = {"binding": list(self.binding), "assumed_share": self.assumed_share}
        return {"system": self.contender.name, "title": self.contender.title, **values, **rest}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossover:
    """Two contenders that change places.

    Attributes:
        context: tokens of the prompt, between two that were computed.
        before, after: names of the faster one on either side.
    """

    context: float
    before: str
    after: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Contenders over contexts."""

    network: Network
    contexts: tuple[float, ...]
    generated: int
    batches: tuple[int, ...]
    lines: tuple[Line, ...]

    @property
    def crossovers(self) -> tuple[Crossover, ...]:
        """Every context at which one of two becomes the faster one, by token/s, where both have room on both sides."""
        found = []
        for one, other in itertools.combinations(self.lines, 2):
            gap = np.log(one.tokens_per_s) - np.log(other.tokens_per_s)
            for left, (a, b) in enumerate(itertools.pairwise(gap)):
                if np.isfinite(a) and np.isfinite(b) and a * b < 0:
                    place = np.interp(0.0, sorted((a, b)), np.log(self.contexts[left : left + 2])[:: 1 if a < b else -1])
                    names = (one.contender.name, other.contender.name)
                    before, after = names if a > 0 else names[::-1]
                    found.append(Crossover(context=float(np.exp(place)), before=before, after=after))
        return tuple(sorted(found, key=lambda each: each.context))

    def document(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        return {
            "model": self.network.name,
            "contexts": list(self.contexts),
            "generated": self.generated,
            "batches": list(self.batches),
            "lines": [line.document() for line in self.lines],
            "crossovers": [dataclasses.asdict(each) for each in self.crossovers],
        }


def compare(
    network: Network, contenders: Sequence[Contender], contexts: Sequence[float], generated: int, batches: Sequence[int]
) -> Comparison:
    """Return contenders over contexts, each in its best of the batches.

    Raises:
        SpecError: two contenders have one name, or a constant is missing.
    """
    names = [each.name for each in contenders]
    if len(set(names)) < len(names):
        raise SpecError(f"Compared systems must differ, not {', '.join(names)}")
    lines = tuple(_line(each, network, np.array(contexts), generated, batches) for each in contenders)
    return Comparison(network=network, contexts=tuple(contexts), generated=generated, batches=tuple(batches), lines=lines)


def _line(contender: Contender, network: Network, contexts: Floats, generated: int, batches: Sequence[int]) -> Line:
    allowed = np.array([batch for batch in batches if batch <= contender.system.most_sequences], float)
    if not allowed.size:
        raise SpecError(f"Batch of {contender.name} must be at most {contender.system.most_sequences}, not {min(batches)}")
    shape = (len(contexts), len(allowed))
    asked = Workload(network=network, prompt=contexts[:, None], generated=float(generated), batch=allowed[None, :])
    answer = contender.answer(asked)
    rate = np.where(np.broadcast_to(answer.fits, shape), np.broadcast_to(answer.tokens_per_second, shape), -np.inf)
    best = rate.argmax(axis=1)
    row = np.arange(len(contexts))
    has_room = np.isfinite(rate[row, best])

    def picked(values: Any) -> Floats:
        return np.where(has_room, np.broadcast_to(values, shape)[row, best], np.nan)

    cost = answer.dollars_per_million_tokens
    return Line(
        contender=contender,
        batch=picked(allowed[None, :]),
        tokens_per_s=picked(answer.tokens_per_second),
        decode_tokens_per_s=picked(answer.decode_tokens_per_second),
        first_token_s=picked(answer.prefill.time.value),
        step_s=picked(answer.step.time.value),
        joules_per_token=picked(answer.joules_per_token),
        usd_per_million_tokens=picked(np.nan if cost is None else cost),
        binding=_binding(answer, shape, best, has_room),
        assumed_share=assumed_share(answer, contender.system),
    )


def _binding(
    answer: Answer, shape: tuple[int, int], best: npt.NDArray[np.int64], has_room: npt.NDArray[np.bool_]
) -> tuple[str | None, ...]:
    """Return the cause with the largest charge in a step, for every context in its best batch."""
    causes = list(answer.step.charged)
    row = np.arange(shape[0])
    charges = np.stack([np.broadcast_to(answer.step.charged[cause].value, shape)[row, best] for cause in causes])
    largest = charges.argmax(axis=0)
    return tuple(causes[index] if fits else None for index, fits in zip(largest, has_room, strict=True))
