"""Systems beside one another over contexts: the best batch of each at each, and the contexts at which they change places."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError
from hwsim.plain import Settings
from lamforge.flow.offload.contender import PROMPT, Contender, contender, question
from lamforge.flow.verb import SILENT, Listener

__all__ = ["BATCHES", "CONTENDERS", "CONTEXTS", "CompareRequest", "Comparison", "Crossover", "Line", "compared", "run", "spread"]

CONTENDERS = (
    *("gpu-a100", "gpu-a100:w4a8kv4", "gpu-a100:w2a8kv4:2048", "gpu-h100", "gpu-h200", "gpu-rtx-4090"),
    *("flexgen-a100", "flexgen-a100-drive", "zero-a100-host", "triforce-a100", "shadowkv-a100"),
    *("instinfer-flexgen", "instinfer-dense", "instinfer-sparf"),
    *("fpga-flightllm:flightllm", "fpga-u280:w2a8kv4:2048"),
)
"""What is compared when nothing is named."""

CONTEXTS = tuple(2.0 ** (12 + eighth / 8) for eighth in range(65))
"""Tokens of the prompt, 4K to 1M, eight to a doubling."""
BATCHES = tuple(2**power for power in range(9))
"""Sequences that are tried where the best batch is asked for."""

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """Systems to set beside one another.

    Attributes:
        systems: as `lamforge.offload.run` takes them; none takes those of CONTENDERS that are made for the batch.
        model: name of a network or path of its `config.json`.
        prompt: tokens of the prompt at which to look closely, beside all contexts.
        generate: tokens generated for each sequence.
        batch: sequences at once; None takes the fastest of BATCHES for each system and context.
        settings: values to change, by path, where one system is named.
    """

    systems: Sequence[str] = dataclasses.field(default=(), kw_only=False)
    model: str = "llama-2-7b"
    prompt: int | None = None
    generate: int = 256
    batch: int | None = None
    settings: Settings = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One contender over contexts; NaN where the workload does not fit. Figures are of the batch with the most token/s.

    Attributes:
        contender: which.
        batch: sequences.
        token_per_s: generated, over the whole time.
        decode_token_per_s: of all sequences, between tokens.
        first_token_s, step_s: seconds until the first token, and between tokens.
        joules_per_token, usd_per_million_tokens: of generated tokens; NaN also where a device has no price.
        binding: what most of a step is spent on; None where the workload does not fit.
        assumed_share: part of the numbers behind it that is assumed.
    """

    contender: Contender
    batch: Floats
    token_per_s: Floats
    decode_token_per_s: Floats
    first_token_s: Floats
    step_s: Floats
    joules_per_token: Floats
    usd_per_million_tokens: Floats
    binding: tuple[str | None, ...]
    assumed_share: float

    def values(self, figure: str) -> list[float | None]:
        """Return a figure by the name of its attribute, over contexts; None where there is none."""
        found: Floats = getattr(self, figure)
        return [None if np.isnan(value) else float(value) for value in found]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossover:
    """Two that change places: tokens of the prompt, between two that were computed, and names of the faster one on either side."""

    context: float
    before: str
    after: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Contenders over contexts.

    Attributes:
        network: what runs.
        contexts: tokens of the prompt.
        generated: tokens generated for each sequence.
        batches: sequences that were tried.
        lines: a contender each.
        at: the same at the one prompt that was asked for, if one was.
    """

    network: Network
    contexts: tuple[float, ...]
    generated: int
    batches: tuple[int, ...]
    lines: tuple[Line, ...]
    at: Comparison | None = None

    @property
    def crossovers(self) -> tuple[Crossover, ...]:
        """Every context at which one of two becomes the faster one, by token/s, where the workload fits both on both sides."""
        found = []
        for one, other in itertools.combinations(self.lines, 2):
            gap = np.log(one.token_per_s) - np.log(other.token_per_s)
            for left, (a, b) in enumerate(itertools.pairwise(gap)):
                if np.isfinite(a) and np.isfinite(b) and a * b < 0:
                    place = np.interp(0.0, sorted((a, b)), np.log(self.contexts[left : left + 2])[:: 1 if a < b else -1])
                    names = (one.contender.name, other.contender.name)
                    before, after = names if a > 0 else names[::-1]
                    found.append(Crossover(context=float(np.exp(place)), before=before, after=after))
        return tuple(sorted(found, key=lambda each: each.context))

    @property
    def fastest_first(self) -> tuple[Line, ...]:
        """The lines by token/s at the first context; those that the workload does not fit come last."""
        return tuple(sorted(self.lines, key=lambda line: -(line.values("token_per_s")[0] or 0.0)))

    def spread(self, count: int) -> list[int]:
        """Return the places of at most so many contexts, as `spread` does."""
        return spread(len(self.contexts), count)


def spread(length: int, most: int) -> list[int]:
    """Return at most so many places in a list, the first and the last among them, evenly between."""
    last, shown = length - 1, min(length, most)
    return sorted({round(index * last / max(1, shown - 1)) for index in range(shown)})


def run(request: CompareRequest, listener: Listener = SILENT) -> Comparison:
    """Set systems beside one another from 4K to 1M tokens of prompt, and find where they change places.

    Raises:
        SpecError: there is no such system, format or setting, two systems are the same, or a count is out of range.
        CheckpointError: there is no such network.
    """
    systems, batch = request.systems or CONTENDERS, request.batch
    if request.settings and len(request.systems) != 1:
        raise SpecError(f"Settings must be those of one system, not of {len(systems)}: name the one to change")
    prompt = PROMPT if request.prompt is None else request.prompt
    about = question(request.model, prompt=prompt, generate=request.generate, batch=1 if batch is None else batch)
    contenders = [contender(text, request.settings) for text in systems]
    if not request.systems:
        contenders = [each for each in contenders if each.system.most_sequences >= (batch or 1)]
    batches = BATCHES if batch is None else (batch,)
    found = compared(about.network, contenders, CONTEXTS, request.generate, batches)
    if request.prompt is None:
        return found
    at = compared(about.network, contenders, (float(prompt),), request.generate, batches)
    return dataclasses.replace(found, at=at)


def compared(
    network: Network, contenders: Sequence[Contender], contexts: Sequence[float], generated: int, batches: Sequence[int]
) -> Comparison:
    """Return contenders over contexts, each in its best of the batches.

    SpecError when two contenders have one name, or a constant is missing.
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
    fits = np.isfinite(rate[row, best])

    def picked(values: Any) -> Floats:
        return np.where(fits, np.broadcast_to(values, shape)[row, best], np.nan)

    cost, causes = answer.dollars_per_million_tokens, list(answer.step.charged)
    charges = np.stack([np.broadcast_to(charge.value, shape)[row, best] for charge in answer.step.charged.values()])
    largest = charges.argmax(axis=0)
    return Line(
        contender=contender,
        batch=picked(allowed[None, :]),
        token_per_s=picked(answer.tokens_per_second),
        decode_token_per_s=picked(answer.decode_tokens_per_second),
        first_token_s=picked(answer.prefill.time.value),
        step_s=picked(answer.step.time.value),
        joules_per_token=picked(answer.joules_per_token),
        usd_per_million_tokens=picked(np.nan if cost is None else cost),
        binding=tuple(causes[index] if is_there else None for index, is_there in zip(largest, fits, strict=True)),
        assumed_share=contender.assumed_share(answer),
    )
