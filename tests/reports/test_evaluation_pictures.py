"""Pictures of an evaluation show what was measured, inside their frame, and the page leaves out what was not."""

import re
from pathlib import Path

import pytest

from hwsim.errors import SpecError
from hwsim.whole_files import write_text
from lamforge.flow.accuracy import DENSE, FLOAT, INTEGERS, Accuracy, Text
from lamforge.flow.evaluate import Evaluation, Retrieval, Stream, Trial
from lamforge.flow.provenance import provenance
from models.evaluation.layers import LayerError
from models.evaluation.perplexity import Perplexity
from models.evaluation.retrieval import Answer, Task
from models.evaluation.stream import Bucket
from reports.pages.evaluation import evaluation_page
from reports.pictures.evaluation import layer_picture, retrieval_picture, stream_picture
from reports.text.evaluation import evaluation_text
from tests.reports.test_pictures import check_markup, check_picture

NAMES = (DENSE, FLOAT, INTEGERS)
STREAM = Stream(
    tokens=101,
    buckets={
        name: [Bucket(start=start, stop=stop, nll=nll) for (start, stop), nll in zip(((1, 51), (51, 101)), values, strict=True)]
        for name, values in {DENSE: (3.0, 7.5), FLOAT: (3.1, 3.2), INTEGERS: (3.3, 3.3)}.items()
    },
)
LAYERS = (
    *(
        LayerError(name=f"layers.{layer}.{part}", own=0.1 + 0.01 * layer, accumulated=0.2, stream=0.05)
        for layer in range(40)
        for part in ("attention", "feed_forward")
    ),
    LayerError(name="head", own=0.5, accumulated=0.6, stream=0.05),
)


def trial(length: int, depth: float, right: tuple[bool, bool, bool]) -> Trial:
    task = Task(kind="passkey", length=length, depth=depth, prompt=(1,) * length, answer=(2,), needle=(0, 1))
    answers = {name: Answer(is_right=entry, nll=0.1, worst_rank=0) for name, entry in zip(NAMES, right, strict=True)}
    return Trial(task=task, is_within=length < 256, answers=answers)


RETRIEVAL = Retrieval(
    per_place=1,
    seed=4,
    names=NAMES,
    trials=(trial(200, 0.01, (True, True, False)), trial(200, 1.0, (True, True, True)), trial(900, 0.0, (True, False, False))),
)


def evaluation(*, names: tuple[str, ...] = NAMES, **parts: object) -> Evaluation:
    """Return an evaluation of three windows of ten tokens, which the first model predicts best."""
    measured = {
        name: Perplexity(sums=(28.0 + 2 * index, 30.0 + index, 32.0 + index), counts=(10, 10, 10))
        for index, name in enumerate(names)
    }
    found = Accuracy(
        model="some <model>",
        pattern="lambda:4+252",
        text=Text(name="a text", content="a text", window=11, windows=3),
        measured=measured,
    )
    kept: dict[str, object] = {"stream": None, "passkey": None, "needles": None, "layers": None, "saturated": {}}
    return Evaluation(accuracy=found, provenance=provenance(), **(kept | parts))


@pytest.mark.parametrize("picture", [stream_picture(STREAM), layer_picture(LAYERS), retrieval_picture(RETRIEVAL)])
def test_pictures_are_drawings_inside_their_frame(picture: str) -> None:
    check_picture(picture, least=6)


def test_marks_say_what_they_stand_for() -> None:
    assert "float, dense, positions 51 to 100: 7.500 nats a token" in stream_picture(STREAM)
    assert "head: 0.500 by itself, 0.600 on its own stream" in layer_picture(LAYERS)
    maps = retrieval_picture(RETRIEVAL)
    assert "integers, 900 tokens, depth 0%, beyond what is read at once: 0 of 1" in maps
    assert (maps.count("cell good"), maps.count("cell bad")) == (6, 3)


def test_axes_have_round_numbers() -> None:
    assert re.findall(r'class="tick" text-anchor="end">([\d.]+)<', stream_picture(STREAM)) == ["3", "4", "5", "6", "7"]
    assert re.findall(r'class="tick" text-anchor="middle">(\d+)<', stream_picture(STREAM)) == ["0", "20", "40", "60", "80", "100"]
    assert re.findall(r'class="tick" text-anchor="end">([\d.]+)<', layer_picture(LAYERS)) == ["0", "0.2", "0.4", "0.6"]


def test_neighbouring_depths_are_one_row() -> None:
    assert RETRIEVAL.depths == [0.0, 1.0]
    assert len(RETRIEVAL.chosen(depth=0.0)) == 2
    assert len(RETRIEVAL.chosen(depth=0.0, length=200, is_within=True)) == 1


def test_the_page_holds_what_was_measured() -> None:
    found = evaluation(stream=STREAM, layers=LAYERS, passkey=RETRIEVAL)
    whole = evaluation_page(found)
    check_markup(re.sub(r"<!doctype html>", "", whole))
    assert whole.count("<svg") == 3
    assert "Evaluation of some &lt;model&gt;" in whole
    assert "30 predicted tokens of a text, in 3 windows of 11 tokens." in whole
    difference = found.accuracy.differences[INTEGERS, DENSE]
    assert f"× {difference.ratio:.3f} <span" in whole
    assert difference.ratio_interval is not None
    assert "[{:.3f}, {:.3f}]".format(*difference.ratio_interval) in whole
    assert '<tr><th>float, lambda:4+252</th><td class="n">2 of 2</td><td class="n">0 of 1</td></tr>' in whole
    assert whole.index("<th>head</th>") < whole.index("<th>layers.39.attention</th>")
    assert "http" not in whole


def test_the_page_leaves_out_what_was_not_measured() -> None:
    bare = evaluation_page(evaluation(names=(INTEGERS,)))
    assert "<svg" not in bare and "Error by layer" not in bare and "compared" not in bare


def test_the_text_holds_what_was_measured() -> None:
    text = evaluation_text(evaluation(stream=STREAM, layers=LAYERS, needles=RETRIEVAL))
    assert re.search(r"integers +26\.2\d\d   x 1\.\d{3} \[[\d.]+, [\d.]+\] of float, dense", text)
    assert re.search(r"51 to 100 +7\.500 +3\.200 +3\.300", text)
    assert re.search(r"float, lambda:4\+252 +2/2 +0/1 +2/2 +0/1", text)
    assert text.index("head ") < text.index("layers.39.attention") < text.index("layers.38.attention")


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(SpecError, match="^Output must be a path that can be written, not "):
        write_text(tmp_path / "page.html", evaluation_page(evaluation()))
