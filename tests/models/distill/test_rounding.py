"""Rounding in floats against the engine's arithmetic on integers."""

import numpy as np
import torch

from hwsim.arch.numerics import FRACTION_BITS
from models.distill.rounding import act_codes, coefficient_codes, fake_act, fake_kv, kv_codes
from models.integer import ops

SEED = 20261125
# A scale's mantissa has 16 bits, its inverse is truncated: codes up to 127 move by less than so much before rounding.
TIE = 127 * 2.0**-13


def fixed_vectors() -> np.ndarray:
    print(f"seed {SEED}")
    random = np.random.default_rng(SEED)
    values = random.normal(0, 1, (400, 64)) * np.exp(random.normal(0, 2, (400, 1)))
    return np.floor(values * (1 << FRACTION_BITS)).astype(np.int64)


def assert_equal_but_for_ties(found: np.ndarray, wanted: np.ndarray, exact: np.ndarray) -> None:
    is_tie = np.abs(exact - np.floor(exact) - 0.5) < TIE
    assert np.array_equal(found[~is_tie], wanted[~is_tie])
    assert np.abs(found - wanted).max() <= 1
    assert is_tie.mean() < 0.05


def test_activations_have_the_engines_codes() -> None:
    values = fixed_vectors()
    codes, scale = act_codes(torch.from_numpy(values).double())
    wanted = ops.quantize(values)
    assert_equal_but_for_ties(codes.numpy(), wanted.codes, values / scale.numpy())
    stated = wanted.scale[0] * np.exp2(wanted.scale[1] + FRACTION_BITS)
    np.testing.assert_allclose(stated, scale.numpy()[:, 0], rtol=2.0**-13)


def test_keys_and_values_have_the_engines_codes() -> None:
    values = fixed_vectors()
    centered, scale = kv_codes(torch.from_numpy(values).double())
    wanted = ops.kv_quantize(values, 4)
    zero = (-np.minimum(values.min(-1), 0) / scale.numpy()[:, 0] + 0.5) // 1
    is_same_zero = zero == wanted.zero
    assert is_same_zero.mean() > 0.99
    found = centered.numpy() + zero[:, None]
    assert_equal_but_for_ties(found[is_same_zero], wanted.codes[is_same_zero], (values / scale.numpy())[is_same_zero])


def test_coefficients_have_the_engines_codes() -> None:
    print(f"seed {SEED}")
    random = np.random.default_rng(SEED)
    scores = np.floor(random.normal(0, 3, (50, 40)) * (1 << FRACTION_BITS)).astype(np.int64)
    mantissa, exponent = random.integers(1 << 15, 1 << 16, 40), random.integers(-20, -16, 40)
    wanted = ops.softmax(scores, np.True_, (mantissa, exponent), random.integers(0, 16, 40))
    distance = torch.from_numpy((scores - scores.max(-1, keepdims=True)) / (1 << FRACTION_BITS))
    value_scale = torch.from_numpy(mantissa * np.exp2(exponent.astype(float)))
    codes, _ = coefficient_codes(torch.exp2(distance), value_scale)
    assert (np.abs(codes.numpy() - wanted.codes) <= 1).all()
    assert (codes.numpy() == wanted.codes).mean() > 0.97


def test_gradients_go_straight_through() -> None:
    x = torch.randn(5, 32, dtype=torch.float64, requires_grad=True)
    for rounded in (fake_act, fake_kv):
        x.grad = None
        wanted = torch.randn_like(x)
        (rounded(x) * wanted).sum().backward()
        assert x.grad is not None
        torch.testing.assert_close(x.grad, wanted)


def test_zeros_stay_zeros() -> None:
    zeros = torch.zeros(3, 32)
    assert torch.equal(fake_act(zeros), zeros)
    assert torch.equal(fake_kv(zeros), zeros)
