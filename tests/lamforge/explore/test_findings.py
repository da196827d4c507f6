"""What is read of a folder is what the exploration found, and what is computed of it stands in the rows."""

import shutil
from pathlib import Path

import pytest

import lamforge
from hwsim.errors import SpecError
from lamforge.explore import findings as module
from lamforge.explore.binding import Resource, binding
from lamforge.explore.exploration import Exploration
from lamforge.explore.findings import Findings, findings
from lamforge.explore.store import STUDY
from reports.text.findings import answer_text
from tests.lamforge.explore.small import FEW_AXES, explored_study, rows_of, study


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("findings")


@pytest.fixture(scope="module")
def explored(place: Path) -> Exploration:
    return explored_study(place)


@pytest.fixture(scope="module")
def found(explored: Exploration) -> Findings:
    return findings(explored.folder)


def test_it_is_what_the_exploration_found(explored: Exploration, found: Findings) -> None:
    assert tuple(each.design for each in found.front) == explored.front
    assert (found.study, found.points, found.exact_points) == (explored.study, explored.points, explored.exact_points)
    assert (found.rejected, found.contradictions) == (explored.rejected, explored.contradictions)
    assert found.error == explored.closed_form_error
    assert found.is_finished


def test_steps_are_those_of_the_rows(explored: Exploration, found: Findings) -> None:
    rows = [row for row in rows_of(explored.folder) if row["fidelity"] == "exact"]
    rates = {tuple(row[path] for path in FEW_AXES): row["token_per_s"] for row in rows}
    for each in found.front:
        assert each.steps is not None
        here = each.design.values
        for step in each.steps:
            there = tuple((here | {step.path: step.value})[path] for path in FEW_AXES)
            assert step.is_exact == (there in rates)
            if step.is_exact:
                assert step.change == rates[there] / rates[tuple(here.values())] - 1
    assert found.sensitivity[0].path == "engine.fetch.fifo_beats"
    assert all(each.low <= 0 <= each.high for each in found.sensitivity)
    assert {len(each.steps) for each in found.sensitivity} == {1, 2}


def test_what_a_constraint_rejects_says_so(found: Findings) -> None:
    steps = [step for each in found.sensitivity for step in each.steps if step.rejected_by]
    assert steps and all(step.rejected_by == ("token_per_s at least 14000",) and step.excess for step in steps)
    assert found.nearest is not None and found.nearest.rejected_by == ("token_per_s at least 14000",)
    assert found.stop is None and found.better == 0 and found.ends == ("engine.fetch.fifo_beats",)


def test_a_bound_that_rejects_the_better_is_what_stops_the_next(place: Path) -> None:
    bounds = {"engine.fetch.fifo_beats": {"at_most": 32}}
    output = place / "bounded"
    lamforge.explore(study(place, axes=FEW_AXES, constraints=bounds), output=output)
    found = findings(output)
    assert found.stop is not None and found.stop.rejected_by == ("engine.fetch.fifo_beats at most 32",)
    assert (found.stop.excess, found.stop.values["engine.fetch.fifo_beats"]) == (1.0, 64)
    assert found.better > 0 and found.stop.gain is not None and found.stop.gain > 0


def test_rivals_are_those_of_the_same_values_of_for_each(place: Path) -> None:
    bounds = {"engine.fetch.fifo_beats": {"at_most": 32}}
    output, goal = place / "grouped", {"token_per_s": "maximize"}
    explored = lamforge.explore(
        study(place, axes=FEW_AXES, constraints=bounds, for_each=["memory"], objectives=goal), output=output
    )
    found = findings(output)
    assert tuple(each.design for each in found.front) == explored.front
    leaders = {each.values["memory"]: each.metrics["token_per_s"] for each in reversed(explored.front)}
    assert [each.values["memory"] for each in explored.front] == sorted(leaders, key=["ideal", "hbm2"].index)
    closed = {
        (row["memory"], row["head.format"], row["engine.fetch.fifo_beats"]): row["token_per_s"] for row in rows_of(output)[:12]
    }
    best = explored.front[0].values
    level = closed["ideal", best["head.format"], best["engine.fetch.fifo_beats"]]
    assert found.better == sum(rate > level for key, rate in closed.items() if key[0] == "ideal" and key[2] == 64) > 0
    assert found.stop is not None and found.stop.values["memory"] == "ideal"
    assert answer_text(found).count("with fetch.fifo beats") == 2 and " and memory hbm2." in answer_text(found)


