"""`lamforge study`: the tables of docs/flash.md come from it."""

import json
from pathlib import Path

from tests.lamforge.conftest import Command

PAGE = Path(__file__).parents[3] / "docs" / "flash.md"


def test_the_tables_of_the_page(command: Command) -> None:
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
