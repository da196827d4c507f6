"""Placements as points: what offload run says of each, what they lack, fronts and leaders of every case, refusals, and going on."""

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest

import lamforge
from hwsim.errors import SpecError
from lamforge.explore.axes import Value
from lamforge.explore.exploration import Exploration
from lamforge.explore.leads import Case, Entry
from lamforge.explore.placement_findings import placement_findings
from lamforge.explore.placements import KINDS, PlacementRows, PlacementSpace, rows_of, space_of
from lamforge.explore.space import Space
from lamforge.explore.store import Store
from lamforge.explore.study import Study, load_study, study_of
from lamforge.explore.study_text import study_text
from lamforge.flow.offload.run import Estimate
from reports.documents.exploration import exploration_document
from reports.studies.placement import NAME, kept_page, kept_table
from reports.text.exploration import exploration_text
from tests.lamforge.conftest import run_main
from tests.lamforge.explore.placed import SYSTEMS, document, placed
from tests.lamforge.explore.small import rows_of as rows_in
from tests.lamforge.explore.small import study as engine_study

ROOT = Path(__file__).parents[3]
GOALS = {"token_per_s": 1, "first_token_s": -1}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("placements")


@pytest.fixture(scope="module")
def found(place: Path) -> Exploration:
    return lamforge.explore(placed(), output=place / "out")


@pytest.fixture(scope="module")
def rows(place: Path, found: Exploration) -> list[dict[str, object]]:
    return rows_in(found.folder)


def alone(values: dict[str, Value], generate: int = 100) -> Estimate:
    """Return what `offload run` says of a point."""
    text = f"{values['placement.system']}:{values['placement.format']}:{values['placement.window']}"
    return lamforge.offload.run(
        text, model=str(values["network"]), prompt=int(values["prompt"]), generate=generate, batch=int(values["batch"])
    )


def test_every_point_is_what_offload_run_says(found: Exploration, rows: list[dict[str, object]], rng: np.random.Generator) -> None:
    space = space_of(found.study)
    assert [row["point"] for row in rows] == list(range(space.size)) and {row["fidelity"] for row in rows} == {"estimate"}
    for row in rng.permutation(np.array(rows, dtype=object))[:80].tolist():
        values = space.values(row["point"])
        assert {path: row[path] for path in space.axes} == values
        if row["rejected_by"] == "sequences":
            assert values["placement.system"] == "triforce-a100" and values["batch"] > 1
            assert row["token_per_s"] is None and row["excess.sequences"] == values["batch"] - 1
            with pytest.raises(SpecError, match="must be at most 1, not"):
                alone(values)
            continue
        said = alone(values)
        for name in ("token_per_s", "decode_token_per_s", "first_token_s", "step_s", "price_usd", "usd_per_million_tokens"):
            assert row[name] == pytest.approx(getattr(said, name), rel=1e-12), name
        assert row["token_per_joule"] == pytest.approx(1 / said.joules_per_token, rel=1e-12)
        assert (row["assumed_share"], row["binding"]) == (said.assumed_share, said.binding)
        over = {tier.name: float(tier.over.value / tier.capacity.value) for tier in said.answer.tiers}
        assert row["excess.memory"] == pytest.approx(max(over.values()), rel=1e-9)
        assert row["rejected_by"] == ("" if said.fits else "memory")
        assert row["short_of"] == ("" if said.fits else max(over, key=lambda name: over[name]))


def test_kinds_say_what_holds_the_model(rows: list[dict[str, object]]) -> None:
    kinds = {row["placement.system"]: row["kind"] for row in rows}
    assert [kinds[name] for name in SYSTEMS] == ["GPU", "GPU and host", "GPU", "GPU and SSD", "GPU and CSD", "FPGA"]
    assert set(kinds.values()) == set(KINDS)


def met(rows: list[dict[str, object]]) -> dict[tuple[object, ...], list[dict[str, object]]]:
    """Return the rows that meet everything by case."""
    cases: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in rows:
        key = (row["placement.format"], row["network"], row["prompt"])
        cases.setdefault(key, []).extend([row] if not row["rejected_by"] else [])
    return cases


