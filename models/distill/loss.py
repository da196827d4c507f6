"""The divergence of the student's predictions from the teacher's, computed without the logits of a whole batch in memory."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["Divergence", "HeadLoss", "divergence", "relative_error"]

_CHUNK = 8192
_LEAST = 1e-6

Divergence = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""A function with the signature of `divergence`, compiled or not."""


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the squared error of vectors, [..., elements], over the squares of those wanted, averaged over vectors."""
    error = (found - wanted).square().sum(-1)
    return (error / wanted.square().sum(-1).clamp(min=_LEAST)).mean()


def divergence(
    units: torch.Tensor, scale: torch.Tensor, teacher: torch.Tensor, truth: torch.Tensor, truth_weight: float, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return summed divergence from the teacher, summed surprise at the truth, and their gradient at `units`.

    units, scale: the student's logits before scaling, float32 [rows, vocab], and their scale, [rows, 1].
    teacher: logits, float32 [rows, vocab].
    truth: the text's own next tokens, [rows].
    dtype: type of the gradient.
    """
    own, other = torch.log_softmax(units * scale, dim=-1), torch.log_softmax(teacher, dim=-1)
    wanted = other.exp()
    is_truth = torch.arange(units.shape[1], device=units.device) == truth[:, None]
    apart = (wanted * (other - own)).sum()
    surprise = -torch.where(is_truth, own, 0.0).sum()
    gradient = own.exp() * (1 + truth_weight) - wanted - torch.where(is_truth, truth_weight, 0.0)
    return apart, surprise, (gradient * scale).to(dtype)


def _product(left: torch.Tensor, right: torch.Tensor, *, is_wide: bool) -> torch.Tensor:
    """Return left @ right.T in float32."""
    if is_wide:
        return torch.mm(left, right.t(), out_dtype=torch.float32)
    return torch.mm(left, right.t()).float()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HeadLoss:
    """The loss behind the head; its gradient is computed in the forward pass.

    student_head, teacher_head: [vocab, hidden] in the type of the products.
    truth_weight: weight of the surprise.
    is_wide: whether products come out in float32.
    divergence: the function `divergence`, compiled or not.
    """

    student_head: torch.Tensor
    teacher_head: torch.Tensor
    truth_weight: float
    is_wide: bool
    divergence: Divergence

    def __call__(
        self, codes: torch.Tensor, scale: torch.Tensor, teacher: torch.Tensor, truth: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss and, without gradient, the mean divergence.

        codes, scale: inputs of the student's head, float32 [rows, hidden], and their scale, [rows, 1].
        teacher: inputs of the teacher's head, [rows, hidden].
        truth: next tokens, [rows].
        """
        # PyTorch does not type `apply`; it returns what `_Head.forward` returns.
        run: Callable[..., tuple[torch.Tensor, torch.Tensor]] = _Head.apply
        return run(codes, scale, teacher, truth, self)


class _Head(torch.autograd.Function):
    """A product with the head, its loss and its gradient, some rows at a time."""

    @staticmethod
    def forward(
        ctx: Any, codes: torch.Tensor, scale: torch.Tensor, teacher: torch.Tensor, truth: torch.Tensor, loss: HeadLoss
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, dtype = len(codes), loss.student_head.dtype
        gradient = torch.empty_like(codes)
        apart, surprise = codes.new_zeros(()), codes.new_zeros(())
        for start in range(0, rows, _CHUNK):
            part = slice(start, start + _CHUNK)
            own = _product(codes[part].to(dtype), loss.student_head, is_wide=loss.is_wide)
            other = _product(teacher[part], loss.teacher_head, is_wide=loss.is_wide)
            more_apart, more_surprise, slope = loss.divergence(own, scale[part], other, truth[part], loss.truth_weight, dtype)
            apart, surprise = apart + more_apart, surprise + more_surprise
            gradient[part] = torch.mm(slope, loss.student_head).float() / rows
        ctx.save_for_backward(gradient)
        mean = apart / rows
        ctx.mark_non_differentiable(mean)
        return mean + loss.truth_weight * surprise / rows, mean

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0], None, None, None, None
