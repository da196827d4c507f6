"""The study of sinks and window: its answer follows from its rows, and what stands in the documentation is what rows say."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from lamforge.cli.main import main
from lamforge.explore.accuracy import load_accuracies
from lamforge.explore.exact import exact
from lamforge.explore.measuring import interval, scored
from lamforge.explore.space import Space
from lamforge.explore.study import load_study
from models.evaluation.perplexity import difference
from reports.studies.window import NAME, WindowRow, WindowStudy, csv_text, page, read_csv, write_pages
from reports.text.studies import window_text

DOCS = Path(__file__).parents[3] / "docs" / "studies"


@pytest.fixture(scope="module")
def shipped() -> WindowStudy:
    """What the committed rows are of."""
    study = load_study(NAME)
    table = load_accuracies(str(study.accuracy))
    return WindowStudy.of_rows(study, table, read_csv((DOCS / "window.csv").read_text()), unmeasured=0)


def test_the_page_is_what_its_rows_say(shipped: WindowStudy, tmp_path: Path) -> None:
    assert page(shipped) == (DOCS / "window.md").read_text()
    write_pages(shipped, tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        name: (DOCS / name).read_text() for name in ("window.md", "window.csv")
    }
    # Its first sentence is the answer.
    assert (DOCS / "window.md").read_text().splitlines()[2] == shipped.answer == window_text(shipped).splitlines()[0]


def test_accuracies_are_those_of_the_table(shipped: WindowStudy) -> None:
    table = load_accuracies(str(load_study(NAME).accuracy))
    rows = {(row.model, row.sinks, row.sinks + row.window): row for row in table.rows}
    assert len(shipped.rows) == len(rows) == Space(load_study(NAME)).size
    for each in shipped.rows:
        row = rows[each.model, each.sinks, each.context]
        assert (each.perplexity, each.found) == (pytest.approx(row.perplexity), row.found)
        assert (each.low, each.high) == pytest.approx(interval(scored(row, table)))
        best = min((other for other in table.rows if other.model == row.model), key=lambda other: other.perplexity)
        apart = difference(scored(row, table), scored(best, table))
        assert (each.ratio, (each.ratio_low, each.ratio_high)) == (pytest.approx(apart.ratio), pytest.approx(apart.ratio_interval))


def test_speeds_are_those_of_the_simulator(shipped: WindowStudy, rng: np.random.Generator) -> None:
    study = load_study(NAME)
    space = Space(study)
    models = {"w2s": "smollm2-135m-w2sa8kv4", "w4": "w4a8kv4"}
    rows = {(row.model, row.sinks, row.context): row for row in shipped.rows}
    for point in rng.choice(space.size, 2, replace=False).tolist():
        values = space.values(point)
        row = rows[models[str(values["layers.format"])], int(values["attention.sinks"]), int(values["context"])]
        found = exact(*space.request(point))
        assert (row.token_per_s, row.token_per_joule) == (found.token_per_s, found.token_per_joule)
        assert row.bytes_per_token == found.stream_bytes + found.side_bytes


def made(context: int, perplexity: float, low: float, found: tuple[int, ...], sinks: int = 4) -> WindowRow:
    """Return a row whose ratio to a perplexity of 10 has an interval from `low` on; a smaller cache is faster."""
    return WindowRow(
        model="one",
        sinks=sinks,
        context=context,
        perplexity=perplexity,
        low=perplexity - 1,
        high=perplexity + 1,
        ratio=perplexity / 10,
        ratio_low=low,
        ratio_high=2.0,
        found=found,
        token_per_s=1e5 / context,
        token_per_joule=1e4 / context,
        bytes_per_token=1e6 * context,
    )


def of_rows(*rows: WindowRow) -> WindowStudy:
    return WindowStudy(network="n", engine="e", windows=6, window=1024, lengths=(220, 450), tried=5, rows=rows, unmeasured=0)


def test_the_answer_is_the_smallest_cache_within_the_interval() -> None:
    rows = (made(1024, 10.0, 1.0, (5, 5)), made(512, 10.2, 0.99, (5, 4)), made(256, 10.5, 1.01, (5, 1)), made(128, 12, 1.1, (2, 0)))
    found = of_rows(*rows, made(256, 11.0, 1.05, (1, 1), sinks=0))
    assert (found.best("one"), found.lossless("one"), found.retrieving("one")) == (rows[0], rows[1], rows[0])
    assert found.answer == (
        "With the smallest cache that loses nothing measurable in perplexity, one keeps 512 tokens, 4 of them sinks"
        " (x 1.020 [0.990, 2.000] the lowest perplexity; 256 tokens, 4 of them sinks, cost x 1.050 [1.010, 2.000]"
        " for +100.0% token/s and +100.0% token/J)."
    )
    assert found.details == (
        "one has perplexity 10.20 then, x 1.020 [0.990, 2.000] the lowest, with 1,024 tokens, 4 of them sinks; it finds 9 of 10"
        " pass keys, and 10 with 1,024 tokens, 4 of them sinks. 1,024 tokens, 4 of them sinks, give x 1.000 [1.000, 2.000] the"
        " lowest perplexity, 10 pass keys, -50.0% token/s and -50.0% token/J.",
    )
    fewer_sinks = of_rows(*rows, made(512, 10.2, 0.99, (5, 5), sinks=1))
    assert (fewer_sinks.lossless("one").sinks, fewer_sinks.retrieving("one").context) == (1, 512)
    worse = of_rows(*(dataclasses.replace(row, ratio_low=1.01) if row.context == 512 else row for row in rows))
    assert worse.lossless("one") == rows[0]
    assert "(no smaller one was looked at)." in of_rows(rows[0]).answer
    assert of_rows(rows[0]).details == (
        "one has perplexity 10.00 then, the lowest; it finds 10 of 10 pass keys, as many as with any cache.",
    )


def test_rows_are_read_back(shipped: WindowStudy) -> None:
    assert read_csv(csv_text(shipped)) == shipped.rows


def test_the_command(
    shipped: WindowStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reports.studies.window.study", lambda listener: shipped)
    with pytest.raises(SystemExit) as stop:
        main(["study", "window", "--pages", str(tmp_path / "new"), "--json"])
    assert stop.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["answer"], len(document["rows"])) == (shipped.answer, len(shipped.rows))
    assert (tmp_path / "new" / "window.md").read_text() == page(shipped)