def test_the_front_is_drawn_whole_and_last(found: Findings, explored: Exploration, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(found.drawn) == found.points
    assert [each.values for each in found.drawn if each.state == "front"] == [each.values for each in explored.front]
    assert found.drawn[-1].state == "front"
    monkeypatch.setattr(module, "DRAWN", 1)
    few = findings(explored.folder).drawn
    assert [each.state for each in few] == ["front"] * len(explored.front)
    monkeypatch.setattr(module, "DRAWN", len(explored.front) + 2)
    assert findings(explored.folder).drawn == findings(explored.folder).drawn
    assert len(findings(explored.folder).drawn) == len(explored.front) + 2


def test_cycles_of_what_binds_sum_to_the_cycles(found: Findings) -> None:
    for each in found.front:
        assert sum(each.binding.cycles.values()) == each.design.metrics["cycles"]
        assert next(iter(each.binding.shares)) is each.binding.resource
        reached = each.roofs.reached_per_s / (each.roofs.intensity * each.roofs.bytes_per_s)
        assert reached == pytest.approx(each.design.metrics["fraction_of_peak"])
        assert each.roofs.reached_per_s < each.roofs.products_per_s
    causes = dict.fromkeys(("compute", "memory", "drain", "on_fetch", "on_matrix", "on_vector", "on_mover", "control"), 0.0)
    assert binding(causes | {"compute": 80, "on_vector": 20}, 0.3).resource is Resource.MATRIX
    assert binding(causes | {"compute": 40, "on_vector": 60}, 0.4).resource is Resource.VECTOR


def test_a_study_that_nothing_meets_is_read_too(place: Path) -> None:
    with pytest.raises(SpecError, match="must leave at least one of"):
        lamforge.explore(study(place, axes=FEW_AXES, constraints={"token_per_s": {"at_least": 1e9}}), output=place / "none")
    found = findings(place / "none")
    assert (found.front, found.sensitivity, found.error, found.met_points) == ((), (), None, 0)
    assert found.is_finished and found.nearest is not None and found.nearest.excess > 0.9


def test_a_study_that_was_stopped_is_read_as_far_as_it_came(explored: Exploration, place: Path) -> None:
    shutil.copytree(explored.folder, place / "stopped")
    for path in [*(place / "stopped" / "parts").glob("exact-*"), place / "stopped" / "front.csv"]:
        path.unlink()
    found = findings(place / "stopped")
    assert not found.is_finished and found.front == () and found.met_points


def test_what_is_no_study_is_refused(tmp_path: Path, explored: Exploration) -> None:
    with pytest.raises(SpecError, match=r"^Report folder must hold study.json and study.yaml as explore writes them"):
        findings(tmp_path)
    shutil.copytree(explored.folder, tmp_path / "copy")
    (tmp_path / "copy" / STUDY).write_text("axes: 3\n")
    with pytest.raises(SpecError, match="Study"):
        findings(tmp_path / "copy")
    text = (explored.folder / STUDY).read_text()
    (tmp_path / "copy" / STUDY).write_text(text.replace("[16, 32, 64]", "[16, 32]"))
    with pytest.raises(SpecError, match="must be of the study in its study.yaml"):
        findings(tmp_path / "copy")
    (tmp_path / "copy" / STUDY).write_text(text)
    for path in (tmp_path / "copy" / "parts").iterdir():
        path.unlink()
    with pytest.raises(SpecError, match="must hold at least one part of results, not none"):
        findings(tmp_path / "copy")
    (tmp_path / "copy" / "study.json").write_text("{}")
    with pytest.raises(SpecError, match="must hold study.json as explore writes it"):
        findings(tmp_path / "copy")


def test_how_full_the_fullest_is_is_what_fits_board_bounds(place: Path) -> None:
    lamforge.explore(study(place, axes=FEW_AXES, constraints={"fits": "board"}), output=place / "fits")
    for row in rows_of(place / "fits"):
        excess = {name.rpartition(" ")[2]: value for name, value in row.items() if name.startswith("excess.board ")}
        fullest = max(excess, key=lambda name: float(str(excess[name])))
        assert str(row["fullest"]).startswith(f"{fullest} in SLR")
        assert row["fullest_share"] == pytest.approx(1 + float(str(excess[fullest])))
