"""The energy estimate beside the power that published systems state."""

import json

import pytest

from lamforge.cli.main import main
from reports.studies.validation.energy import energy


def test_validation_has_a_row_for_each_system(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row.system.name: row for row in energy().rows}
    # Within a third of both, with the same constants.
    for row in rows.values():
        assert abs(row.error) < 1 / 3
    with pytest.raises(SystemExit) as ended:
        main(["validate", "energy", "--json"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["system"] for row in document["rows"]] == ["AccLLM", "FlightLLM"]
    for row in document["rows"]:
        assert row["error"] == pytest.approx(row["ours_w"] / row["theirs_w"] - 1)
    with pytest.raises(SystemExit):
        main(["validate", "energy"])
    text = capsys.readouterr().out
    assert "assumed" in text and "regulator_efficiency" in text and "FlightLLM" in text
