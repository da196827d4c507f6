"""Is it worth building? Systems over contexts for two networks, and how right the estimates behind them are."""

import dataclasses
from collections.abc import Sequence

from lamforge.flow.offload.compare import BATCHES, CONTENDERS, CONTEXTS, Comparison, compared
from lamforge.flow.offload.contender import contender
from lamforge.flow.verb import SILENT, Listener
from models.zoo import network
from reports.studies.validation.offload import OffloadValidation
from reports.studies.validation.offload import offload as validate

__all__ = ["MODELS", "OffloadStudy", "Pair", "offload_study"]

MODELS = ("llama-2-7b", "llama-2-13b")
"""Networks of the study."""
_GENERATED = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Systems over contexts for one network: each in the batch with the most token/s, and with one sequence."""

    best: Comparison
    alone: Comparison


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffloadStudy:
    """The answer: a pair for each network, and estimates beside every published figure."""

    pairs: tuple[Pair, ...]
    validation: OffloadValidation


def offload_study(
    models: Sequence[str] = MODELS, contenders: Sequence[str] = CONTENDERS, listener: Listener = SILENT
) -> OffloadStudy:
    """Return systems over contexts for networks, and the validation; raise SpecError when a device file is wrong."""
    asked = [contender(text) for text in contenders]
    pairs = tuple(
        Pair(best=compared(each, asked, CONTEXTS, _GENERATED, BATCHES), alone=compared(each, asked, CONTEXTS, _GENERATED, (1,)))
        for each in map(network, models)
    )
    return OffloadStudy(pairs=pairs, validation=validate(listener))