def test_every_case_has_a_front_of_its_own(found: Exploration, rows: list[dict[str, object]]) -> None:
    best = []
    axes = found.study.axes
    order = sorted(
        met(rows), key=lambda key: [axes[path].index(value) for path, value in zip(found.study.for_each, key, strict=True)]
    )
    for some in (met(rows)[key] for key in order):
        points = [tuple(sign * row[name] for name, sign in GOALS.items()) for row in some]
        beaten = [any(all(a >= b for a, b in zip(other, one, strict=True)) and other != one for other in points) for one in points]
        own = [row for row, is_beaten in zip(some, beaten, strict=True) if not is_beaten]
        best += sorted(own, key=lambda row: (-row["token_per_s"], row["first_token_s"]))
    assert len(met(rows)) == 12 and len(best) > 12
    assert [each.configuration for each in found.front] == [row["configuration"] for row in best]
    assert (found.folder / "front.csv").read_text().count("\n") == len(best) + 1


def test_leaders_are_the_best_of_every_placement_and_case(found: Exploration, rows: list[dict[str, object]]) -> None:
    assert [view.batch for view in found.views] == [1, None]
    for view, (key, some), (goal, sign) in itertools.product(found.views, met(rows).items(), GOALS.items()):
        (case,) = [each for each in view.cases if tuple(each.values.values()) == key]
        taken = [row for row in some if view.batch in (None, row["batch"])]
        by_placement: dict[object, dict[str, object]] = {}
        for row in sorted(taken, key=lambda row: -sign * row[goal]):
            by_placement.setdefault((row["placement.system"], row["placement.window"]), row)
        wanted = [(f"{system}::{window}", row["batch"], row[goal]) for (system, window), row in by_placement.items()]
        assert sorted((each.name, each.batch, each.metrics[goal]) for each in case.entries[goal]) == sorted(wanted)
        figures = [sign * each.metrics[goal] for each in case.entries[goal]]
        assert figures == sorted(figures, reverse=True)
    assert placement_findings(found.folder).views == found.views


