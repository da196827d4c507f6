"""Perplexity of teacher and student on whole texts, in float32, over windows that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from models.distill.attention import Plan, plan_of
from models.distill.prepared import Prepared
from models.distill.settings import Settings
from models.distill.student import Student
from models.distill.teacher import Teacher
from models.evaluation.windows import windows

__all__ = ["evaluate", "exact_plan", "measured"]

Logits = Callable[[torch.Tensor, Plan], torch.Tensor]

_ROWS = 256


def exact_plan(prepared: Prepared, settings: Settings, length: int, device: torch.device) -> Plan:
    """Return the plan under which a student rounds as the engine does."""
    return plan_of(
        prepared.config,
        length,
        sinks=settings.sinks,
        window=settings.window,
        kind="exact",
        device=device,
        dtype=torch.float32,
    )


@torch.no_grad()
def measured(
    logits: Logits,
    tokens: np.ndarray,
    planned: Callable[[int], Plan],
    device: torch.device,
    *,
    length: int,
    max_windows: int | None = None,
) -> dict[str, Any]:
    """Return perplexity, mean negative log-likelihood and predicted tokens over windows of a text.

    max_windows: see models.evaluation.windows.windows.
    """
    total, count = 0.0, 0
    chosen = windows(tokens.astype(np.int64).tolist(), length=length, max_windows=max_windows)
    for window in chosen:
        rows = torch.tensor(window, device=device)[None]
        found = logits(rows, planned(len(window)))[0, :-1]
        truth = rows[0, 1:]
        for start in range(0, len(truth), _ROWS):
            part = found[start : start + _ROWS]
            picked = part.gather(1, truth[start : start + _ROWS, None])[:, 0]
            total += float((torch.logsumexp(part, dim=1) - picked).double().sum())
        count += len(truth)
    nll = total / count
    return {"perplexity": math.exp(min(nll, 700.0)), "nll": nll, "tokens": count, "windows": len(chosen)}


def evaluate(
    student: Student,
    prepared: Prepared,
    settings: Settings,
    device: torch.device,
    tell: Callable[[str], None],
    *,
    max_windows: int | None = None,
) -> dict[str, Any]:
    """Return perplexities of the dense teacher, the Λ teacher and the student on every evaluation text."""
    plans: dict[int, Plan] = {}

    def planned(length: int) -> Plan:
        if length not in plans:
            plans[length] = exact_plan(prepared, settings, length, device)
        return plans[length]

    teacher = Teacher(prepared, device, torch.float32)
    models: dict[str, Logits] = {
        "teacher": lambda tokens, _: teacher.logits(tokens),
        "teacher_lambda": teacher.logits,
        "student": student.logits,
    }
    found: dict[str, Any] = {}
    for text, tokens in prepared.evaluations.items():
        results = {
            name: measured(logits, tokens, planned, device, length=settings.length, max_windows=max_windows)
            for name, logits in models.items()
        }
        ratio = results["student"]["perplexity"] / results["teacher"]["perplexity"]
        found[text] = results | {"ratio": ratio}
        shown = ", ".join(f"{name} {result['perplexity']:.3f}" for name, result in results.items())
        tell(f"perplexity on {text}: {shown}, ratio {ratio:.3f}")
    return found
