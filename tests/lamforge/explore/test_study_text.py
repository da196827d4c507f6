"""A study prints, is read back, and is equal."""

from pathlib import Path

import pytest

from lamforge.explore.space import Space
from lamforge.explore.store import STUDY, Store
from lamforge.explore.study import FILES, Study, load_study
from lamforge.explore.study_text import study_text
from tests.lamforge.explore.small import study


def read_back(found: Study, folder: Path) -> Study:
    """Return what a file with the text of a study says."""
    (folder / "study.yaml").write_text(study_text(found))
    return load_study(str(folder / "study.yaml"))


@pytest.mark.parametrize("name", FILES.names())
def test_what_ships_is_read_back(name: str, tmp_path: Path) -> None:
    found = load_study(name)
    assert read_back(found, tmp_path) == found


def test_everything_that_a_file_may_say_is_read_back(tmp_path: Path) -> None:
    found = study(
        tmp_path,
        name="a-b",
        conditions=["engine.fetch.fifo_beats >= 2 * engine.fetch.burst_beats", "memory == 'ideal' or batch < 2"],
        constraints={"fits": "board", "token_per_s": {"at_least": 1e-7, "at_most": 1e22}, "batch": {"at_most": 3}},
        search={"method": "random", "count": 5, "seed": 7},
        exact=3,
    )
    assert read_back(found, tmp_path) == found
    assert Space(read_back(found, tmp_path)).digest == Space(found).digest


def test_the_store_keeps_the_study_as_it_was_run_last(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with Store.opened(tmp_path / "out", Space(study(tmp_path, name=name))):
            assert load_study(str(tmp_path / "out" / STUDY)) == study(tmp_path, name=name)
