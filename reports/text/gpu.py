"""Measurements of a GPU, and the rates that fit them, as lines."""

from __future__ import annotations

from reports.studies.gpu_baseline.baseline import Baseline
from reports.studies.gpu_rates import Fit
from reports.text.table import fields, table

__all__ = ["baseline_text", "fit_text"]


def baseline_text(found: Baseline) -> str:
    """Return what was measured, and how long that took."""
    return f"measured in {found.seconds} s on {found.gpu.name}, PyTorch {found.host.torch}"


def fit_text(found: Fit) -> str:
    """Return the rates as fields of a GPU's file, and the error of every step."""
    rates = [(f"{name}:", f"{share:.3f}") for name, share in found.shares.items()]
    rates += [(f"{name}:", f"{value:.2f} us") for name, value in found.times_us.items()]
    rows = [
        (step.case, f"{step.measured.to('ms'):.3f} ms", f"{step.ours.to('ms'):.3f} ms", f"{step.error:+.1%}")
        for step in found.steps
    ]
    return f"{fields(rates)}\n\n{table(rows, head=('step', 'measured', 'ours', 'error'), right=range(1, 4))}"
