"""Products of integer weights with many rows of codes: exact, in whichever form the processor multiplies."""

import numpy as np
import pytest
import torch

from models.integer.weights import Factor, multiplies_bytes
from tests.models.tiny import SEED


def whole_products(codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the products of bytes, summed in 32 bits that wrap."""
    assert codes.dtype == weights.dtype == torch.int8
    return (codes.long() @ weights.long()).to(torch.int32)


@pytest.mark.parametrize("largest", [100, 127, 128, 8000, 32639, 32767])
@pytest.mark.parametrize("in_bytes", [False, True])
def test_products_are_exact(largest: int, in_bytes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if in_bytes and not multiplies_bytes():
        monkeypatch.setattr(torch, "_int_mm", whole_products)
    random = np.random.default_rng(SEED)
    weights = random.integers(-largest - 1, largest + 1, (70, 160)).astype(np.int16)
    weights[0], weights[1], weights[2] = largest, -largest - 1, [largest, -largest - 1] * 80
    codes = random.integers(-127, 128, (90, 160)).astype(np.int8)
    codes[0], codes[1] = 127, -127
    factor = Factor(weights, in_bytes=in_bytes)
    expected = codes.astype(np.int64) @ weights.astype(np.int64).T
    for rows in (slice(0, 70), slice(13, 20), slice(64, 128)):
        assert np.array_equal(factor.product(codes, rows), expected[:, rows])


@pytest.mark.parametrize(
    ("largest", "digits"), [(0, 1), (127, 1), (128, 2), (-128, 1), (-129, 2), (32639, 2), (32640, 3), (32767, 3), (-32768, 2)]
)
def test_weights_have_as_few_digits_as_hold_the_largest(largest: int, digits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One product of bytes is formed for each digit."""
    formed: list[torch.Tensor] = []

    def kept(codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        formed.append(whole_products(codes, weights))
        return formed[-1]

    monkeypatch.setattr(torch, "_int_mm", kept)
    factor = Factor(np.array([[largest, 1]], np.int16), in_bytes=True)
    assert factor.product(np.array([[-127, 3]], np.int8), slice(0, 1)).tolist() == [[-127 * largest + 3]]
    assert len(formed) == digits


@pytest.mark.parametrize(
    ("capabilities", "is_built", "expected"),
    [
        ({"avx2": True}, True, False),
        ({"avx2": True, "avx_vnni": False}, True, False),
        ({"avx_vnni": True}, True, True),
        ({"avx512_vnni": True}, True, True),
        ({"amx_int8": True, "avx512_vnni": False}, True, True),
        ({"amx_int8": True}, False, False),
    ],
)
def test_bytes_are_multiplied_where_processor_and_library_can(
    capabilities: dict[str, bool], is_built: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: is_built)
    assert multiplies_bytes() is expected