def test_more_blocks_and_a_run_that_stops_before_each_write_end_alike(
    found: Exploration, rows: list[dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamforge.explore.space.BLOCK", 100)
    write, computed = Store.write, PlacementRows.closed
    calls = 0

    class Killed(BaseException):
        pass

    def once(store: Store, fidelity: str, number: int, table: object) -> None:
        write(store, fidelity, number, table)
        raise Killed

    def counted(made: PlacementRows, points: np.ndarray) -> object:
        nonlocal calls
        calls += len(points)
        return computed(made, points)

    monkeypatch.setattr(PlacementRows, "closed", counted)
    monkeypatch.setattr(Store, "write", once)
    for _ in range(3):
        with pytest.raises(Killed):
            lamforge.explore(placed(), output=tmp_path / "out")
    assert not (tmp_path / "out" / "front.csv").exists() and not placement_findings(tmp_path / "out").is_finished
    monkeypatch.setattr(Store, "write", write)
    last = lamforge.explore(placed(), output=tmp_path / "out")
    assert rows_in(tmp_path / "out") == rows and calls == len(rows) and last.kept_points == 300
    assert (last.front, last.views, last.rejected) == (found.front, found.views, found.rejected)
    again = lamforge.explore(placed(), output=tmp_path / "out")
    assert calls == len(rows) and again.kept_points == len(rows)


def test_formats_and_windows_may_stand_in_the_text_of_a_system() -> None:
    base = {"network": "llama-2-7b", "prompt": 8192}
    text = study_of({"base": base, "axes": {"placement.system": ["gpu-a100:w4a8kv4:2048"]}})
    axes = study_of(
        {"base": base | {"placement.format": "w4a8kv4", "placement.window": 2048}, "axes": {"placement.system": ["gpu-a100"]}}
    )
    one, other = (space_of(each) for each in (text, axes))
    assert one.configuration(0) == other.configuration(0)
    point = np.zeros(1, dtype=np.int64)
    figures = [rows_of(space, "").closed(point).metrics for space in (one, other)]
    assert figures[0] == figures[1]


def test_settings_change_systems() -> None:
    axes = {"placement.system": ["instinfer-dense"], "placement.settings": ["", "csds=2", "csds=2; gpu=a100-sxm-80"]}
    space = space_of(study_of({"base": {"network": "llama-2-7b"}, "axes": axes}))
    block = rows_of(space, "").closed(np.arange(3))
    for place, settings in enumerate(({}, {"csds": 2}, {"csds": 2, "gpu": "a100-sxm-80"})):
        said = lamforge.offload.run("instinfer-dense", settings=settings)
        assert block.metrics["token_per_s"][place] == pytest.approx(said.token_per_s, rel=1e-12)
    assert len({space.configuration(point) for point in range(3)}) == 3
    with pytest.raises(SpecError, match=r"^System gpu-a100 setting must be .*, not 'csds'$"):
        space_of(study_of({"base": {"network": "llama-2-7b"}, "axes": axes | {"placement.system": ["gpu-a100"]}}))


def test_a_system_of_ones_own_is_part_of_the_study(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: instinfer-dense\nname: mine\ncsds: 2\n")
    made = placed(axes={"placement.system": [str(path)], "prompt": [4096]}, base={"network": "llama-2-7b"}, for_each=["prompt"])
    first = lamforge.explore(made, output=tmp_path / "out")
    assert first.front[0].metrics["token_per_s"] > lamforge.offload.run("instinfer-dense").token_per_s
    path.write_text("extends: instinfer-dense\nname: mine\ncsds: 4\n")
    with pytest.raises(SpecError, match="^Output must be of the study as its file is now"):
        lamforge.explore(made, output=tmp_path / "out")


def test_what_a_system_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise SpecError("Host must have a memory")

    monkeypatch.setattr("hwsim.offload.systems.gpu_only.GpuOnly.answer", refused)
    made = placed(axes={"placement.system": ["gpu-a100", "zero-a100-host"]}, base={"network": "llama-2-7b"}, for_each=[])
    found = lamforge.explore(made, output=tmp_path / "out")
    assert [(each.constraint, each.points) for each in found.rejected] == [("system", 1)]
    assert placement_findings(found.folder).refusals == ("Host must have a memory",)


def test_placements_are_compared_for_each_question_unless_the_study_says_otherwise() -> None:
    plain = {name: value for name, value in document().items() if name != "for_each"}
    assert study_of(plain).for_each == ("network", "prompt")
    assert study_of(plain | {"for_each": []}).for_each == ()
    assert study_of(plain | {"search": {"method": "optuna"}}).for_each == ()
    assert study_of(json.loads(json.dumps(plain))).digest == placed().digest
    text = study_text(placed())
    assert "for_each:" in text and "exact" not in text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"base": {"generate": 100, "engine.tile.tokens": 2}},
            "Study paths must be of a placement where there is placement.system, not 'engine.tile.tokens'",
        ),
        ({"conditions": ["context > 3"]}, "Study paths must be of a placement where there is placement.system, not 'context'"),
        (
            {"axes": {"network": ["llama-2-7b"], "prompt": [1, 2]}, "for_each": []},
            "Study paths must be of an engine where there is no placement.system, not 'generate'",
        ),
        ({"constraints": {"cycles": {"at_most": 3}}}, "Study constraint must be one of assumed_share, decode_token_per_s, "),
        ({"constraints": {"fits": "board"}}, "Study constraint must be one of assumed_share, decode_token_per_s, "),
        ({"objectives": {"fraction_of_peak": "maximize"}}, "Study objective must be one of assumed_share, decode_token_per_s, "),
        ({"exact": 3}, "Study exact must be left out where there is placement.system, whose points are estimates, not 3"),
        ({"for_each": ["generate"]}, "Study for_each must name axes of the study, such as one of batch, network, "),
        ({"for_each": ["promt"]}, "Study for_each[0] must be a path of a design such as 'prompt', not 'promt'"),
        ({"for_each": [3]}, "Study for_each[0] must be the path of an axis such as 'network', not 3"),
        ({"for_each": ["prompt", "prompt"]}, "Study for_each must name 'prompt' once, not twice"),
        ({"search": {"method": "optuna"}}, "Study for_each must be left out where Optuna searches, which looks for one front"),
        (
            {
                "axes": {"placement.system": ["gpu-a100:w4a8kv4"], "placement.format": ["fp16"], "network": ["opt-13b"]},
                "for_each": [],
            },
            "Study placement.system must leave its format to placement.format, not be 'gpu-a100:w4a8kv4'",
        ),
        (
            {"base": {"placement.window": 9, "network": "opt-6.7b"}, "axes": {"placement.system": ["gpu-a100::8"]}, "for_each": []},
            "Study placement.system must leave its window to placement.window, not be 'gpu-a100::8'",
        ),
        ({"base": {"placement.window": 0}}, "Study base.placement.window must be a number of tokens or dense, not 0"),
        ({"base": {"placement.settings": "csds"}}, "Study base.placement.settings: Setting must read PATH=VALUE such as "),
        ({"base": {"placement.system": 3}}, "Study base.placement.system must be a system as `lamforge offload run` takes it"),
        ({"base": {"placement.system": "gpu-a10"}}, "Study base.placement.system: System must be "),
    ],
    ids=str,
)
def test_refusals(changes: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError) as error:
        placed(**changes)
    assert str(error.value).startswith(text)


