"""The energy of a simulated run as plain values."""

from __future__ import annotations

from typing import Any

from lamforge.flow.energy import RunEnergy

__all__ = ["energy_document"]


def energy_document(energy: RunEnergy) -> dict[str, Any]:
    """Return joules and watts by part, power, token/J, and the share of assumed numbers."""
    return {
        "board": energy.board,
        "joules": energy.joules,
        "watts": energy.watts,
        "card_j": energy.card_j,
        "card_w": energy.card_w,
        "chip_w": energy.chip_w,
        "token_per_j": energy.token_per_joule,
        "assumed_share": energy.assumed_share,
    }
