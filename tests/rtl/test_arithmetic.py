"""The arithmetic circuits give the bits of `hwsim.arch.numerics`."""

import numpy as np
import pytest
from amaranth import Module, Signal, signed
from amaranth.sim import Simulator

from hwsim.arch import numerics
from rtl.arithmetic import (
    EXPONENT,
    MANTISSA,
    ApplyScale,
    Normalizer,
    Reciprocal,
    SquareRoot,
    clamp,
    combine,
    magnitude,
    round_shift,
    saturate,
    sum_is,
)

CORNERS = np.array([0, 1, -1, 2**31 - 1, -(2**31), 65535, 65536, -65536, 32767, 1 << 30, -(1 << 30)], dtype=np.int64)


def fixed_values(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return signed 32-bit values of every magnitude, corners among them."""
    values = rng.integers(-(2**31), 2**31, count) >> rng.integers(0, 32, count)
    return np.where(rng.random(count) < 0.2, rng.choice(CORNERS, count), values)


def scales(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scales: mostly normalized mantissas, exponents around the useful range and far outside it."""
    mantissa = np.where(rng.random(count) < 0.2, rng.choice([0, 1, 32768, 65535], count), rng.integers(32768, 65536, count))
    exponent = np.where(rng.random(count) < 0.1, rng.choice([-500, -65, -64, -16, 0, 200], count), rng.integers(-80, 8, count))
    return mantissa, exponent


def evaluate(module: Module, inputs: list[tuple[Signal, np.ndarray]], outputs: list[Signal]) -> list[np.ndarray]:
    """Return what combinational outputs are for each position of the input arrays."""
    count = len(inputs[0][1])
    seen = np.zeros((len(outputs), count), dtype=np.int64)

    async def bench(ctx):
        for index in range(count):
            for signal, values in inputs:
                ctx.set(signal, int(values[index]))
            await ctx.delay(1e-9)
            seen[:, index] = [ctx.get(signal) for signal in outputs]

    simulator = Simulator(module)
    simulator.add_testbench(bench)
    simulator.run()
    return list(seen)


@pytest.mark.parametrize("fraction_bits", [0, 5, 16])
def test_apply_scale(fraction_bits):
    rng = np.random.default_rng(fraction_bits)
    count = 2000
    x, (mantissa, exponent) = fixed_values(rng, count), scales(rng, count)
    unit = ApplyScale(fraction_bits)
    seen = []

    async def bench(ctx):
        for index in range(count + ApplyScale.LATENCY):
            if index < count:
                ctx.set(unit.x, int(x[index]))
                ctx.set(unit.mantissa, int(mantissa[index]))
                ctx.set(unit.exponent, int(exponent[index]))
            if index >= ApplyScale.LATENCY:
                seen.append(ctx.get(unit.result))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    golden = numerics.apply_scale(x, (mantissa, exponent), fraction_bits)
    np.testing.assert_array_equal(seen, golden)
    # The comparison can fail: rounding down instead of half up differs somewhere.
    shift = np.clip(-(exponent + fraction_bits), 0, 48)
    assert np.any(np.array(seen) != numerics.saturate((x * mantissa) >> shift, 32))


def test_combine():
    rng = np.random.default_rng(1)
    a, b = scales(rng, 1000), scales(rng, 1000)
    m = Module()
    inputs = [Signal(shape, name=f"i{n}") for n, shape in enumerate((MANTISSA, EXPONENT, MANTISSA, EXPONENT))]
    mantissa, exponent = combine(m, (inputs[0], inputs[1]), (inputs[2], inputs[3]))
    values = (a[0], a[1] // 4, b[0], b[1] // 4)
    seen = evaluate(m, list(zip(inputs, values, strict=True)), [mantissa, exponent])
    np.testing.assert_array_equal(seen, numerics.combine(values[:2], values[2:]))


def test_combine_reads_struct_exponents_as_signed():
    m = Module()
    exponent = Signal(10)
    _, total = combine(m, (Signal(16), exponent), (Signal(16), Signal(10)))
    (seen,) = evaluate(m, [(exponent, np.array([1023, 512, 3]))], [total])
    np.testing.assert_array_equal(seen, [14, -497, 18])


def test_rounding_saturation_and_magnitude():
    rng = np.random.default_rng(3)
    x = fixed_values(rng, 1000)
    m = Module()
    value = Signal(signed(32))
    outputs = {name: Signal(signed(34), name=name) for name in ("rounded", "saturated", "clamped", "size")}
    m.d.comb += [
        outputs["rounded"].eq(round_shift(value, 14)),
        outputs["saturated"].eq(saturate(value, 20)),
        outputs["clamped"].eq(clamp(value, -127, 127)),
        outputs["size"].eq(magnitude(value)),
    ]
    seen = evaluate(m, [(value, x)], list(outputs.values()))
    golden = [numerics.round_shift(x, 14), numerics.saturate(x, 20), x.clip(-127, 127), np.abs(x)]
    np.testing.assert_array_equal(seen, golden)


def simulate(unit, bench):
    """Run a bench against a clocked unit."""
    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("width", [33, 64])
def test_normalizer(width):
    rng = np.random.default_rng(width)
    top = min(width, 62)
    x = np.concatenate(
        [rng.integers(0, 1 << top, 500) >> rng.integers(0, top, 500), [0, 1], 1 << np.arange(top), (1 << np.arange(top)) - 1]
    )
    unit = Normalizer(width)
    seen = []

    async def bench(ctx):
        for index in range(len(x) + Normalizer.LATENCY):
            ctx.set(unit.x, int(x[min(index, len(x) - 1)]))
            if index >= Normalizer.LATENCY:
                seen.append((ctx.get(unit.mantissa), ctx.get(unit.exponent)))
            await ctx.tick()

    simulate(unit, bench)
    np.testing.assert_array_equal(np.transpose(seen), numerics.normalize(x))


def streamed(unit, mantissas, exponents, outputs):
    """Return what a pipelined unit gives for each scale, one a cycle, LATENCY cycles after."""
    seen = []

    async def bench(ctx):
        for cycle in range(len(mantissas) + unit.LATENCY):
            if cycle < len(mantissas):
                ctx.set(unit.mantissa, int(mantissas[cycle]))
                ctx.set(unit.exponent, int(exponents[cycle]))
            if cycle >= unit.LATENCY:
                seen.append([ctx.get(output) for output in outputs])
            await ctx.tick()

    simulate(unit, bench)
    return np.transpose(seen)


def normalized_scales(count):
    """Return normalized scales, the corners and zero among them."""
    rng = np.random.default_rng(count)
    corners = [0, 32768, 32769, 65534, 65535, 46340, 46341]
    mantissa = np.concatenate([corners, corners, rng.integers(32768, 65536, count)])
    return mantissa, np.concatenate([np.full(7, -3), np.full(7, 4), rng.integers(-100, 100, count)])


def test_reciprocal():
    mantissa, exponent = normalized_scales(700)
    unit = Reciprocal()
    seen = streamed(unit, mantissa, exponent, [unit.quotient, unit.quotient_exponent])
    np.testing.assert_array_equal(seen, numerics.reciprocal((mantissa, exponent)))


def test_square_root():
    mantissa, exponent = normalized_scales(700)
    unit = SquareRoot()
    root, root_exponent = streamed(unit, mantissa, exponent, [unit.root, unit.root_exponent])
    np.testing.assert_array_equal(root, numerics.isqrt32(mantissa << (16 - (exponent & 1))))
    np.testing.assert_array_equal(numerics.reciprocal((root, root_exponent)), numerics.rsqrt((mantissa, exponent)))


@pytest.mark.parametrize("total", [0, 1, 5, 2**32 - 1])
def test_a_sum_is_a_number(rng: np.random.Generator, total: int) -> None:
    m, a, b, found = Module(), Signal(11), Signal(32), Signal()
    m.d.comb += found.eq(sum_is(a, b, total))
    left = rng.integers(0, 2**11, 400)
    near = rng.choice([0, 0, 0, 1, -1, 2**11, 1 << 31], 400)
    right = (total - left + near) % 2**32
    (seen,) = evaluate(m, [(a, left), (b, right)], [found])
    np.testing.assert_array_equal(seen, (left + right) % 2**32 == total)
    assert 100 < seen.sum() < 300
