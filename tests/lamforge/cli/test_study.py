"""`lamforge study`: the tables of docs/flash.md come from it."""

import functools
import json
from pathlib import Path

import pytest

import reports.studies.validation.flash
from tests.lamforge.conftest import Command

PAGE = Path(__file__).parents[3] / "docs" / "flash.md"


def test_the_tables_of_the_page(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    # It takes many seconds, and is shown in two forms here.
    monkeypatch.setattr(reports.studies.validation.flash, "study", functools.cache(reports.studies.validation.flash.study))
    code, out, _ = command("study", "flash")
    assert code == 0
    rows = [line for line in out.splitlines() if line.startswith("| ") and "k / S" not in line]
    written = {line for line in PAGE.read_text().splitlines() if line.startswith("| ")}
    assert len(rows) > 20
    assert sum(row in written for row in rows) >= 9
    code, out, _ = command("study", "flash", "--json")
    document = json.loads(out)
    assert document.pop("verb") == "study flash"
    assert {name: len(part) for name, part in document.items()} == {"fractions": 9, "rates": 12, "written": 3}
