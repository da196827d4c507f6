"""Retrieval tasks of the `hard-needle` package, which ask for one fact among others of the same form."""

import importlib
from collections.abc import Sequence
from types import ModuleType

from hwsim.errors import SpecError
from models.evaluation.retrieval import Task, asked
from models.tokenizer import Tokenizer

__all__ = ["needle_tasks"]

_KIND = "hard-needle"
# Facts of the same form in a text.
_FACTS = 3
# The package counts characters: steps of the bisection that finds the right number of tokens, and most characters of a token.
_HALVINGS = 16
_CHARACTERS_PER_TOKEN = 16


def needle_tasks(tokenizer: Tokenizer, *, lengths: Sequence[int], trials: int = 2, seed: int = 0) -> list[Task]:
    """Return `5 * trials` tasks for each length, as many as the passkey test has; depths are the package's own draws.

    lengths: tokens of the whole prompt, met to a tenth.

    SpecError when the package is not installed, or a length cannot be met.
    """
    try:
        package = importlib.import_module("hard_needle")
    except ImportError:
        raise SpecError("Package hard-needle must be installed: run `make setup` or `pip install hard-needle`") from None
    if trials < 1:
        raise SpecError(f"Number of trials must be positive, not {trials}")
    seeds = [seed * 100_003 + trial for trial in range(5 * trials)]
    return [_fitted(tokenizer, package, length, own) for length in lengths for own in seeds]


def _fitted(tokenizer: Tokenizer, package: ModuleType, length: int, seed: int) -> Task:
    """Return a task whose prompt has a tenth more or fewer tokens than `length` at most."""
    low, high = 1, _CHARACTERS_PER_TOKEN * length
    nearest = None
    for _ in range(_HALVINGS):
        characters = (low + high) // 2
        task = _task(tokenizer, package.generate_hard_example(_FACTS, max(characters, 1), seed=seed), length)
        if nearest is None or abs(len(task.prompt) - length) < abs(len(nearest.prompt) - length):
            nearest = task
        if abs(len(nearest.prompt) - length) <= length / 10:
            return nearest
        low, high = (characters, high) if len(task.prompt) < length else (low, characters)
    reached = 0 if nearest is None else len(nearest.prompt)
    raise SpecError(f"Length of a hard-needle task must be one that the package reaches, such as {reached} tokens, not {length}")


def _task(tokenizer: Tokenizer, example: dict[str, object], length: int) -> Task:
    """Return an example as a task, whose reply begins as the fact in the text does."""
    records = example["needle_records"]
    assert isinstance(records, list)
    record = next(entry for entry in records if entry["entity"] == example["target_entity"])
    sentence, target = str(record["sentence"]), str(example["target"])
    content = str(example["prompt"]).removesuffix("\nAnswer:")
    prompt, span = asked(tokenizer, content, sentence, sentence.partition(f" {target}")[0])
    answer = tuple(tokenizer.encode(f" {target}"))
    return Task(kind=_KIND, length=length, depth=float(record["depth_frac"]), prompt=prompt, answer=answer, needle=span)
