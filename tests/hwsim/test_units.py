"""Quantities: kinds do not mix, units mean what they say, and rates connect them; with one number or a grid of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.units import (
    Bytes,
    BytesPerSecond,
    Dollars,
    Hertz,
    Joules,
    Operations,
    OperationsPerSecond,
    Quantity,
    Seconds,
    Watts,
    maximum,
    minimum,
)

KINDS = (Bytes, BytesPerSecond, Dollars, Hertz, Joules, Operations, OperationsPerSecond, Seconds, Watts)
POSITIVE = st.floats(min_value=1e-6, max_value=1e15)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Bytes, "80 GB", 80e9),
        (Bytes, "80 GiB", 80 * 2.0**30),
        (Bytes, "8 bit", 1.0),
        (BytesPerSecond, "12.89 GiB/s", 12.89 * 2.0**30),
        (BytesPerSecond, "8 Gbit/s", 1e9),
        (OperationsPerSecond, "312 TFLOP/s", 312e12),
        (Seconds, "36 us", 36e-6),
        (Watts, "400 W", 400.0),
        (Joules, "3.9 pJ", 3.9e-12),
        (Hertz, "225 MHz", 225e6),
        (Dollars, "2.4 kUSD", 2400.0),
    ],
)
def test_units(kind: type[Quantity], text: str, value: float) -> None:
    assert kind.of(text).value == pytest.approx(value, rel=1e-15)
    number, spelling = text.split()
    assert kind.of(text).to(spelling) == pytest.approx(float(number), rel=1e-15)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Bytes, "80"),
        (Bytes, 80),
        (Bytes, "80 GB/s"),
        (Bytes, "80 Gb"),
        (Bytes, "GB"),
        (BytesPerSecond, "7 GB"),
        (Seconds, "1e999 s"),
        (Watts, "1.2.3 W"),
    ],
)
def test_texts_that_are_refused(kind: type[Quantity], text: str) -> None:
    with pytest.raises(SpecError, match=r"^Rate must be (a number and a unit|finite).*, not "):
        kind.of(text, "Rate")


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_kinds_do_not_mix(first: type[Quantity], second: type[Quantity]) -> None:
    own, other = first(2.0), second(3.0)
    if first is second:
        assert (own + other).value == 5.0
        assert (other - own).value == 1.0
        assert own < other
        assert maximum(own, other) == other
        assert minimum(own, other) == own
        return
    for mixed in (lambda: own + other, lambda: own - other, lambda: own < other, lambda: own >= other, lambda: maximum(own, other)):
        with pytest.raises(TypeError, match=f"{first.__name__} cannot be taken together with {second.__name__}"):
            mixed()
    assert own != other


@given(POSITIVE, POSITIVE)
def test_rates_connect(amount: float, time: float) -> None:
    for whole, rate in ((Bytes, BytesPerSecond), (Operations, OperationsPerSecond), (Joules, Watts)):
        quotient = whole(amount) / Seconds(time)
        assert type(quotient) is rate
        assert (quotient * Seconds(time)).value == pytest.approx(amount, rel=1e-12)
        assert type(Seconds(time) * quotient) is whole
        assert (whole(amount) / quotient).value == pytest.approx(time, rel=1e-12)


def test_what_has_no_product_is_refused() -> None:
    for wrong in (
        lambda: Bytes(1.0) * Bytes(1.0),
        lambda: Bytes(1.0) * Seconds(1.0),
        lambda: Seconds(1.0) / Bytes(1.0),
        lambda: Bytes(1.0) / OperationsPerSecond(1.0),
    ):
        with pytest.raises(TypeError, match="cannot be"):
            wrong()


def test_grids_are_numbers_at_once() -> None:
    sizes = np.array([1e9, 2e9, 4e9])
    times = Bytes(sizes) / BytesPerSecond(2e9)
    assert type(times) is Seconds
    np.testing.assert_array_equal(times.value, sizes / 2e9)
    np.testing.assert_array_equal((sizes * Seconds(2.0)).value, 2 * sizes)
    np.testing.assert_array_equal(maximum(times, Seconds(1.0)).value, [1.0, 1.0, 2.0])


def test_the_type_checker_refuses_too(tmp_path: Path) -> None:
    cases = [
        "Bytes(1.0) + Seconds(1.0)",
        "Bytes(1.0) < BytesPerSecond(1.0)",
        "Bytes(1.0) * Bytes(1.0)",
        "Seconds(1.0) / Bytes(1.0)",
        "maximum(Bytes(1.0), 3.0)",
    ]
    good = ["Bytes(1.0) / BytesPerSecond(1.0) + Seconds(1.0)", "2.0 * Bytes(1.0)", "maximum(Bytes(1.0), Bytes(2.0))"]
    names = "Bytes, BytesPerSecond, Seconds, maximum"
    lines = [f"from hwsim.units import {names}", *(f"x{index} = {text}" for index, text in enumerate([*cases, *good]))]
    path = tmp_path / "mixed.py"
    path.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(path)]
    found = subprocess.run(command, capture_output=True, text=True).stdout
    refused = {int(line.split(":")[1]) - 2 for line in found.splitlines() if "mixed.py" in line and "error" in line}
    assert refused == set(range(len(cases))), found


@pytest.mark.parametrize("kind", KINDS)
def test_quantities_are_no_keys(kind: type[Quantity]) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(kind(1.0))
