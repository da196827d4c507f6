"""Studies of flash and of sparse attention as plain values."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from reports.studies.flash_choices import FlashChoices, Fraction
from reports.studies.locality import LocalityStudy

__all__ = ["flash_document", "locality_document"]


def locality_document(found: LocalityStudy) -> dict[str, Any]:
    """Return what `lamforge study locality --json` prints."""
    return {
        "places": [{"begin": begin, **dataclasses.asdict(each)} for begin, each in found.places],
        "means": [dataclasses.asdict(each) for each in found.means],
    }


def flash_document(found: FlashChoices) -> dict[str, Any]:
    """Return what `lamforge study flash --json` prints."""
    return {
        "fractions": [_fraction(each) for each in found.fractions],
        "rates": [{"drive": each.what, "formula_gb_per_s": each.formula, "gb_per_s": each.by_heads} for each in found.rates],
        "written": [dataclasses.asdict(each) for each in found.written],
    }


def _fraction(found: Fraction) -> dict[str, Any]:
    run = None if math.isnan(found.run_tokens) else found.run_tokens
    return dataclasses.asdict(found) | {"run_tokens": run}
