"""Checks the tasks that hide something in a text, and that an oracle finds it and chance does not."""

import re
import sys

import pytest
import torch

from hwsim.errors import SpecError
from models.attention import Dense, parse
from models.evaluation import evaluation_text
from models.evaluation.needles import needle_tasks
from models.evaluation.passkey import passkey_tasks, sentences
from models.evaluation.reading import Predictor
from models.evaluation.retrieval import Task, answer
from tests.models.known_predictors import Known, characters, uniform

BYTES = 256
TEMPLATE = "<user>{% for message in messages %}{{ message['content'] }}{% endfor %}<assistant>"
LENGTHS = (900, 3000)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return passkey_tasks(characters(TEMPLATE), evaluation_text(), lengths=LENGTHS, trials=2, seed=5)


def oracle() -> Predictor:
    """Finds the key in what it read, and continues the reply with it."""
    tokenizer = characters()

    def rule(seen: list[int], count: int) -> torch.Tensor:
        text = tokenizer.decode(seen)
        key = re.findall(r"pass key is (\d{5})\.", text)[0]
        # Tokens are bytes, of which a letter may have several.
        begun = len(text[: text.rindex("The pass key is")].encode()) + len("The pass key is")
        wanted = tokenizer.encode(f" {key}")
        rows = torch.zeros(count, BYTES)
        for row, position in enumerate(range(len(seen) - count, len(seen))):
            place = position + 1 - begun
            if 0 <= place < len(wanted):
                rows[row, wanted[place]] = 9.0
        return rows

    return Known(rule)


def chance() -> Predictor:
    """Likes random tokens."""
    draws = torch.Generator().manual_seed(7)
    return Known(lambda seen, count: torch.randn((count, BYTES), generator=draws))


def test_tasks_are_what_was_asked_for(tasks: list[Task]) -> None:
    tokenizer = characters(TEMPLATE)
    assert len(tasks) == 2 * 5 * 2
    for task in tasks:
        text = tokenizer.decode(task.prompt)
        key = tokenizer.decode(task.answer).removeprefix(" ")
        hidden = tokenizer.decode(task.prompt[slice(*task.needle)])
        assert hidden == f" The pass key is {key}. Remember it. The pass key is {key}."
        assert len(set(key)) == 5
        assert text.startswith("<user>A pass key is hidden")
        assert text.endswith("<assistant>The pass key is")
        assert task.length - 60 < len(task.prompt) <= task.length
        begin, end = text.index(".", 60) + 1, len(task.prompt) - len("\n\nWhat is the pass key?<assistant>The pass key is")
        filler = end - begin - (task.needle[1] - task.needle[0])
        assert (task.needle[0] - begin) / filler == pytest.approx(task.depth, abs=400 / filler)
    assert len({task.prompt for task in tasks}) == len(tasks)


def test_tasks_depend_on_the_seed_alone(tasks: list[Task]) -> None:
    again = passkey_tasks(characters(TEMPLATE), evaluation_text(), lengths=LENGTHS[1:], trials=1, seed=5)
    assert set(again) <= set(tasks)
    assert not set(passkey_tasks(characters(TEMPLATE), evaluation_text(), lengths=LENGTHS[1:], trials=1, seed=6)) & set(tasks)


def test_an_oracle_answers_all_and_chance_none(tasks: list[Task]) -> None:
    found = [answer(oracle(), task) for task in tasks]
    assert all(entry.is_right and entry.worst_rank == 0 and entry.nll < 0.05 for entry in found)
    lost = [answer(chance(), task) for task in tasks]
    assert not any(entry.is_right for entry in lost)
    assert all(entry.worst_rank > 50 and entry.nll > 3 for entry in lost)


def test_one_wrong_digit_is_wrong(tasks: list[Task]) -> None:
    task = tasks[0]

    def rule(seen: list[int], count: int) -> torch.Tensor:
        rows = oracle().open().feed(seen, count)
        rows[3] = rows[3].roll(1)
        return rows

    found = answer(Known(rule), task)
    assert (found.is_right, found.worst_rank) == (False, 1)


def test_within_means_that_the_last_queries_read_the_needle(tasks: list[Task]) -> None:
    for task in tasks:
        assert task.is_within(Dense())
        last = len(task.prompt) + len(task.answer) - 2
        for window in (last - task.needle[0], last - task.needle[0] + 1):
            assert task.is_within(parse(f"lambda:4+{window}")) is (window > last - task.needle[0])


def test_hard_needle_tasks() -> None:
    tokenizer = characters(TEMPLATE)
    tasks = needle_tasks(tokenizer, lengths=(2000,), trials=1, seed=1)
    assert len(tasks) == 5
    for task in tasks:
        hidden = tokenizer.decode(task.prompt[slice(*task.needle)])
        target = tokenizer.decode(task.answer)
        assert target in hidden
        assert tokenizer.decode(task.prompt).endswith(hidden.partition(target)[0])
        assert abs(len(task.prompt) - 2000) <= 200
        assert 0 <= task.depth <= 1
    assert tasks == needle_tasks(tokenizer, lengths=(2000,), trials=1, seed=1)
    assert not answer(uniform(BYTES), tasks[0]).is_right


def test_hard_needle_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hard_needle", None)
    sentence = "Package hard-needle must be installed: run `make setup` or `pip install hard-needle`"
    with pytest.raises(SpecError, match=f"^{sentence}$"):
        needle_tasks(characters(), lengths=(2000,))


def test_refusals() -> None:
    filler = "One sentence stands here. Another one follows it. "
    with pytest.raises(SpecError, match="^Length of a passkey task must be at least 1[0-9]{2} tokens for this model, not 20$"):
        passkey_tasks(characters(), filler, lengths=[20])
    with pytest.raises(SpecError, match="^Filler must be at least [0-9]{3} tokens long, not 50$"):
        passkey_tasks(characters(), filler, lengths=[900])
    with pytest.raises(SpecError, match="^Number of trials must be positive, not 0$"):
        passkey_tasks(characters(), filler, lengths=[300], trials=0)
    with pytest.raises(SpecError, match="^Depth must be 0 to 1, not 2$"):
        passkey_tasks(characters(), filler, lengths=[300], depths=[2])
    sentence = "Length of a hard-needle task must be one that the package reaches, such as 4[0-9]{2} tokens, not 10"
    with pytest.raises(SpecError, match=f"^{sentence}$"):
        needle_tasks(characters(), lengths=[10])


def test_prose_is_cut_into_sentences() -> None:
    assert sentences("It ends here.\nAnd goes on,\n as before! Twice.") == ["It ends here.", "And goes on, as before!", "Twice."]
