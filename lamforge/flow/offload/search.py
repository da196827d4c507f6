"""Knows the best placement of a system as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.placement import search
from hwsim.offload.systems.flexgen import FlexGen
from lamforge.flow.offload.contender import contender
from reports.documents.offload import answer_document

__all__ = ["search_document"]

_SIZES = (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 160)
_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)


def search_document(text: str, about: Workload, settings: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fastest placement of a question on a system, over batches of many sizes and numbers; its own is not used.

    Raises:
        SpecError: the system places nothing, or nothing has room.
    """
    asked = contender(text, settings)
    if not isinstance(asked.system, FlexGen):
        raise SpecError(f"System {asked.system.name} must be one that splits tensors, such as flexgen-t4, for a search")
    found = search(asked.system, asked.work(about), _SIZES, _COUNTS)
    splits = {"weights": found.system.weights, "cache": found.system.cache, "activations": found.system.activations}
    return {
        "placement": {name: {"gpu": split.gpu, "host": split.host, "drive": split.drive} for name, split in splits.items()},
        "batches": found.system.batches,
        "batch_size": int(found.work.batch) // found.system.batches,
        "has_host_attention": found.system.has_host_attention,
        "answer": answer_document(asked, found.answer),
    }
