"""Packed products are products: every operand of both DSPs and of their sum, in the Verilog that is synthesized."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from amaranth import Cat, Module, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl.matrix import records
from rtl.matrix.lane import CODE
from rtl.matrix.multiplier import FACTOR, PackedMultipliers
from rtl.verilog import PRIMITIVES, convert
from testbenches.tools import environment

BENCH = Path(__file__).with_name("multiplier_bench.sv")
OPERANDS = 1 << 21
"""Two activations of 8 bits and a code of 5."""


class Products(wiring.Component):
    """Activations in, products and sums out: packing, multiplication and unpacking together."""

    first_low: In(signed(8))
    first_high: In(signed(8))
    first_code: In(CODE)
    second_low: In(signed(8))
    second_high: In(signed(8))
    second_code: In(CODE)
    apart: In(1)
    low: Out(signed(20))
    high: Out(signed(20))
    low_after: Out(signed(20))
    high_after: Out(signed(20))

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiply = multiply = PackedMultipliers(1)
        m.d.comb += [
            multiply.first_digit.eq(records.pair_digit(self.first_low, self.first_high)),
            multiply.first_factor.eq(self.first_code),
            multiply.second_digit.eq(records.pair_digit(self.second_low, self.second_high)),
            multiply.second_factor.eq(self.second_code),
            # An accumulation that starts anew in every cycle gives each product by itself.
            multiply.compute.eq(1),
            multiply.accumulate.eq(self.apart),
            multiply.start.eq(1),
            Cat(self.low, self.high).eq(_wide(multiply.first)),
            Cat(self.low_after, self.high_after).eq(_wide(multiply.second)),
        ]
        return m


class Accumulators(wiring.Component):
    """One coefficient and two nibbles in, their accumulated products out of both DSPs."""

    low_nibble: In(4)
    high_nibble: In(4)
    coefficient: In(FACTOR)
    compute: In(1)
    start: In(1)
    low: Out(signed(26))
    high: Out(signed(26))
    low_after: Out(signed(26))
    high_after: Out(signed(26))

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiply = multiply = PackedMultipliers(4)
        digit = records.nibble_digit(self.low_nibble, self.high_nibble)
        m.d.comb += [
            multiply.first_digit.eq(digit),
            multiply.first_factor.eq(self.coefficient),
            multiply.second_digit.eq(digit),
            multiply.second_factor.eq(self.coefficient),
            multiply.compute.eq(self.compute),
            multiply.accumulate.eq(1),
            multiply.start.eq(self.start),
            Cat(self.low, self.high).eq(Cat(records.deep_halves(multiply.first, multiply.first_upper, 26))),
            Cat(self.low_after, self.high_after).eq(Cat(records.deep_halves(multiply.second, multiply.second_upper, 26))),
        ]
        return m


def _wide(packed: Value) -> Value:
    return Cat(Cat(half, half[-1].replicate(20))[:20] for half in records.unpack(packed))


def test_every_operand(tmp_path, monkeypatch) -> None:
    """Each operand of the first and the second DSP, alone and added up; each nibble pair and coefficient, and long sums.

    A lost borrow is caught, and so is a high half from which is not taken what the low one ran over.
    """
    (tmp_path / "products.v").write_text(convert(Products(), "products"))
    (tmp_path / "dsp48e2.v").write_text(PRIMITIVES["dsp48e2.v"])
    (tmp_path / "accumulators.v").write_text(convert(Accumulators(), "accumulators"))
    with monkeypatch.context() as patch:
        deep = records.DEEP_FIELD_BITS
        patch.setattr(records, "deep_halves", lambda total, upper, bits: (total[:deep].as_signed(), total[deep:].as_signed()))
        (tmp_path / "careless.v").write_text(convert(Accumulators(), "careless"))
    with monkeypatch.context() as patch:
        cut = records.FIELD_BITS
        patch.setattr(records, "unpack", lambda total: (total[:cut].as_signed(), total[cut:].as_signed()))
        (tmp_path / "broken.v").write_text(convert(Products(), "broken"))
    options = ["--binary", "--timing", "-Wno-fatal", "-CFLAGS", "-std=c++20", "--top-module", "bench"]
    files = [str(tmp_path / name) for name in ("products.v", "broken.v", "accumulators.v", "careless.v", "dsp48e2.v")]
    settings = environment("-O2")
    command = ["verilator_bin", *options, *files, str(BENCH)]
    built = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([tmp_path / "obj_dir" / "Vbench"], capture_output=True, text=True, check=False)
    assert f"products: {2 * OPERANDS} steps, 0 wrong" in done.stdout, done.stdout
    assert "accumulators: 81920 steps, 0 wrong" in done.stdout, done.stdout
    assert "careless: 81920 steps" in done.stdout
    assert "careless: 81920 steps, 0 wrong" not in done.stdout
    assert f"broken: {2 * OPERANDS} steps" in done.stdout
    assert f"broken: {2 * OPERANDS} steps, 0 wrong" not in done.stdout


def packed_sum(lows: np.ndarray, highs: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the halves of sums of packed products over the last axis, by the rule of `records.unpack`."""
    total = ((lows + (highs << records.FIELD_BITS)) * codes).sum(axis=-1)
    low = ((total + (1 << (records.FIELD_BITS - 1))) & ((1 << records.FIELD_BITS) - 1)) - (1 << (records.FIELD_BITS - 1))
    return low, (total >> records.FIELD_BITS) + (total >> (records.FIELD_BITS - 1) & 1)


@pytest.mark.parametrize(("lanes", "is_right"), [(32, True), (64, False)])
def test_sums_of_all_lanes_stay_apart(lanes, is_right) -> None:
    """The extremes of a sum of 32 lanes fit the field below the upper product; those of 64 do not."""
    rights = []
    for low in (-128, 127):
        for code in (-16, 15):
            lows, highs, codes = (np.full(lanes, value, dtype=np.int64) for value in (low, -low - 1, code))
            got = packed_sum(lows, highs, codes)
            rights.append((got[0] == (lows * codes).sum()) and (got[1] == (highs * codes).sum()))
    assert all(rights) == is_right


def test_the_plain_form_is_the_same() -> None:
    """Amaranth's simulator, which knows no DSP, gives the products in the same cycles."""
    rng = np.random.default_rng(5)
    count = 600
    values = [rng.integers(-128, 128, count) for _ in range(4)]
    codes = [rng.integers(-16, 16, count) for _ in range(2)]
    apart = rng.integers(0, 2, count)
    dut = Products()
    seen = []

    async def bench(ctx):
        for index in range(count):
            for name, column in zip(("first_low", "first_high", "second_low", "second_high"), values, strict=True):
                ctx.set(getattr(dut, name), int(column[index]))
            ctx.set(dut.first_code, int(codes[0][index]))
            ctx.set(dut.second_code, int(codes[1][index]))
            ctx.set(dut.apart, int(apart[index]))
            seen.append([ctx.get(port) for port in (dut.low, dut.high, dut.low_after, dut.high_after)])
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    first = np.stack([values[0] * codes[0], values[1] * codes[0]], axis=1)
    second = np.stack([values[2] * codes[1], values[3] * codes[1]], axis=1) + np.where(apart[:, None], 0, first)
    got = np.array(seen)
    assert (got[PackedMultipliers.FIRST :, :2] == first[: -PackedMultipliers.FIRST]).all()
    assert (got[PackedMultipliers.SECOND :, 2:] == second[: -PackedMultipliers.SECOND]).all()