def test_metrics_and_batches_of_placements_are_refused_for_engines() -> None:
    base = {"network": "smollm2-135m"}
    with pytest.raises(SpecError, match=r"^Study objective must be one of .*, or a path, of an engine where .*, not 'step_s'$"):
        study_of({"base": base, "axes": {"batch": [1]}, "objectives": {"step_s": "minimize"}})
    with pytest.raises(
        SpecError, match=r"^Study batch must be a whole number from 1 to 64 where there is no placement.system, not 65$"
    ):
        study_of({"base": base, "axes": {"batch": [1, 65]}})


def test_networks_that_no_engine_runs_are_estimated_alone() -> None:
    made = study_of({"base": {"network": "opt-13b"}, "axes": {"placement.system": ["flexgen-a100"], "batch": [4]}})
    said = lamforge.offload.run("flexgen-a100", model="opt-13b", batch=4)
    assert rows_of(space_of(made), "").closed(np.arange(1)).metrics["token_per_s"] == pytest.approx(said.token_per_s, rel=1e-12)
    with pytest.raises(SpecError, match="^Study axes.network: Model opt-13b must be of an architecture that the engine runs"):
        study_of({"axes": {"network": ["opt-13b"]}})


def test_constraints_may_be_on_metrics_and_paths(tmp_path: Path) -> None:
    bounds = {"first_token_s": {"at_most": 5}, "batch": {"at_most": 4}}
    found = lamforge.explore(placed(constraints=bounds), output=tmp_path / "out")
    assert {each.constraint for each in found.rejected} == {"memory", "sequences", "first_token_s at most 5", "batch at most 4"}
    assert all(each.metrics["first_token_s"] <= 5 and each.values["batch"] <= 4 for each in found.front)
    with pytest.raises(SpecError, match=r"must leave at least one of .* points, not none: 'token_per_s at least 1e\+09' rejects"):
        lamforge.explore(placed(constraints={"token_per_s": {"at_least": 1e9}}), output=tmp_path / "none")
    assert placement_findings(tmp_path / "none").met_points == 0


def test_a_random_and_an_optuna_search(tmp_path: Path) -> None:
    some = lamforge.explore(placed(search={"method": "random", "count": 50}), output=tmp_path / "random")
    assert some.points == 50
    asked = lamforge.explore(placed(search={"method": "optuna", "trials": 40}, for_each=[]), output=tmp_path / "optuna")
    assert 1 <= asked.points <= 40 and asked.front


