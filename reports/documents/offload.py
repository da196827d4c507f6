"""Knows an answer as plain values: what `--json` prints and what texts, tables and pages are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hwsim.offload.answer import Answer, Tier
from hwsim.offload.span import Span
from hwsim.offload.systems import System
from hwsim.units import Quantity
from lamforge.flow.offload.contender import Contender

__all__ = ["answer_document", "assumed_share"]


def answer_document(contender: Contender, answer: Answer) -> dict[str, Any]:
    """Return an answer to one question, not a grid of them."""
    work = answer.work
    cost, price = answer.dollars_per_million_tokens, answer.price
    return {
        "system": contender.name,
        "title": contender.title,
        "model": work.network.name,
        "prompt": work.prompt,
        "generated": work.generated,
        "batch": work.batch,
        "format": contender.format,
        "window": contender.window if math.isfinite(contender.window) else None,
        "fits": bool(answer.fits),
        "tiers": [_tier(tier) for tier in answer.tiers],
        "first_token_s": _plain(answer.prefill.time),
        "step_s": _plain(answer.step.time),
        "tokens_per_s": float(answer.tokens_per_second),
        "decode_tokens_per_s": float(answer.decode_tokens_per_second),
        "binding": {"prefill": answer.prefill.binding(), "step": answer.binding},
        "prefill": _span(answer.prefill),
        "step": _span(answer.step),
        "energy_j": {name: _plain(energy) for name, energy in answer.energy.items()},
        "joules_per_token": float(answer.joules_per_token),
        "price_usd": None if price is None else _plain(price),
        "usd_per_million_tokens": None if cost is None else float(cost),
        "assumed": list(answer.assumptions),
        "assumed_share": assumed_share(answer, contender.system),
    }


def assumed_share(answer: Answer, system: System) -> float:
    """Return the part of the numbers behind an answer that is assumed."""
    facts = sum(len(part.device.facts) for part in answer.parts) + len(system.constants)
    return len(answer.assumptions) / facts if facts else 0.0


def _tier(tier: Tier) -> dict[str, Any]:
    used, capacity, over = map(_plain, (tier.used, tier.capacity, tier.over))
    return {"name": tier.name, "used_bytes": used, "capacity_bytes": capacity, "over_bytes": over}


def _span(span: Span) -> dict[str, Any]:
    return {"charged_s": _values(span.charged), "busy_s": _values(span.busy), "moved_bytes": _values(span.moved)}


def _values(values: Mapping[str, Quantity]) -> dict[str, float]:
    """Return what is above nothing, the largest first."""
    plain = {name: _plain(value) for name, value in values.items()}
    return {name: value for name, value in sorted(plain.items(), key=lambda entry: -entry[1]) if value > 0}


def _plain(quantity: Quantity) -> float:
    return float(quantity.value)
