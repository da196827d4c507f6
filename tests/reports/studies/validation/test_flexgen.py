"""FlexGen's published runs have room on its machine as the model counts it, and what it found no room for has none."""

import dataclasses

import pytest

from hwsim.offload.systems.flexgen import FlexGen, Split
from models.zoo import network
from reports.studies.validation.flexgen import ABLATION, LARGE, THROUGHPUT, Case


@pytest.mark.parametrize("case", (*THROUGHPUT, *ABLATION), ids=lambda case: f"{case.model}-{case.batch}x{case.batches}-{case.note}")
def test_what_was_run_has_room(case: Case) -> None:
    answer = case.system().answer(case.work())
    assert answer.fits, [tier for tier in answer.tiers if tier.over.value > 0]


def test_without_a_drive_the_largest_model_has_none() -> None:
    """The ablation has no figure for it but "out of memory"."""
    case = dataclasses.replace(LARGE, policy=(0, 100, 0, 100, 0, 100))
    assert not case.system().answer(case.work()).fits


def shares(flexgen: FlexGen, gpu: float, host: float, name: str = "opt-30b") -> tuple[float, ...]:
    return dataclasses.replace(flexgen, weights=Split(gpu=gpu, host=host)).weight_shares(network(name))


def test_whole_matrices_are_in_one_place() -> None:
    """Of a layer of OPT, attention has four matrices of a twelfth, the feed-forward part two of a third."""
    flexgen = LARGE.system()
    assert shares(flexgen, 100, 0) == pytest.approx((1, 0, 0))
    assert shares(flexgen, 0, 0) == pytest.approx((0, 0, 1))
    # The middle of the output projection lies at 87.5 %, that of the last feed-forward matrix at 75 %.
    assert shares(flexgen, 20, 80) == pytest.approx((1 / 12, 11 / 12, 0))
    assert shares(flexgen, 10, 90) == pytest.approx((0, 1, 0))
    assert shares(flexgen, 25, 75) == pytest.approx((1 / 12 + 1 / 3, 7 / 12, 0))
    assert shares(flexgen, 0, 50) == pytest.approx((0, 1 / 2, 1 / 2))


def test_shares_that_need_not_be_whole_are_met() -> None:
    split = dataclasses.replace(LARGE.system(), has_whole_matrices=False)
    assert shares(split, 20, 70) == pytest.approx((0.2, 0.7, 0.1))


@pytest.mark.parametrize("name", ["llama-2-7b", "llama-3-8b", "opt-6.7b"])
def test_parts_of_weights_add_up(name: str) -> None:
    for gpu in range(0, 101, 10):
        for host in range(0, 101 - gpu, 10):
            parts = shares(LARGE.system(), gpu, host, name)
            assert sum(parts) == pytest.approx(1)
            assert min(parts) >= 0
