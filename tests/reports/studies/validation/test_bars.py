"""How near the estimates of offloading must be: bars over sets, over all rows and over those that are predicted alone."""

import math
import statistics
from collections.abc import Sequence

import pytest

from reports.studies.validation.offload import SETS
from reports.studies.validation.row import Row

ROWS = {kind.name: kind.rows for kind in SETS}

# Sets that one publication fills, with bars for the median and the largest error of their rows together.
BARS = [
    (("flexgen-throughput", "flexgen-ablation", "flexgen-breakdown"), 0.08, 0.25),
    (("zero-weights",), 0.12, 0.12),
    (("triforce-latency", "triforce-gain", "shadowkv-throughput", "shadowkv-blocks"), 0.08, 0.20),
    (("instinfer-gain",), 0.10, 0.10),
    (("gpu-operators",), 0.05, 0.15),
    (("h200-operators",), 0.05, 0.15),
    (("h200-steps",), 0.05, 0.15),
    (("pcie-packets",), 0.02, 0.02),
]

# Tables with few rows, most of which are needed to find the constants of a machine: what they say beyond that is little.
MOSTLY_FITTED = {"triforce-latency": 4, "instinfer-gain": 2, "fpga-decode": 2}


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


@pytest.mark.parametrize(("names", "median", "worst"), BARS, ids=["+".join(names) for names, _, _ in BARS])
def test_predictions_are_as_near_as_what_constants_come_from(names: tuple[str, ...], median: float, worst: float) -> None:
    found = [row for name in names for row in ROWS[name] if not row.fitted]
    assert statistics.median(errors(found)) <= median
    assert max(errors(found)) <= worst


def test_shares_of_keys_and_values_are_within_three_points() -> None:
    for row in ROWS["instinfer-share"]:
        assert row.unit == "%"
        assert abs(row.ours - row.published) <= 3, row.case


@pytest.mark.parametrize("name", ROWS)
def test_at_most_half_of_a_set_is_fitted(name: str) -> None:
    rows = ROWS[name]
    fitted = sum(row.fitted for row in rows)
    assert fitted == MOSTLY_FITTED.get(name, fitted)
    assert fitted <= len(rows) / 2 or name in MOSTLY_FITTED
    assert fitted < len(rows)


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


def test_a_constant_is_not_fitted_to_a_row_that_it_misses() -> None:
    """Rows that constants come from are not farther off than those that are predicted, over all sets together."""
    rows = [row for found in ROWS.values() for row in found]
    fitted, predicted = (errors([row for row in rows if row.fitted is is_fitted]) for is_fitted in (True, False))
    assert statistics.median(fitted) <= 0.05
    assert max(fitted) <= max(predicted)
    assert len(fitted) < len(predicted) / 3


def test_bars_are_over_sets_that_there_are() -> None:
    barred = [name for names, _, _ in BARS for name in names]
    assert len(set(barred)) == len(barred)
    assert set(barred) | {"instinfer-share"} | set(MOSTLY_FITTED) <= set(ROWS)
