"""Two folders of studies: the laws of a comparison, what changed rows say, what came and left, and which folders are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

import lamforge
from hwsim.errors import SpecError
from lamforge.explore.differences import StudyComparison, compare_studies
from lamforge.explore.exploration import Exploration
from lamforge.explore.metrics import METRICS
from reports.documents.comparison import studies_document
from reports.text.comparison import comparison_text
from tests.lamforge.explore.placed import SYSTEMS, placed
from tests.lamforge.explore.small import FEW_AXES, explored_study, rows_of, study

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    return explored_study(tmp_path_factory.mktemp("differences"))


@pytest.fixture
def other(explored: Exploration, tmp_path: Path) -> Path:
    """A copy of the folder that a test may change."""
    return Path(shutil.copytree(explored.folder, tmp_path / "other"))


def rewrite(folder: Path, change: Callable[[Rows], Rows]) -> None:
    """Change the rows in a folder."""
    for path in sorted((folder / "parts").glob("*.parquet")):
        rows = pyarrow.parquet.read_table(path)
        pyarrow.parquet.write_table(pa.Table.from_pylist(change(rows.to_pylist()), rows.schema), path)


def exact(found: StudyComparison) -> Any:
    return next(each for each in found.figures if each.fidelity == "exact")


def test_of_the_same_nothing_changed(explored: Exploration, other: Path) -> None:
    rewrite(other, lambda rows: rows[::-1])
    found = compare_studies(explored.folder, other)
    assert not found.is_changed and found.matched_by == "configuration"
    assert found.a.best == explored.front[0] and found.a.front == found.b.front == explored.front
    assert found.stayed == len(explored.front) > 1
    assert (found.a.points, found.a.exact_points) == (explored.points, explored.exact_points)
    # What rejects it, the resource and the SLR that is fullest, and the metrics of every row that are known.
    known = sum(2 + sum(row[name] is not None for name in METRICS) for row in rows_of(explored.folder))
    assert sum(each.same for each in found.figures) == known


def test_a_changed_row_changes_figures_and_fronts(explored: Exploration, other: Path) -> None:
    best = explored.front[0]

    def slower(rows: Rows) -> Rows:
        return [row | ({"token_per_s": 1.0} if is_best(row) and row["fidelity"] == "exact" else {}) for row in rows]

    def is_best(row: dict[str, Any]) -> bool:
        return bool(row["configuration"] == best.configuration)

    rewrite(other, slower)
    found = compare_studies(explored.folder, other)
    changes = [(each.values, each.change.path, each.change.b) for each in exact(found).changes]
    assert changes == [(best.values, "token_per_s", 1.0)]
    assert exact(found).changed == 1 and [each.changed for each in found.figures] == [1, 0]
    assert [each.configuration for each in found.left] == [best.configuration]
    assert best.configuration not in [each.configuration for each in found.came]
    assert found.b.best is not None and found.b.best.configuration != best.configuration
    assert found.stayed + len(found.came) == len(found.b.front)
    mirror = compare_studies(other, explored.folder)
    assert (mirror.came, mirror.left, mirror.stayed) == (found.left, found.came, found.stayed)
    back = exact(mirror).changes[0].change
    assert (back.a, back.b) == (1.0, best.metrics["token_per_s"])
    assert not compare_studies(explored.folder, explored.folder, tolerance=0.5).is_changed


def test_those_of_the_largest_effect_come_first(explored: Exploration, other: Path) -> None:
    factors: dict[str, float] = {}

    def changed(rows: Rows) -> Rows:
        for place, row in enumerate(rows):
            if row["fidelity"] == "exact":
                factors[row["configuration"]] = 1 + 0.1 * place
                row["cycles"] *= 1 + 0.1 * place
        return rows

    rewrite(other, changed)
    found = exact(compare_studies(explored.folder, other))
    assert [each.change.path for each in found.changes] == ["cycles"] * (len(factors) - 1)
    assert [round(each.change.share, 6) for each in found.changes] == sorted(
        (round(f - 1, 6) for f in factors.values()), reverse=True
    )[:-1]
    # A smaller change of a figure that stands before it.
    rewrite(other, lambda rows: [row | {"token_per_s": row["token_per_s"] * 1.001} for row in rows])
    assert [each.change.path for each in exact(compare_studies(explored.folder, other)).changes] == [
        *(["cycles"] * (len(factors) - 1)),
        *(["token_per_s"] * len(factors)),
    ]
    hidden = exact(compare_studies(explored.folder, other, tolerance=0.15))
    assert hidden.changed == found.changed - 1


def test_what_rejects_a_design_is_a_figure(explored: Exploration, other: Path) -> None:
    rewrite(other, lambda rows: [row | {"rejected_by": row["rejected_by"] or "board"} for row in rows])
    found = compare_studies(explored.folder, other)
    rejected = [each.change for each in exact(found).changes]
    assert rejected and all((each.path, each.a, each.b) == ("rejected_by", None, "board") for each in rejected)
    assert found.b.best is None and len(found.left) == len(explored.front)


def test_another_study_says_what_differs(explored: Exploration, tmp_path: Path) -> None:
    axes = FEW_AXES | {"head.format": ["w4"]}
    small = lamforge.explore(study(explored.folder.parent, axes=axes), output=tmp_path / "small")
    found = compare_studies(explored.folder, small.folder)
    assert [(each.path, each.a, each.b) for each in found.study.changes] == [("axes.head.format", "w4, w8", "w4")]
    assert [each.path for each in found.study.only_a] == ["constraints.token_per_s"]
    assert found.matched_by == "configuration"
    closed = found.figures[1]
    assert (closed.only_a, closed.only_b) == (explored.points - small.points, 0)
    # The constraint was what rejected them.
    assert {each.change.path for each in closed.changes} == {"rejected_by"}


def test_without_a_configuration_in_both_axes_match(explored: Exploration, tmp_path: Path) -> None:
    folder = explored.folder.parent
    base = {"network": str(folder / "network.json"), "engine": "tiny", "context": 12, "layers.format": "w4"}
    shorter = lamforge.explore(study(folder, axes=FEW_AXES, base=base), output=tmp_path / "shorter")
    found = compare_studies(explored.folder, shorter.folder)
    assert found.matched_by == "axes"
    assert [(each.path, each.a, each.b) for each in found.study.changes] == [("base.context", 16, 12)]
    rates = [each for each in exact(found).changes if each.change.path == "token_per_s"]
    mine, others = (
        {tuple(row[path] for path in FEW_AXES): row["token_per_s"] for row in rows_of(place) if row["fidelity"] == "exact"}
        for place in (explored.folder, shorter.folder)
    )
    assert len(rates) == sum(mine[key] != others[key] for key in mine.keys() & others.keys()) > 0
    for each in rates:
        key = tuple(each.values[path] for path in FEW_AXES)
        assert (each.change.a, each.change.b) == (mine[key], others[key])
    alone = lamforge.explore(study(folder, base=base, axes={"engine.fetch.fifo_beats": [32]}), output=tmp_path / "alone")
    assert compare_studies(explored.folder, alone.folder).matched_by is None


def test_other_versions_of_the_code_are_compared(explored: Exploration, other: Path) -> None:
    origin = json.loads((other / "study.json").read_text())
    (other / "study.json").write_text(json.dumps(origin | {"code": "another"}))
    for path in (other / "parts").glob("*.parquet"):
        rows = pyarrow.parquet.read_table(path)
        # An older version lacks a metric, a newer one has a constraint more.
        more = rows.drop_columns(["token_per_joule"]).append_column("excess.new", pa.array([0.0] * len(rows)))
        pyarrow.parquet.write_table(more, path)
    found = compare_studies(explored.folder, other)
    assert found.a.code != found.b.code == "another"
    assert not found.is_changed


def stop(folder: Path) -> None:
    (folder / "front.csv").unlink()
    for path in (folder / "parts").glob("exact-*"):
        path.unlink()


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def without_parts(folder: Path) -> None:
    for path in (folder / "parts").iterdir():
        path.unlink()


def damaged(folder: Path) -> None:
    next((folder / "parts").glob("closed-*")).write_bytes(b"PAR1")


def without_columns(folder: Path) -> None:
    for path in (folder / "parts").iterdir():
        pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).drop_columns(["rejected_by"]), path)


def without_study(folder: Path) -> None:
    (folder / "study.yaml").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (stop, "Study must have come to its end to be compared, not have been stopped as in 'old': explore goes on with it"),
        (empty, "Study folder must hold study.json as explore writes it, not what is in 'old'"),
        (without_parts, "Study folder must hold at least one part of results, not none in 'old'"),
        (damaged, "Part of a study must be Parquet as explore writes it, not '"),
        (without_columns, "Study folder must hold rows as explore writes them, not those in 'old' ("),
        (without_study, "Study folder must hold study.json and study.yaml as explore writes them, not what is in 'old'"),
    ],
)
def test_folders_that_are_refused(damage: Callable[[Path], None], sentence: str, explored: Exploration, other: Path) -> None:
    damage(other)
    with pytest.raises(SpecError) as refusal:
        compare_studies(explored.folder, other, names=("new", "old"))
    assert str(refusal.value).startswith(sentence)


def test_a_study_without_a_design_that_meets_all_has_ended(explored: Exploration, tmp_path: Path) -> None:
    bound = {"token_per_s": {"at_least": 1e12}}
    with pytest.raises(SpecError, match="Study constraints must leave at least one"):
        lamforge.explore(study(explored.folder.parent, axes=FEW_AXES, constraints=bound), output=tmp_path / "none")
    found = compare_studies(explored.folder, tmp_path / "none")
    assert found.b.best is None and found.came == () and len(found.left) == len(explored.front)


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    return lamforge.explore(placed(), output=tmp_path_factory.mktemp("placements") / "out")


def test_placements_that_nothing_changed_of(estimated: Exploration) -> None:
    found = compare_studies(estimated.folder, estimated.folder)
    assert not found.is_changed and found.a.front == estimated.front and found.leads == ()
    assert [each.fidelity for each in found.figures] == ["estimate"] and found.figures[0].same > estimated.points
    assert found.cases == sum(
        len(entries) > 0 for view in estimated.views for case in view.cases for entries in case.entries.values()
    )
    assert comparison_text(found).startswith("Nothing changed of ")
    assert f"the best token_per_s is the same in each of {len(found.a.bests)} cases of " in comparison_text(found)


def test_what_leads_is_what_the_explorations_say(estimated: Exploration, tmp_path: Path) -> None:
    axes = {path: list(values) for path, values in estimated.study.axes.items()} | {
        "placement.system": [each for each in SYSTEMS if each != "gpu-a100"]
    }
    fewer = lamforge.explore(placed(axes=axes), output=tmp_path / "fewer")
    found = compare_studies(estimated.folder, fewer.folder)

    def leaders(explored: Exploration) -> dict[tuple[object, ...], str | None]:
        return {
            (view.batch, name, *case.values.values()): entries[0].name if entries else None
            for view in explored.views
            for case in view.cases
            for name, entries in case.entries.items()
        }

    a, b = leaders(estimated), leaders(fewer)
    changed = {key: (a[key], b[key]) for key in a if a[key] != b[key]}
    assert {(each.batch, each.objective, *each.values.values()): (each.a, each.b) for each in found.leads} == changed != {}
    assert any(str(each.a).startswith("gpu-a100") for each in found.leads)
    text = comparison_text(found)
    assert f"another placement leads in {len(changed)} of {found.cases} cases" in text.splitlines()[0]
    assert text.startswith("The best token_per_s changes in ")
    document = studies_document(found)
    assert len(document["leads"]) == len(changed) and len(document["a"]["bests"]) == len(found.a.bests)
    for group, best in found.a.bests.items():
        rates = [
            each.metrics["token_per_s"]
            for each in estimated.front
            if tuple(each.values[path] for path in estimated.study.for_each) == group
        ]
        assert best.metrics["token_per_s"] == max(rates)


def test_what_is_said_of_a_placement_beside_its_figures_is_compared(estimated: Exploration, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(estimated.folder, tmp_path / "copy"))
    rewrite(copy, lambda rows: [row | {"binding": "another"} for row in rows])
    found = compare_studies(estimated.folder, copy)
    assert {each.change.path for each in found.figures[0].changes} == {"binding"}


def test_which_slr_is_fullest_is_compared(explored: Exploration, other: Path) -> None:
    rewrite(other, lambda rows: [row | {"fullest": "dsp in SLR9"} for row in rows])
    found = compare_studies(explored.folder, other)
    assert {(each.change.path, each.change.b) for each in exact(found).changes} == {("fullest", "dsp in SLR9")}


def test_the_best_of_each_front_are_set_beside_each_other(explored: Exploration, tmp_path: Path) -> None:
    made = study(explored.folder.parent, axes=FEW_AXES, for_each=["memory"])
    grouped = lamforge.explore(made, output=tmp_path / "grouped")
    found = compare_studies(grouped.folder, grouped.folder)
    assert found.a.front == grouped.front
    assert set(found.a.bests) == {("ideal",), ("hbm2",)}
    other = Path(shutil.copytree(grouped.folder, tmp_path / "slower"))
    rewrite(other, lambda rows: [row | {"token_per_s": row["token_per_s"] / (1 + (row["memory"] == "hbm2"))} for row in rows])
    text = comparison_text(compare_studies(grouped.folder, other))
    assert text.startswith("The best token_per_s changes in 1 of 2 cases of memory with memory hbm2: ") and "(-50%)" in text


def test_studies_of_two_kinds_are_refused(explored: Exploration, estimated: Exploration) -> None:
    with pytest.raises(SpecError) as refusal:
        compare_studies(explored.folder, estimated.folder, names=("designs", "places"))
    expected = "Studies must be of one kind to be compared, not of engines in 'designs' and placements in 'places'"
    assert str(refusal.value) == expected
