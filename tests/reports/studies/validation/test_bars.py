"""How near the estimates of offloading must be: over rows that are left out of the choice of constants, and over sets."""

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from hwsim.offload.changes import changed
from hwsim.offload.devices import GPUS
from reports.studies.validation.offload import PUBLISHED, SETS
from reports.studies.validation.row import Row, ValidationSet
from reports.studies.validation.tuned import ROW_ERROR, TUNED, Tuned, by_place, tuning

ROWS = {kind.name: kind.rows for kind in SETS}

# Sets that one publication fills, with bars for the median and the largest error of their rows together.
BARS = [
    (("flexgen-throughput", "flexgen-ablation", "flexgen-breakdown"), 0.08, 0.25),
    (("zero-weights",), 0.12, 0.12),
    (("triforce-latency", "triforce-gain", "shadowkv-throughput", "shadowkv-blocks"), 0.08, 0.20),
    (("zero-t4", "zero-a6000"), 0.12, 0.20),
    (("instinfer-gain",), 0.12, 0.20),
    (("minference-prompts",), 0.05, 0.20),
    (("gpu-operators",), 0.05, 0.15),
    (("h200-operators",), 0.05, 0.15),
    (("h200-steps",), 0.05, 0.15),
    (("pcie-packets",), 0.02, 0.02),
]


def errors(rows: Sequence[Row]) -> list[float]:
    """Return how far every row is off, either way."""
    return [abs(row.error) for row in rows]


@pytest.mark.parametrize(("names", "median", "worst"), BARS, ids=["+".join(names) for names, _, _ in BARS])
def test_estimates_are_near(names: tuple[str, ...], median: float, worst: float) -> None:
    found = [row for name in names for row in ROWS[name]]
    for row in found:
        print(f"{row.case}: {row.error:+.1%}{' fitted' if row.fitted else ''}")
    assert statistics.median(errors(found)) <= median
    assert max(errors(found)) <= worst


def test_shares_of_keys_and_values_are_within_three_points() -> None:
    for row in ROWS["instinfer-share"]:
        assert row.unit == "%"
        assert abs(row.ours - row.published) <= 3, row.case


@pytest.mark.parametrize("name", ROWS)
def test_every_row_says_what_it_is_and_where_it_stands(name: str) -> None:
    cases = [row.case for row in ROWS[name]]
    assert len(set(cases)) == len(cases) > 0
    for row in ROWS[name]:
        assert row.source.strip()
        assert row.case.strip()
        assert row.unit
        for figure in (row.published, row.ours):
            assert math.isfinite(figure)
            assert figure > 0


def test_rows_that_are_left_out_of_the_choice_of_constants_are_near() -> None:
    found = tuning(TUNED, PUBLISHED).summary
    assert found is not None and found.rows == sum(len(each.rows) for each in PUBLISHED)
    assert found.median <= 0.05 and found.most <= 0.20 and found.worst <= 0.35


def test_constants_are_those_that_all_rows_would_choose() -> None:
    """To two digits; each is in its range, and all but six have three rows and more that say something of them."""
    found = tuning(TUNED, PUBLISHED).constants
    for each in found:
        assert each.step == pytest.approx(1, abs=0.03), each.tuned.name
        assert each.tuned.least < 1 < each.tuned.most
        assert each.error < each.error_off
    few = {each.tuned.name for each in found if len(each.rows) < 3}
    cards = {"u280-accllm.memory_share", "u280-flightllm.memory_share"}
    assert few == cards | {"epyc-9754.memory_rate", "zero-v100.copy_share", "zero.layer_cost", "gpu.pipeline_head"}


def line(slope: float) -> ValidationSet:
    """Return rows whose figures are the rate of an A100's memory to a power; published is what another rate would give."""

    def compute() -> Iterator[Row]:
        rate = float(GPUS.load("a100-sxm-80").attention_share.value)
        for number, noise in enumerate((1.05, 0.97, 1.02, 0.99)):
            yield Row(case=str(number), unit="s", published=0.9**slope * noise, ours=rate**slope, source="a test")

    return ValidationSet(name="line", title="rows of one constant", compute=compute)


@pytest.mark.parametrize("slope", [1.0, -0.5, 3.0])
def test_a_row_that_is_left_out_is_that_of_a_choice_made_anew(slope: float) -> None:
    """Of figures that are powers of a constant the choice is a mean of logarithms, by hand."""
    constant = Tuned(name="a100-sxm-80.attention_share", least=0.1, most=10.0, why="a test")
    each = line(slope)
    errors = np.array([math.log(row.ours / row.published) for row in each.rows])
    found = tuning((constant,), (each,))
    weight, wide = (slope / ROW_ERROR) ** 2, 1 / math.log(10) ** 2
    for place, row in enumerate(each.rows):
        others = np.delete(errors, place)
        step = -(others.sum() * slope / ROW_ERROR**2) / (weight * len(others) + wide)
        assert found.left_out["line", row.case] == pytest.approx(math.expm1(errors[place] + slope * step), abs=1e-6)
    (one,) = found.constants
    assert one.step == pytest.approx(math.exp(-(errors.sum() * slope / ROW_ERROR**2) / (weight * len(errors) + wide)), rel=1e-6)


def test_a_constant_without_its_only_row_falls_back_on_its_range() -> None:
    each = line(1.0)
    one = ValidationSet(name="one", title="a row", compute=lambda: list(each.compute())[:1])
    constant = Tuned(name="a100-sxm-80.attention_share", least=0.5, most=4.0, why="a test")
    (row,) = one.rows
    assert tuning((constant,), (one,)).left_out["one", "0"] == pytest.approx(row.ours * math.sqrt(2.0) / row.published - 1)


@pytest.mark.long
def test_choices_made_anew_without_a_row_are_near_those_that_are_taken_as_linear() -> None:
    """For every twentieth row: constants are chosen again without it, step by step until they stand still."""
    everything = tuning(TUNED, PUBLISHED).left_out
    for name, case in list(everything)[::20]:
        factors = {each.name: 1.0 for each in TUNED}
        for _ in range(3):
            with changed(by_place(factors)):
                sets = [without(each, name, case) for each in PUBLISHED]
                assert all(each.rows for each in sets)
            moved = [
                dataclasses.replace(each, least=each.least / factors[each.name], most=each.most / factors[each.name])
                for each in TUNED
            ]
            for found in tuning(moved, sets, factors).constants:
                factors[found.tuned.name] *= found.step
        with changed(by_place(factors)):
            row = next(row for each in PUBLISHED if each.name == name for row in each.compute() if row.case == case)
        assert row.error == pytest.approx(everything[name, case], abs=0.03), (name, case)


def without(each: ValidationSet, name: str, case: str) -> ValidationSet:
    """Return a set without a row."""
    return ValidationSet(
        name=each.name, title=each.title, compute=lambda: [row for row in each.compute() if (each.name, row.case) != (name, case)]
    )


def test_bars_are_over_sets_that_there_are() -> None:
    barred = [name for names, _, _ in BARS for name in names]
    assert len(set(barred)) == len(barred)
    assert set(barred) | {"instinfer-share"} <= set(ROWS)
