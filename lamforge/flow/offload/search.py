"""The best placement of a workload on a system that splits tensors over GPU, host and drive."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hwsim.errors import SpecError
from hwsim.offload.placement import search
from hwsim.offload.systems.flexgen import FlexGen, Split
from lamforge.flow.offload.contender import SystemRequest, contender, question
from lamforge.flow.offload.run import Estimate
from lamforge.flow.verb import SILENT, Listener

__all__ = ["BestPlacement", "SearchRequest", "run"]

_SIZES = (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 160)
_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchRequest(SystemRequest):
    """A workload on a system that splits tensors, such as `flexgen-t4`; the search chooses the batch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestPlacement:
    """The fastest placement that was found: the system with its tensors placed, and what it does with the workload."""

    system: FlexGen
    estimate: Estimate

    @property
    def splits(self) -> Mapping[str, Split]:
        """Percent on GPU, host and drive, by tensor."""
        return {"weights": self.system.weights, "cache": self.system.cache, "activations": self.system.activations}

    @property
    def batch_size(self) -> int:
        """Sequences of one GPU batch, of which `system.batches` make a block."""
        return int(self.estimate.answer.work.batch) // self.system.batches


def run(request: SearchRequest, listener: Listener = SILENT) -> BestPlacement:
    """Find the fastest placement of weights, cache and activations, over batches of many sizes and numbers.

    Raises:
        SpecError: there is no such system, it places nothing, or no placement fits.
        CheckpointError: there is no such network.
    """
    asked = contender(request.system, request.settings)
    if not isinstance(asked.system, FlexGen):
        raise SpecError(f"System of a search must be one that splits tensors, such as flexgen-t4, not {asked.system.name}")
    about = question(request.model, prompt=request.prompt, generate=request.generate)
    found = search(asked.system, asked.work(about), _SIZES, _COUNTS)
    placed = dataclasses.replace(asked, system=found.system)
    return BestPlacement(system=found.system, estimate=Estimate(contender=placed, answer=found.answer))
