"""Checks perplexity on predictors whose answer is known, and the choice of windows."""

import math
from collections.abc import Sequence

import pytest
import torch

from hwsim.errors import SpecError
from models.evaluate import perplexity, perplexity_of_text, windows

VOCAB = 10


class Uniform:
    """Finds every token equally likely."""

    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        return torch.full((len(tokens), VOCAB), 3.0)


class Counter:
    """Expects the next number, with probability 1/2 when the window starts with an even one and 1/4 otherwise."""

    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        sure = 0.5 if tokens[0] % 2 == 0 else 0.25
        rows = torch.full((len(tokens), VOCAB), (1 - sure) / (VOCAB - 1))
        rows[torch.arange(len(tokens)), (torch.tensor(tokens) + 1) % VOCAB] = sure
        return rows.log()


class Characters:
    """Takes each character's code for its token."""

    def encode(self, text: str) -> list[int]:
        return [ord(character) % VOCAB for character in text]


def test_uniform_predictor() -> None:
    reports: list[tuple[int, int, float]] = []
    result = perplexity(Uniform(), [1] * 700, length=300, progress=lambda *report: reports.append(report))
    assert result.perplexity == pytest.approx(VOCAB)
    assert (result.tokens, result.windows) == (299 + 299 + 99, 3)
    assert result.standard_error == pytest.approx(0, abs=1e-6)
    assert [(done, total) for done, total, _ in reports] == [(1, 3), (2, 3), (3, 3)]
    assert reports[-1][2] == pytest.approx(VOCAB)


def test_targets_are_the_next_tokens_and_the_error_is_between_windows() -> None:
    tokens = [(start + step) % VOCAB for start in (0, 1, 2, 3) for step in range(5)]
    result = perplexity(Counter(), tokens, length=5)
    low, high = math.log(2), math.log(4)
    assert result.nll == pytest.approx((low + high) / 2)
    assert result.standard_error == pytest.approx((high - low) / 2 / math.sqrt(3))
    assert math.isnan(perplexity(Counter(), tokens[:5], length=5).standard_error)


def test_text_is_encoded() -> None:
    assert perplexity_of_text(Uniform(), Characters(), "abc", length=2).tokens == 1


def test_chosen_windows_are_full_and_span_the_text() -> None:
    tokens = list(range(95))
    assert [window[0] for window in windows(tokens, length=10, max_windows=3)] == [0, 40, 80]
    assert [window[0] for window in windows(tokens, length=10, max_windows=1)] == [0]
    assert len(windows(tokens, length=10, max_windows=99)) == 9
    assert [len(window) for window in windows(tokens, length=10)] == [10] * 9 + [5]
    assert len(windows(list(range(91)), length=10)) == 9


@pytest.mark.parametrize(
    ("count", "length", "most", "sentence"),
    [
        (1, 8, None, "Text must be at least 2 tokens long, not 1"),
        (7, 8, 2, "Text must be at least one window of 8 tokens long, not 7 tokens"),
        (9, 1, None, "Window must be at least 2 tokens, not 1"),
        (9, 8, 0, "Number of windows must be positive, not 0"),
    ],
)
def test_refusals(count: int, length: int, most: int | None, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        windows(list(range(count)), length=length, max_windows=most)
    assert str(refusal.value) == sentence
