"""Estimates beside published figures, and rates that fit a GPU beside its measured steps, as plain values."""

import dataclasses
from typing import Any

from reports.studies.gpu_rates import Fit
from reports.studies.validation.energy import EnergyValidation
from reports.studies.validation.offload import OffloadValidation

__all__ = ["energy_validation_document", "fit_document", "offload_validation_document"]


def energy_validation_document(found: EnergyValidation) -> dict[str, Any]:
    """Return the constants, and the estimate beside each published system."""
    constants = {name: dataclasses.asdict(constant) for name, constant in found.constants.items()}
    rows = [
        {
            "system": row.system.name,
            "scope": row.system.scope,
            "token_per_s": row.system.token_per_s.value,
            "ours_w": row.ours_w,
            "theirs_w": row.theirs_w,
            "error": row.error,
            "ours_token_per_j": row.ours_token_per_joule,
            "theirs_token_per_j": row.theirs_token_per_joule,
            "card_w": row.energy.card_w,
            "chip_w": row.energy.chip_w,
            "watts": row.energy.watts,
            "assumed_share": row.energy.assumed_share,
            "assumed_facts": list(row.system.assumed),
        }
        for row in found.rows
    ]
    return {"board": found.board, "constants": constants, "rows": rows}


def offload_validation_document(found: OffloadValidation) -> dict[str, Any]:
    """Return errors of rows that are left out of the choice of constants, sets, constants, and the rows of all sets."""
    summary = found.tuning.summary
    return {
        "left_out": None if summary is None else dataclasses.asdict(summary),
        "sets": [
            {
                "name": each.name,
                "title": each.title,
                "rows": len(each.rows),
                "left_out": dataclasses.asdict(alone) if (alone := found.left_out_summary(each)) else None,
                "fitted": found.fitted(each),
                "largest_error": each.largest_error,
                "median_error": each.median_error,
            }
            for each in found.sets
        ],
        "tuned": [
            {
                "names": constant.tuned.name.split(),
                "range": [constant.tuned.least, constant.tuned.most],
                "why": constant.tuned.why,
                "rows": [{"set": name, "case": case} for name, case in constant.rows],
                "step": constant.step,
                "error": constant.error,
                "error_off": constant.error_off,
            }
            for constant in found.tuning.constants
        ],
        "constants": [dataclasses.asdict(constant) for constant in found.constants],
        "rows": [
            {
                "set": each.name,
                **dataclasses.asdict(row),
                "fitted": found.is_fitted(each, row),
                "error": row.error,
                "left_out_error": found.tuning.left_out.get((each.name, row.case)),
            }
            for each in found.sets
            for row in each.rows
        ],
    }


def fit_document(found: Fit) -> dict[str, Any]:
    """Return what `lamforge gpu fit --json` prints."""
    return {
        "gpu": found.gpu,
        "rates": found.shares | {f"{name}_us": value for name, value in found.times_us.items()},
        "steps": [
            {"case": step.case, "measured_s": float(step.measured.value), "ours_s": float(step.ours.value), "error": step.error}
            for step in found.steps
        ],
    }
