"""Pictures of an evaluation show what was measured, inside their frame, and the page leaves out what was not."""

import re

import pytest

from hwsim.errors import SpecError
from lamforge.flow.contestants import DENSE, FLOAT, INTEGERS
from lamforge.flow.evaluate import lengths_of
from lamforge.flow.provenance import provenance
from reports.pages.evaluation import page, write_page
from reports.pictures.evaluation import layer_picture, retrieval_picture, stream_picture
from reports.text.evaluate import evaluation_text
from tests.reports.test_pictures import check_markup

NAMES = (DENSE, FLOAT, INTEGERS)
STREAM = {
    "tokens": 101,
    "positions": [[1, 51], [51, 101]],
    "nll": {DENSE: [3.0, 7.5], FLOAT: [3.1, 3.2], INTEGERS: [3.3, 3.3]},
}
LAYERS = [
    {"name": f"layers.{layer}.{part}", "own": 0.1 + 0.01 * layer, "accumulated": 0.2, "stream": 0.05}
    for layer in range(40)
    for part in ("attention", "feed_forward")
] + [{"name": "head", "own": 0.5, "accumulated": 0.6, "stream": 0.05}]


def task(length: int, depth: float, right: tuple[bool, bool, bool]) -> dict[str, object]:
    answers = {name: {"is_right": entry, "nll": 0.1, "worst_rank": 0} for name, entry in zip(NAMES, right, strict=True)}
    return {"length": length, "depth": depth, "prompt_tokens": length, "is_within": length < 256, "answers": answers}


RETRIEVAL = {
    "trials": 1,
    "seed": 4,
    "tasks": [task(200, 0.0, (True, True, False)), task(200, 1.0, (True,) * 3), task(900, 0.0, (True, False, False))],
    "right": {
        name: {"within": {"right": 2, "tasks": 2, "share": 1.0}, "beyond": {"right": 0, "tasks": 1, "share": 0.0}} for name in NAMES
    },
}


def document(**parts: object) -> dict[str, object]:
    return {
        "model": "some <model>",
        "attention": "lambda:4+252",
        "measured": {name: {"perplexity": 20.0 + index, "nll": 3.0} for index, name in enumerate(NAMES)},
        "comparisons": [
            {
                "of": INTEGERS,
                "to": DENSE,
                "nll_difference": 0.1,
                "nll_interval": (0.05, 0.15),
                "ratio": 1.105,
                "ratio_interval": (1.051, 1.162),
            }
        ],
        "interval": {"method": "by a method", "confidence": 0.95, "windows": 3},
        "tokens": 3000,
        "window": 1001,
        "windows": 3,
        "text": "a text",
        "text_digest": "0" * 64,
        "note": None,
        "provenance": provenance(),
        **parts,
    }


@pytest.mark.parametrize("picture", [stream_picture(STREAM), layer_picture(LAYERS), retrieval_picture(RETRIEVAL)])
def test_pictures_are_drawings_inside_their_frame(picture: str) -> None:
    check_markup(picture)
    width, height = (float(value) for value in re.findall(r'viewBox="0 0 (\S+) (\S+)"', picture)[0])
    found = re.findall(r'<rect x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', picture)
    assert len(found) >= 6
    for x, y, wide, high in found:
        assert 0 <= float(x) <= float(x) + float(wide) <= width + 0.7
        assert 0 <= float(y) <= float(y) + float(high) <= height
    assert not re.search(r"nan|inf\b", picture)


def test_marks_say_what_they_stand_for() -> None:
    assert "float, dense, positions 51 to 100: 7.500 nats a token" in stream_picture(STREAM)
    assert "head: 0.500 by itself, 0.600 on its own stream" in layer_picture(LAYERS)
    maps = retrieval_picture(RETRIEVAL)
    assert "integers, 900 tokens, depth 0%, beyond what is read at once: 0 of 1" in maps
    assert (maps.count("cell good"), maps.count("cell bad")) == (6, 3)


def test_the_page_holds_what_was_measured() -> None:
    whole = page(document(stream=STREAM, layers=LAYERS, passkey=RETRIEVAL))
    check_markup(re.sub(r"<!doctype html>", "", whole))
    assert whole.count("<svg") == 3
    assert "some &lt;model&gt;" in whole
    assert "× 1.105" in whole and "[1.051, 1.162]" in whole
    assert "http" not in whole
    bare = page(document(comparisons=[]))
    assert "<svg" not in bare and "Error by layer" not in bare


def test_the_text_holds_what_was_measured() -> None:
    text = evaluation_text(document(stream=STREAM, layers=LAYERS, hard_needle=RETRIEVAL))
    assert "integers             22.000   x 1.105 [1.051, 1.162] of float, dense" in text
    assert "51 to 100         7.500                3.200     3.300" in text
    assert "float, lambda:4+252     2/2     0/1  2/2  0/1" in text
    assert text.index("head ") < text.index("layers.39.attention") < text.index("layers.38.attention")


def test_a_page_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(SpecError, match="^Output must be a path that can be written, not "):
        write_page(document(), tmp_path / "page.html")


@pytest.mark.parametrize(("text", "lengths"), [(None, ()), ("200", (200,)), ("200, 900,200", (200, 900))])
def test_lengths(text: str | None, lengths: tuple[int, ...]) -> None:
    assert lengths_of(text) == lengths


@pytest.mark.parametrize("text", ["", "200,", "-3", "2e3", "²"])
def test_lengths_that_are_none(text: str) -> None:
    with pytest.raises(SpecError, match="^Lengths must be whole numbers between commas, such as 200,900, not "):
        lengths_of(text)
