"""How u280 lies on its board, with wires between SLRs that are told and not counted, which would take half a minute."""

import functools

import pytest

from hwsim.arch.board import load_board
from hwsim.arch.config import EngineConfig, load_engine
from lamforge.flow.fit import Fit, fit
from rtl.synthesis import Boundary

__all__ = ["counted", "u280_fit"]


def counted(config: EngineConfig, *, slrs: int, memory_slr: int) -> tuple[Boundary, ...]:
    """Return wires over two boundaries, of which the first has more than should be."""
    assert (slrs, memory_slr) == (3, 0)
    return (
        Boundary(lower=0, wires=14_000, by_driver={"engine/fetch": 10_000, "engine/matrix/tile_0": 4_000}),
        Boundary(lower=1, wires=9_000, by_driver={"engine/fetch": 9_000}),
    )


@functools.cache
def u280_fit() -> Fit:
    """Return the fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lamforge.flow.fit.crossings", counted)
        return fit(load_engine("u280"), load_board("u280"))
