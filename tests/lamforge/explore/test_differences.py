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
    # What rejects it, and four or five metrics of every row.
    known = sum(5 if row["fidelity"] == "closed" else 6 for row in rows_of(explored.folder))
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
