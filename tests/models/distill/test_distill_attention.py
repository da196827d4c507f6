"""Λ attention over a window, against the float reference that reads key by key."""

import math

import pytest
import torch

from hwsim.errors import SpecError
from models.attention import Geometry, LambdaShape
from models.distill.attention import attend, plan_of
from models.distill.rounding import fake_act, fake_kv
from models.distill.settings import Settings
from models.reference.rope import Rotary
from tests.models.tiny import tiny_config

SEED = 20261127
TOKENS = 40


def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    print(f"seed {SEED}")
    random = torch.Generator().manual_seed(SEED)
    return tuple(torch.randn((2, heads, TOKENS, 32), generator=random) for heads in (4, 2, 2))


def mixed(kind: str, sinks: int = 4, window: int = 12) -> torch.Tensor:
    settings = Settings(sinks=sinks, window=window)
    plan = plan_of(tiny_config(), settings, TOKENS, kind=kind, device=torch.device("cpu"), dtype=torch.float32)
    return attend(*drawn(), plan)


def reference(sinks: int, window: int) -> torch.Tensor:
    queries, keys, values = drawn()
    config = tiny_config()
    geometry = Geometry(heads=4, kv_heads=2, head_dim=32, rotate=Rotary(config), round_query=fake_act, round_cache=fake_kv)
    pattern = LambdaShape(sinks=sinks, window=window)
    return torch.stack([pattern.layer(geometry).prefill(*rows) for rows in zip(queries, keys, values, strict=True)])


@pytest.mark.parametrize(("sinks", "window"), [(4, 12), (1, 3), (4, 100)])
def test_masked_is_the_reference(sinks: int, window: int) -> None:
    # The engine's rotations have 14 fraction bits: a few codes are others.
    error = (mixed("masked", sinks, window) - reference(sinks, window)).square().mean().sqrt()
    assert float(error) < 0.01
    assert float(reference(sinks, window).square().mean().sqrt()) > 0.2


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_block_sparse_is_masked() -> None:
    torch.testing.assert_close(mixed("flex"), mixed("masked"), rtol=1e-4, atol=1e-5)


def test_exact_differs_by_the_rounding_of_coefficients() -> None:
    error = (mixed("exact") - mixed("masked")).square().mean().sqrt()
    assert 0 < float(error) < 0.02


def test_a_wrong_position_towards_the_sinks_is_seen() -> None:
    assert float((mixed("masked", 4, 12) - reference(4, 13)).abs().max()) > 0.05
    assert math.isfinite(float(mixed("masked", 0, 12).sum()))


def test_kinds_are_named() -> None:
    with pytest.raises(SpecError, match="Attention kind must be one of flex, masked, exact, not 'fast'"):
        mixed("fast")
