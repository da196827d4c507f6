"""Which numbers stand behind a metric: all of their files, those that move it, and none that do not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

import lamforge.explore.exact
from compiler.pipeline import Request
from hwsim.arch.board import EnergyConstants, load_board
from hwsim.arch.config import load_engine
from hwsim.memory.models import HBM2, IDEAL, MemoryModel
from lamforge.explore.exact import ExactPoint, exact
from lamforge.explore.findings import findings
from lamforge.explore.metrics import METRICS, PROMPT, Ground
from lamforge.explore.sources import Sources, sources
from lamforge.explore.space import Space
from tests.lamforge.explore.small import FEW_AXES, explored_study, study

SPECS = Path(__file__).parents[3] / "hwsim" / "specs"


def stated(path: str, *within: str) -> dict[str, bool]:
    """Return the numbers of a data file by name, and whether each is assumed, read without the code under test."""
    found = yaml.safe_load((SPECS / path).read_text())
    for name in within:
        found = found[name]
    return {name: number["kind"] == "assumed" for name, number in found.items() if isinstance(number, dict) and "kind" in number}


def told(found: tuple[Sources, ...]) -> dict[str, dict[str, bool]]:
    return {each.name: {name: name in each.assumed for name in each.numbers} for each in found}


def test_every_number_of_the_files_is_counted() -> None:
    memory = {f"hbm2.{name}": is_assumed for name, is_assumed in stated("memories/hbm2.yaml").items()}
    energy = {f"u55c.{name}": is_assumed for name, is_assumed in stated("boards/u55c.yaml", "energy").items()}
    assert any(memory.values()) and any(energy.values()) and not all(energy.values())
    price = {f"u55c.{name}": is_assumed for name, is_assumed in stated("boards/u55c.yaml").items() if name == "price"}
    room = {f"u55c.{name}": is_assumed for name, is_assumed in stated("boards/u55c.yaml").items() if name in ("slrs", "fill")}
    assert len(price) == 1 and len(room) == 2
    found = sources([(load_engine("u55c"), HBM2)], METRICS, [load_board("u55c")])
    assert told(found) == dict.fromkeys(METRICS, {}) | {
        "token_per_s": memory,
        "cycles": memory,
        "prefill_token_per_s": memory,
        "first_token_s": memory,
        "fraction_of_peak": memory,
        "token_per_joule": memory | energy,
        "power_w": memory | energy,
        "price_usd": price,
        "fullest_share": room,
    }
    by_name = {each.name: each for each in found}
    counted = [*memory.values(), *energy.values()]
    assert by_name["token_per_joule"].assumed_share == sum(counted) / len(counted)
    assert by_name["bytes_per_token"].assumed_share == 0


def test_ideal_memory_is_of_no_file_and_several_designs_add_up() -> None:
    alone = told(sources([(load_engine("u280"), IDEAL)], ["cycles"]))
    both = told(sources([(load_engine("u280"), IDEAL), (load_engine("u55c"), HBM2)], ["cycles", "token_per_joule"]))
    assert alone == {"cycles": {}}
    assert len(both["cycles"]) == len(stated("memories/hbm2.yaml"))
    assert {name.partition(".")[0] for name in both["token_per_joule"]} == {"hbm2", "u280", "u55c"}


def test_the_board_counts_where_it_is_asked_for() -> None:
    found = sources([(load_engine("u280"), IDEAL)], ["cycles"], [load_board("u280"), load_board("u280")], is_bounded=True)
    assert told(found)["board"] == {"u280.hbm": False, "u280.slrs": False, "u280.fill": False}
    assert "board" not in told(sources([(load_engine("u280"), IDEAL)], ["cycles"], [load_board("u280")]))


@pytest.fixture
def point(tmp_path: Path) -> tuple[Request, MemoryModel]:
    return Space(study(tmp_path, axes=FEW_AXES)).request(0)


def metrics_of(point: ExactPoint) -> dict[str, float]:
    assert point.prefill_token_per_s is not None and point.first_token_s is not None
    return {
        "token_per_s": point.token_per_s,
        "cycles": point.cycles,
        "bytes_per_token": (point.stream_bytes + point.side_bytes) / point.tokens,
        "fraction_of_peak": point.fraction_of_peak,
        "token_per_joule": point.token_per_joule,
        "power_w": point.token_per_s / point.token_per_joule,
        "prefill_token_per_s": point.prefill_token_per_s,
        "first_token_s": point.first_token_s,
    }


def moved(before: ExactPoint, after: ExactPoint) -> set[str]:
    was, now = metrics_of(before), metrics_of(after)
    # The others are none of the simulation: accuracies, resources, and the price of the board.
    simulated = {name for name, metric in METRICS.items() if {Ground.MEMORY, Ground.ENERGY} & {*metric.grounds}}
    assert simulated <= set(was) <= set(METRICS)
    return {name for name in was if was[name] != now[name]}


def test_other_memory_moves_the_metrics_that_rest_on_it(point: tuple[Request, MemoryModel]) -> None:
    request, _ = point
    resting = {name for name, metric in METRICS.items() if Ground.MEMORY in metric.grounds}
    assert moved(exact(request, IDEAL, asked=PROMPT), exact(request, HBM2, asked=PROMPT)) == resting


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(EnergyConstants)])
def test_each_energy_constant_moves_the_metrics_that_rest_on_it(
    name: str, point: tuple[Request, MemoryModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, usual = exact(*point, asked=PROMPT), lamforge.explore.exact.constants_of

    def changed(board: object) -> EnergyConstants:
        constants = usual(board)
        fact = getattr(constants, name)
        return dataclasses.replace(constants, **{name: dataclasses.replace(fact, value=fact.value * 0.5)})

    monkeypatch.setattr(lamforge.explore.exact, "constants_of", changed)
    resting = {name for name, metric in METRICS.items() if Ground.ENERGY in metric.grounds}
    assert moved(before, exact(*point, asked=PROMPT)) == resting == {"token_per_joule", "power_w"}


def test_findings_tell_them_of_the_front(tmp_path: Path) -> None:
    found = findings(explored_study(tmp_path).folder)
    memories = {each.design.values["memory"] for each in found.front}
    unasked = ("perplexity", "pass_keys", *PROMPT)
    assert [each.name for each in found.sources] == [name for name in METRICS if name not in unasked]
    assert bool(found.sources[0].numbers) == ("hbm2" in memories)
    assert {name.partition(".")[0] for name in found.sources[-1].numbers} >= {"u280"}
