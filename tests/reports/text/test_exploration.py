"""The front on a terminal: lines that fit, every metric told somewhere, and what is asked for in the table."""

import pytest

import lamforge
from lamforge.explore.exploration import Exploration
from reports.text.exploration import exploration_text
from reports.text.findings import constraint_text, fullest_text, name_text
from tests.lamforge.explore.small import FEW_AXES, study


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    folder = tmp_path_factory.mktemp("text")
    goals = {"token_per_s": "maximize", "lut": "minimize", "engine.fetch.fifo_beats": "minimize"}
    made = study(folder, axes=FEW_AXES, constraints={"fits": "board", "power_w": {"at_most": 1000}}, objectives=goals)
    return lamforge.explore(made, output=folder / "out")


def told(text: str) -> str:
    """Return a text without line breaks and with single spaces, and no words of headings cut."""
    return " ".join(text.split())


def test_lines_fit_and_every_metric_is_told(found: Exploration) -> None:
    text = exploration_text(found)
    lines = text.partition("\n\n")[2].partition("\n\nclosed form")[0].splitlines()
    table = lines[: next(index for index, line in enumerate(lines) if ":" in line)]
    assert all(len(line) <= 100 for line in table)
    below = told(" ".join(lines[len(table) :]))
    heads = told(" ".join(table[:3]))
    for name in found.front[0].metrics:
        words = name_text(name).split()
        assert name_text(name) in below or all(word in heads for word in words), name
    for name in ("token/s", "LUTs", "power,", "SLR"):
        assert name in heads
    assert found.front[0].notes["fullest"] in text


def test_what_is_fullest_is_a_sentence(found: Exploration) -> None:
    best = found.front[0]
    resource, slr = best.notes["fullest"].split(" in ")
    place = f"the {name_text(resource)} of {slr}"
    share = 100 * best.metrics["fullest_share"]
    assert fullest_text(best) == f"Of its board it takes at most {share:.1f} % of {place} that may be used."
    assert fullest_text(best) in exploration_text(found)


def test_constraints_of_the_board_are_told() -> None:
    assert constraint_text("board uram") == "the board's UltraRAMs"
    assert constraint_text("board") == "the board's memory channels"
    assert constraint_text("token_per_s at least 3") == "token_per_s at least 3"
