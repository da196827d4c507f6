"""The loss behind the head, against PyTorch's own gradients."""

import pytest
import torch
from torch.nn import functional

from models.distill import loss as module
from models.distill.loss import HeadLoss, divergence, relative_error

SEED = 20261128


@pytest.mark.parametrize("chunk", [5, 8, 100])
def test_loss_and_gradient(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    print(f"seed {SEED}")
    monkeypatch.setattr(module, "_CHUNK", chunk)
    torch.manual_seed(SEED)
    codes, scale = torch.randn(16, 8, dtype=torch.float64, requires_grad=True), torch.rand(16, 1, dtype=torch.float64)
    heads = torch.randn(2, 30, 8, dtype=torch.float64)
    teacher, truth = torch.randn(16, 8, dtype=torch.float64), torch.randint(0, 30, (16,))
    head_loss = HeadLoss(student_head=heads[0], teacher_head=heads[1], truth_weight=0.3, is_wide=False, divergence=divergence)
    found, apart = head_loss(codes, scale, teacher, truth)
    (2 * found).backward()
    gradient, codes.grad = codes.grad, None
    own, other = (codes @ heads[0].T) * scale, teacher @ heads[1].T
    wanted_apart = functional.kl_div(own.log_softmax(-1), other.log_softmax(-1), log_target=True, reduction="batchmean")
    wanted = wanted_apart + 0.3 * functional.cross_entropy(own, truth)
    (2 * wanted).backward()
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(apart, wanted_apart, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, codes.grad, rtol=1e-5, atol=1e-6)


def test_a_perfect_student_has_no_divergence() -> None:
    logits = torch.randn(4, 20)
    apart, _, gradient = divergence(logits, torch.ones(4, 1), logits, torch.zeros(4, dtype=torch.int64), 0.0, torch.float32)
    assert float(apart) == pytest.approx(0, abs=1e-6)
    assert float(gradient.abs().max()) == pytest.approx(0, abs=1e-6)


def test_relative_error() -> None:
    wanted = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    assert float(relative_error(wanted * 2, wanted)) == pytest.approx(1.0)
    assert float(relative_error(wanted, wanted)) == 0
