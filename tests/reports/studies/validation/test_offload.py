"""Offloading beside published figures: the sets, how near ours is, and what the command prints."""

import json

import pytest

from hwsim.arch.workload import Workload
from hwsim.offload.systems import system
from lamforge.cli.main import main
from models.zoo import network
from reports.documents.validation import offload_validation_document
from reports.studies.validation.offload import SETS, OffloadValidation, offload
from reports.studies.validation.row import Row, ValidationSet
from reports.text.validation import offload_validation_text


def rows_of(name: str) -> tuple[Row, ...]:
    return next(each.rows for each in SETS if each.name == name)


def test_sets_and_their_rows_have_names_of_their_own() -> None:
    sets = offload().sets
    names = [each.name for each in sets]
    assert len(set(names)) == len(names) == len(SETS)
    assert sum(len(each.rows) for each in sets) == 419
    for each in sets:
        cases = [row.case for row in each.rows]
        assert len(set(cases)) == len(cases) > 0
        for row in each.rows:
            assert row.published > 0 and row.ours > 0
            assert row.source.strip() and row.unit


def test_every_published_run_fits_in_its_memories() -> None:
    for each in SETS:
        for row in each.rows:
            assert not row.misfits, row
    work = Workload(network=network("llama-2-7b"), prompt=1 << 20, generated=1, batch=1)
    row = Row.of(system("gpu-a100").answer(work), case="a", unit="s", published=1.0, ours=1.0, source="b")
    assert row.misfits == ("gpu-a100: GPU memory",)
    found = OffloadValidation(sets=(ValidationSet(name="x", title="a title", compute=lambda: (row,)),))
    assert "a (no room in gpu-a100: GPU memory)" in offload_validation_text(found)


def test_every_cell_of_the_packet_table_is_met() -> None:
    """Within 2 %; what is left is the rounding of the table's two decimals."""
    rows = rows_of("pcie-packets")
    assert len(rows) == 9 * 7
    for row in rows:
        assert abs(row.error) < 0.02, row
        assert abs(row.ours - row.published) < 0.0060, row
        assert not row.fitted


def test_measured_copies_are_within_a_tenth() -> None:
    rows = rows_of("pcie-measured")
    assert [row.published for row in rows] == pytest.approx([12, 13.84, 25, 26], rel=1e-3)
    for row in rows:
        assert abs(row.error) < 0.1, row
        assert row.assumed == ("pcie.usual_payload",)


def test_errors_are_fractions_of_what_is_published() -> None:
    row = Row(case="y", unit="GB/s", published=4.0, ours=3.0, fitted=True, source="z", assumed=("a.b",))
    assert row.error == -0.25
    better = Row(case="w", unit="GB/s", published=4.0, ours=4.4, fitted=False, source="z")
    found = OffloadValidation(sets=(ValidationSet(name="x", title="a title", compute=lambda: (row, better)),))
    document = offload_validation_document(found)
    assert document["sets"] == [
        {
            "name": "x",
            "title": "a title",
            "rows": 2,
            "left_out": None,
            "fitted": 1,
            "largest_error": -0.25,
            "median_error": pytest.approx(0.175),
        }
    ]
    assert [(entry["set"], entry["error"]) for entry in document["rows"]] == [("x", -0.25), ("x", pytest.approx(0.1))]
    lines = offload_validation_text(found).splitlines()
    assert lines[0] == "x: a title; 2 rows, 1 of them fitted; error at most 25.0%, 17.5% in the median"
    assert lines[1] == "assumed: a.b"
    assert lines[3].split() == ["y", "3", "4", "GB/s", "-25.0%", "yes"]


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["validate", "offload", "--json"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert [kind["name"] for kind in document["sets"]] == [kind.name for kind in SETS]
    assert set(document["rows"][0]) == {
        "set",
        "case",
        "unit",
        "published",
        "ours",
        "fitted",
        "source",
        "assumed",
        "misfits",
        "error",
        "left_out_error",
    }
    assert len(document["rows"]) == sum(kind["rows"] for kind in document["sets"])
    with pytest.raises(SystemExit):
        main(["validate", "offload"])
    text = capsys.readouterr().out
    assert "Gen4 x16, 256 B, read completion" in text and "assumed: pcie.usual_payload" in text
