"""Estimates of offloading as plain values: what `lamforge offload --json` prints."""

import dataclasses
import math
from typing import Any

from hwsim.offload.answer import Tier
from hwsim.offload.span import Span
from hwsim.sourced import value_text
from lamforge.flow.offload.compare import Comparison, Line
from lamforge.flow.offload.list import Listing
from lamforge.flow.offload.run import Estimate, largest_first
from lamforge.flow.offload.search import BestPlacement

__all__ = ["comparison_document", "estimate_document", "listing_document", "placement_document"]

_LINE = {
    "batch": "batch",
    "tokens_per_s": "token_per_s",
    "decode_tokens_per_s": "decode_token_per_s",
    "first_token_s": "first_token_s",
    "step_s": "step_s",
    "joules_per_token": "joules_per_token",
    "usd_per_million_tokens": "usd_per_million_tokens",
}
"""Figures of a line by the name that they have here."""


def estimate_document(found: Estimate) -> dict[str, Any]:
    """Return what one system does with one workload."""
    asked, answer, work = found.contender, found.answer, found.answer.work
    return {
        "system": asked.name,
        "title": asked.title,
        "settings": dict(asked.settings),
        "devices": [
            {"name": part.device.name, "title": part.device.title, "subject": part.device.subject, "count": part.count}
            for part in answer.parts
        ],
        "way": answer.way or None,
        "model": work.network.name,
        "prompt": work.prompt,
        "generated": work.generated,
        "batch": work.batch,
        "format": asked.format,
        "window": asked.window if math.isfinite(asked.window) else None,
        "fits": found.fits,
        "tiers": [_tier(tier) for tier in answer.tiers],
        "first_token_s": found.first_token_s,
        "step_s": found.step_s,
        "tokens_per_s": found.token_per_s,
        "decode_tokens_per_s": found.decode_token_per_s,
        "binding": {"prefill": answer.prefill.binding(), "step": found.binding},
        "prefill": _span(answer.prefill),
        "step": _span(answer.step),
        "energy_j": {name: float(energy.value) for name, energy in answer.energy.items()},
        "joules_per_token": found.joules_per_token,
        "price_usd": found.price_usd,
        "usd_per_million_tokens": found.usd_per_million_tokens,
        "depends_on": [
            {
                "name": name,
                "value": value_text(each.fact.value),
                "kind": each.fact.kind,
                "source": each.fact.source,
                "elasticity": each.elasticity,
            }
            for name, each in found.depends_on.items()
        ],
        "assumed": list(answer.assumptions),
        "assumed_share": found.assumed_share,
    }


def comparison_document(found: Comparison) -> dict[str, Any]:
    """Return systems over contexts; None where a workload does not fit."""
    document = {
        "model": found.network.name,
        "contexts": list(found.contexts),
        "generated": found.generated,
        "batches": list(found.batches),
        "lines": [_line(line) for line in found.lines],
        "crossovers": [dataclasses.asdict(each) for each in found.crossovers],
    }
    return document if found.at is None else document | {"at": comparison_document(found.at)}


def placement_document(found: BestPlacement) -> dict[str, Any]:
    """Return the best placement and what it does."""
    splits = {name: {"gpu": split.gpu, "host": split.host, "drive": split.drive} for name, split in found.splits.items()}
    return {
        "placement": splits,
        "batches": found.system.batches,
        "batch_size": found.batch_size,
        "has_host_attention": found.system.has_host_attention,
        "answer": estimate_document(found.estimate),
    }


def listing_document(found: Listing) -> dict[str, Any]:
    """Return titles of systems, bits of formats, and names of networks."""
    formats = {name: dataclasses.asdict(bits) for name, bits in found.formats.items()}
    return {"systems": dict(found.systems), "formats": formats, "networks": list(found.networks)}


def _line(line: Line) -> dict[str, Any]:
    figures = {name: line.values(figure) for name, figure in _LINE.items()}
    rest = {"binding": list(line.binding), "assumed_share": line.assumed_share}
    return {"system": line.contender.name, "title": line.contender.title, **figures, **rest}


def _tier(tier: Tier) -> dict[str, Any]:
    used, capacity, over = (float(size.value) for size in (tier.used, tier.capacity, tier.over))
    return {"name": tier.name, "used_bytes": used, "capacity_bytes": capacity, "over_bytes": over}


def _span(span: Span) -> dict[str, Any]:
    parts = {"charged_s": span.charged, "busy_s": span.busy, "moved_bytes": span.moved}
    return {name: largest_first(values) for name, values in parts.items()}
