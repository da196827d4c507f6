"""The page on offloading: everything in one file, its figures those of the comparison and of the validation."""

import json
import re
from pathlib import Path

import pytest

from hwsim.errors import SpecError
from lamforge.flow.offload.comparison import CONTEXTS, compare
from lamforge.flow.offload.contender import contender
from models.zoo import network
from reports.pages.offload import offload_document, offload_page, write_offload_report
from reports.pictures.offload import FIGURES, contexts_picture
from reports.studies.validation.offload import validate_offload

NAMES = ("gpu-a100", "gpu-rtx-4090", "shadowkv-a100", "fpga-u280:w2a8kv4:2048")


@pytest.fixture(scope="module")
def page() -> str:
    return offload_page(offload_document(("llama-2-7b",), NAMES))


def test_it_needs_nothing_else(page: str) -> None:
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "http" not in re.sub(r"arXiv|https?://arxiv", "", page)


def test_every_system_is_in_every_table(page: str) -> None:
    for name in NAMES:
        assert page.count(f">{name}</th>") == 5 + 1
    assert "no room" in page


def test_every_row_of_the_validation_is_there(page: str) -> None:
    found = validate_offload().document()
    body = "".join(re.findall(r"<tbody>.*?</tbody>", page, re.S))
    assert body.count("<tr><th>") == len(found["rows"]) + len(found["sets"]) + len(NAMES)
    for kind in found["sets"]:
        assert f"<summary>{kind['name']}</summary>" in page


def test_documents_are_plain_values() -> None:
    json.dumps(offload_document(("llama-2-7b",), NAMES), allow_nan=False)


def test_a_picture_has_a_line_and_a_name_for_each_system_with_room() -> None:
    document = compare(network("llama-2-7b"), [contender(name) for name in NAMES], CONTEXTS, 64, (1,)).document()
    for figure in FIGURES:
        picture = contexts_picture(document, figure)
        assert picture.count('class="line"') == len(NAMES)
        for name in NAMES:
            assert f">{name}</text>" in picture
    alone = contexts_picture(document, "tokens_per_s", is_alone=True)
    assert 'xmlns="http://www.w3.org/2000/svg"' in alone
    assert "--blue" in alone


def test_a_picture_without_any_system_says_so() -> None:
    document = compare(network("llama-3-70b"), [contender("gpu-rtx-4090")], CONTEXTS, 64, (1,)).document()
    assert "No system has room." in contexts_picture(document, "step_s")


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match="must be"):
        write_offload_report(tmp_path / "file" / "offload.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
