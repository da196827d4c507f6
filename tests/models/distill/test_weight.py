"""A matrix in training: what the format stores is what the student multiplies with."""

import itertools

import numpy as np
import pytest
import torch

from hwsim.arch.formats import pack
from models.compress.distill import quantized
from models.distill import result
from models.distill.weight import Stored, TrainedWeight, fit, row_scales, two_of_four

SEED = 20261126
OFF = torch.zeros(())


def trained(format: str) -> TrainedWeight:
    print(f"seed {SEED}")
    random = torch.Generator().manual_seed(SEED)
    weight = TrainedWeight(24, 192, is_sparse=format == "w2s")
    scales = torch.randn((24, 1), generator=random).exp()
    weight.start(torch.randn((24, 192), generator=random) * scales * 0.1, torch.rand(192, generator=random) + 0.1)
    with torch.no_grad():
        weight.latent.add_(torch.randn((24, 192), generator=random) * 0.02)
        weight.log_scale.add_(torch.randn((24, 3), generator=random) * 0.3)
    return weight


def test_two_of_four_is_the_best_pair() -> None:
    gain = torch.randint(0, 5, (200, 8), generator=torch.Generator().manual_seed(SEED)).float()
    kept = two_of_four(gain).view(-1, 4)
    assert bool((kept.sum(-1) == 2).all())
    best = [max(sum(row[i] for i in pair) for pair in itertools.combinations(range(4), 2)) for row in gain.view(-1, 4).tolist()]
    assert (gain.view(-1, 4) * kept).sum(-1).tolist() == best


@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_first_grid_is_the_best_of_those_tried(is_sparse: bool) -> None:
    random = torch.Generator().manual_seed(SEED)
    weight, energy = torch.randn((1, 64), generator=random), torch.rand(64, generator=random)
    found = fit(weight, energy, is_sparse=is_sparse)
    w, a = weight[0].double().numpy(), energy.double().numpy()

    def error(step: float, zero: int) -> float:
        rounded = np.clip(np.round(w / step), -zero, 3 - zero) * step
        if not is_sparse:
            return float((a * (rounded - w) ** 2).sum())
        total = 0.0
        for first in range(0, 64, 4):
            part = slice(first, first + 4)
            zeroed, placed = a[part] * w[part] ** 2, a[part] * (rounded[part] - w[part]) ** 2
            pairs = itertools.combinations(range(4), 2)
            total += min(sum(placed[i] if i in pair else zeroed[i] for i in range(4)) for pair in pairs)
        return total

    top = float(weight.abs().max())
    best = min(error(top * (0.15 + 0.05 * index), zero) for index in range(18) for zero in (1, 2))
    assert error(float(found.step[0, 0]), int(found.zero[0, 0])) == pytest.approx(best, rel=1e-4)


def test_row_scales_have_short_mantissas_and_are_the_least() -> None:
    scale = torch.rand(500, 3, generator=torch.Generator().manual_seed(SEED)) * 10 ** torch.linspace(-6, 2, 500)[:, None]
    row = row_scales(scale)
    fraction, exponent = np.frexp(row[:, 0].double().numpy())
    assert np.array_equal(fraction * 65536, np.floor(fraction * 65536))
    needed = (scale.amax(-1) / 255).double().numpy()
    assert (row[:, 0].double().numpy() >= needed).all()
    assert (np.ldexp(fraction - 2.0**-16, exponent) < needed).all()


@pytest.mark.parametrize("format", ["w2s", "w2"])
def test_the_export_is_what_was_trained(format: str) -> None:
    weight = trained(format)
    stored = weight.stored()
    effective = weight.effective(OFF).detach()
    np.testing.assert_array_equal(stored.dequantized().astype(np.float32), effective.numpy())
    matrix = quantized(stored)
    assert matrix.format.name.lower() == format
    np.testing.assert_array_equal(matrix.dequantize(), stored.dequantized())
    matrix.check("trained")
    back = pack(matrix).unpacked()
    np.testing.assert_array_equal(back.dequantize(), stored.dequantized())
    assert int(stored.codes.max()) <= 3
    assert int(stored.scale.min()) >= 1
    assert bool((np.abs(matrix.codes.astype(int) - np.repeat(stored.zero, 64, axis=1).astype(int)) <= 3).all())


@pytest.mark.parametrize("format", ["w2s", "w2"])
def test_packed_results_read_back(format: str) -> None:
    stored = trained(format).stored()
    packed = result._packed(stored)
    codes, kept = result._unpacked(packed, 192, is_sparse=format == "w2s")
    np.testing.assert_array_equal(codes, stored.codes)
    assert (kept is None) == (stored.kept is None)
    if kept is not None:
        np.testing.assert_array_equal(kept, stored.kept)
        words = pack(quantized(stored)).words
        stream = np.unpackbits(words[..., :14], axis=-1, bitorder="little").reshape(24, -1, 7)
        np.testing.assert_array_equal((stream << np.arange(7)).sum(-1), packed)


def test_a_mask_of_three_is_caught() -> None:
    stored = trained("w2s").stored()
    assert stored.kept is not None
    kept = stored.kept.copy()
    kept[0, :4] = True
    broken = Stored(codes=stored.codes, kept=kept, scale=stored.scale, zero=stored.zero, row=stored.row)
    with pytest.raises(AssertionError):
        result._packed(broken)


def test_only_a_free_mask_lets_gradients_reach_what_is_not_kept() -> None:
    weight = trained("w2s")
    for leak, reached in ((1.0, 24 * 192), (0.0, 24 * 96)):
        weight.zero_grad()
        weight.effective(torch.tensor(leak)).sum().backward()
        assert weight.latent.grad is not None
        assert int((weight.latent.grad != 0).sum()) <= reached
        assert bool((weight.latent.grad[~weight.kept] == leak).all())
    assert torch.equal(weight.effective(torch.tensor(1.0)), weight.effective(OFF))


def test_the_mask_follows_the_weights() -> None:
    weight = trained("w2s")
    with torch.no_grad():
        weight.latent[0, :4] = torch.tensor([0.0, 3.0, 0.0, 3.0]) * weight.log_scale[0, 0].exp() / 2
        weight.energy.fill_(1.0)
    weight.choose_mask()
    assert weight.kept[0, :4].tolist() == [False, True, False, True]
    assert bool((weight.kept.view(-1, 4).sum(-1) == 2).all())
    assert weight.choose_mask() == 0
