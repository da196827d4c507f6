"""The page on offloading: everything in one file, its figures those of the comparison and of the validation."""

import re
from pathlib import Path

import jinja2
import pytest

from hwsim.errors import SpecError
from reports.pages import report
from reports.pages.offload import offload_page
from reports.studies.offload import OffloadStudy, offload_study

NAMES = ("gpu-a100", "gpu-rtx-4090", "shadowkv-a100", "fpga-u280:w2a8kv4:2048")


@pytest.fixture(scope="module")
def study() -> OffloadStudy:
    return offload_study(("llama-2-7b",), NAMES)


@pytest.fixture(scope="module")
def page(study: OffloadStudy) -> str:
    return offload_page(study)


def test_it_needs_nothing_else(page: str) -> None:
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "http" not in re.sub(r"arXiv|https?://arxiv", "", page)


def test_every_system_is_in_every_table(page: str) -> None:
    for name in NAMES:
        assert page.count(f">{name}</th>") == 5 + 1
    assert ">does not fit</td>" in page
    assert "undefined" not in page.lower()


def test_every_row_of_the_validation_is_there(page: str, study: OffloadStudy) -> None:
    sets = study.validation.sets
    body = "".join(re.findall(r"<tbody>.*?</tbody>", page, re.S))
    assert body.count("<tr><th>") == sum(len(each.rows) + 1 for each in sets) + len(NAMES)
    for each in sets:
        assert f"<summary>{each.name}</summary>" in page


def test_a_field_that_there_is_not_fails_and_does_not_vanish(study: OffloadStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.pages.offload.FIGURES", {})
    with pytest.raises(jinja2.UndefinedError):
        offload_page(study)


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match="must be"):
        report.offload(tmp_path / "file" / "offload.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
