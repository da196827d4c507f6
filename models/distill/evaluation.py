"""Perplexity of teacher and student on whole texts, in float32, over windows that do not overlap."""

import functools
import math
from collections.abc import Callable

import numpy as np
import torch

from models.distill.attention import AttentionPlan, plan_of
from models.distill.prepared import Prepared
from models.distill.result import Prediction, Scores
from models.distill.settings import Settings
from models.distill.student import Student
from models.distill.teacher import Teacher
from models.evaluation import windows

__all__ = ["evaluate", "exact_plan", "measured"]

Logits = Callable[[torch.Tensor, AttentionPlan], torch.Tensor]

_ROWS = 256


def exact_plan(prepared: Prepared, settings: Settings, length: int, device: torch.device) -> AttentionPlan:
    """Return the plan under which a student rounds as the engine does."""
    return plan_of(prepared.config, settings, length, kind="exact", device=device, dtype=torch.float32)


@torch.no_grad()
def measured(
    logits: Logits,
    tokens: np.ndarray,
    planned: Callable[[int], AttentionPlan],
    device: torch.device,
    *,
    length: int,
    max_windows: int | None = None,
) -> Prediction:
    """Return how well a model predicts windows of a text.

    max_windows: see models.evaluation.windows.
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
    return Prediction(perplexity=math.exp(min(nll, 700.0)), nll=nll, tokens=count, windows=len(chosen))


def evaluate(
    student: Student, prepared: Prepared, tell: Callable[[str], None], *, max_windows: int | None = None
) -> dict[str, Scores]:
    """Return predictions by the dense teacher, the Λ teacher and the student on every evaluation text."""
    settings, device = student.settings, student.final_norm.device

    @functools.cache
    def planned(length: int) -> AttentionPlan:
        return exact_plan(prepared, settings, length, device)

    teacher = Teacher(prepared, device, torch.float32)
    models: dict[str, Logits] = {
        "teacher": lambda tokens, _: teacher.logits(tokens),
        "teacher_lambda": teacher.logits,
        "student": student.logits,
    }
    found: dict[str, Scores] = {}
    for text, tokens in prepared.evaluations.items():
        results = {
            name: measured(logits, tokens, planned, device, length=settings.length, max_windows=max_windows)
            for name, logits in models.items()
        }
        found[text] = Scores(**results, ratio=results["student"].perplexity / results["teacher"].perplexity)
        shown = ", ".join(f"{name} {result.perplexity:.3f}" for name, result in results.items())
        tell(f"perplexity on {text}: {shown}, ratio {found[text].ratio:.3f}")
    return found
