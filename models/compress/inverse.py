"""The Cholesky factor that tells how later inputs compensate for an error in an earlier one."""

from __future__ import annotations

import torch

__all__ = ["DAMPING", "inverse_factor"]

DAMPING = 0.01
"""Share of the mean input energy added to every input's, which keeps the inverse well conditioned."""


def inverse_factor(hessian: torch.Tensor) -> torch.Tensor:
    """Return the upper Cholesky factor U of the damped inverse, float32 [inputs, inputs].

    For every n, U[n:, n:].T @ U[n:, n:] is the inverse of the damped hessian of inputs n and later.
    """
    damped = hessian.double().clone()
    mean = float(damped.diagonal().mean())
    share = DAMPING
    while True:
        damped.diagonal().add_(share * mean if mean > 0 else 1.0)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            break
        share *= 10
    return torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True).float()