def test_twenty_thousand_points_a_second() -> None:
    study = load_study(NAME)
    axes = {path: list(values) for path, values in study.axes.items()} | {"prompt": list(range(4096, 413_696, 8192))}
    document = {"axes": axes, "base": study.base, "conditions": [each.text for each in study.conditions]}
    space = space_of(study_of(document))
    rows = rows_of(space, "")
    points = next(space.blocks())
    began = time.process_time()
    rows.table(rows.closed(points), rows.first)
    assert len(points) / (time.process_time() - began) >= 20_000


def test_text_and_document(found: Exploration) -> None:
    text = exploration_text(found)
    assert text.startswith("placed: The GPU alone has the most token/s in ")
    assert "points estimated" in text and "rejected by" in text and "closed form" not in text
    made = exploration_document(found)
    assert {"points", "exact_points", "exact_points_per_s", "closed_points_per_s", "front", "rejected"} <= set(made)
    assert (made["exact_points"], made["exact_points_per_s"], made["closed_form_error"]) == (0, None, None)
    assert made["for_each"] == list(found.study.for_each)
    assert len(made["leads"]) == 2 * 12 and made["leads"][0]["leaders"]["token_per_s"]["kind"] == "GPU"
    json.dumps(made, allow_nan=False)


def test_the_command_prints_the_answer_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["explore", "placement", "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("placement: The GPU alone has the most token/s in ")
    assert run_main(["explore", "placement", "-o", str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kept_points"] == document["points"] == 10_098


def test_kept_results_are_fresh(tmp_path: Path) -> None:
    found = lamforge.explore(NAME, output=tmp_path / "out")
    folder, again = ROOT / "docs" / "studies", "must be made again: make docs"
    assert (folder / f"{NAME}.md").read_text() == kept_page(found), f"docs/studies/{NAME}.md {again}"
    assert (folder / f"{NAME}.csv").read_text() == kept_table(found), f"docs/studies/{NAME}.csv {again}"


def test_engines_may_have_a_front_for_each_value_too(tmp_path: Path) -> None:
    made = engine_study(tmp_path, for_each=["memory"], objectives={"token_per_s": "maximize"})
    every = lamforge.explore(made, output=tmp_path / "all")
    best = {each.values["memory"]: each for each in every.front}
    simulated = [row for row in rows_in(tmp_path / "all") if row["fidelity"] == "exact"]
    for memory in ("ideal", "hbm2"):
        own = [row["token_per_s"] for row in simulated if row["memory"] == memory]
        assert best[memory].metrics["token_per_s"] == max(own)
    few = lamforge.explore(engine_study(tmp_path, for_each=["memory"], exact=2), output=tmp_path / "few")
    assert few.exact_points == 4
    text = exploration_text(every)
    assert text.startswith("small: for memory ideal, the best token_per_s is ") and "small: for memory hbm2, the best" in text


def test_groups_are_the_values_of_for_each() -> None:
    space = space_of(placed())
    assert isinstance(space, PlacementSpace) and not isinstance(space_of(engine_free()), PlacementSpace)
    groups = space.groups(np.arange(space.size))
    for point in range(0, space.size, 17):
        values = space.values(point)
        assert space.group_values(int(groups[point])) == {path: values[path] for path in space.study.for_each}
    assert len(np.unique(groups)) == 12


def engine_free() -> Study:
    return study_of({"base": {"network": "smollm2-135m"}, "axes": {"batch": [1]}})


def test_an_entry_has_figures_of_metrics_and_paths() -> None:
    entry = Entry(name="a", system="a", kind="GPU", binding="", batch=2, values={"batch": 2}, metrics={"step_s": 0.5})
    assert (entry.figure("step_s"), entry.figure("batch")) == (0.5, 2.0)
    assert Case(values={}, entries={"step_s": ()}).leader("step_s") is None
    assert Space is not PlacementSpace
