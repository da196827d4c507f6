"""Products with 2-bit codes in look-up tables are products: every lane sees every operand, choice and row."""

import numpy as np
import pytest
from amaranth import Const
from amaranth.sim import Simulator

from hwsim.arch.config import LANES_PER_SLICE
from rtl.matrix import small_products
from rtl.matrix.small_products import SmallProducts

ROWS = 2
CODES = np.arange(-3, 4)
OPERANDS = 256 * len(CODES)
"""An activation of 8 bits and a code less its zero."""


def wrong_sums() -> int:
    """Return at how many steps a row's sum is not that of its products.

    Lanes start at places of their own in the list of all operands, and the two rows at two more, so that no two lanes
    multiply the same in a step.
    """
    dut = SmallProducts(ROWS)
    lanes = np.arange(LANES_PER_SLICE)
    step = np.arange(OPERANDS)[:, None]
    at = (step + 37 * lanes) % OPERANDS
    codes, own = CODES[at % len(CODES)], at // len(CODES) - 128
    choices = (step + lanes) % 3
    inputs = np.random.default_rng(3).integers(-128, 128, (OPERANDS, ROWS, 64))
    place = 4 * (lanes // 2) + lanes % 2 + choices
    # Neighbours share two of their inputs: the even lanes' operands lie there first, the odd lanes' in the second row.
    for row in range(ROWS):
        chosen = np.arange(row, LANES_PER_SLICE, 2)
        np.put_along_axis(inputs[:, row], place[:, chosen], own[:, chosen], axis=1)
    want = (np.take_along_axis(inputs, np.repeat(place[:, None], ROWS, axis=1), axis=2) * codes[:, None]).sum(axis=2)
    seen = []

    async def bench(ctx):
        for cycle in range(OPERANDS + SmallProducts.LATENCY):
            now, before = min(cycle, OPERANDS - 1), max(0, min(cycle, OPERANDS) - 1)
            ctx.set(dut.codes.as_value(), packed(codes[now], 5))
            ctx.set(dut.choices.as_value(), packed(choices[now], 2))
            ctx.set(dut.inputs.as_value(), packed(inputs[before].T.reshape(-1), 8))
            seen.append([ctx.get(total) for total in dut.totals])
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    # Inputs of step i are there in cycle i + 1.
    first = SmallProducts.LATENCY + 1
    got = np.array(seen)[first:]
    assert len(got) == OPERANDS - 1
    return int((got != want[: len(got)]).any(axis=1).sum())


def packed(values: np.ndarray, bits: int) -> int:
    """Return values of so many bits in one number, the first lowest."""
    return sum((int(value) & ((1 << bits) - 1)) << (bits * index) for index, value in enumerate(values))


def test_every_operand() -> None:
    assert wrong_sums() == 0


@pytest.mark.parametrize("broken", ["_count", "_NOTHING"])
def test_a_lost_correction_is_caught(broken, monkeypatch) -> None:
    """Without the 1 of each negative lane, or with the absent part read as an input, sums are wrong."""
    monkeypatch.setattr(small_products, broken, (lambda m, platform, bits: Const(0, 7)) if broken == "_count" else 2)
    assert wrong_sums() > OPERANDS // 2
