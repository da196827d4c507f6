"""Checks perplexity on predictors whose answer is known, the choice of windows, and intervals of paired differences."""

import math
import random

import numpy as np
import pytest
import torch

from hwsim.errors import CheckpointError, SpecError
from models.attention import Dense, parse
from models.evaluation import windows
from models.evaluation.perplexity import Perplexity, difference, perplexity, ratio_error, width, within
from models.evaluation.reading import Floats, Integers, negative_log_likelihoods
from models.evaluation.stream import stream
from models.integer import IntegerReference
from models.reference.llama import Llama
from tests.models.known_predictors import VOCAB, Known, counter, uniform
from tests.models.tiny import SEED, tiny_checkpoint, tiny_model, tiny_tokens


def test_uniform_predictor() -> None:
    reports: list[tuple[int, int, float]] = []
    result = perplexity(uniform(), [1] * 700, length=300, progress=lambda *report: reports.append(report))
    assert result.perplexity == pytest.approx(VOCAB)
    assert (result.tokens, result.windows) == (299 + 299 + 99, 3)
    assert ratio_error(result.sums, result.counts) == pytest.approx(0, abs=1e-6)
    assert [(done, total) for done, total, _ in reports] == [(1, 3), (2, 3), (3, 3)]
    assert reports[-1][2] == pytest.approx(VOCAB)


def test_targets_are_the_next_tokens_and_the_error_is_between_windows() -> None:
    tokens = [(start + step) % VOCAB for start in (0, 1, 2, 3) for step in range(5)]
    result = perplexity(counter(), tokens, length=5)
    low, high = math.log(2), math.log(4)
    assert result.nll == pytest.approx((low + high) / 2)
    assert ratio_error(result.sums, result.counts) == pytest.approx((high - low) / 2 / math.sqrt(3))
    result = perplexity(counter(), tokens[:5], length=5)
    assert math.isnan(ratio_error(result.sums, result.counts))


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
        (1, 8, None, "Text must be at least one window of 8 tokens long, not 1 tokens"),
        (7, 8, 2, "Text must be at least one window of 8 tokens long, not 7 tokens"),
        (9, 1, None, "Window must be at least 2 tokens, not 1"),
        (9, 8, 0, "Number of windows must be positive, not 0"),
    ],
)
def test_refusals(count: int, length: int, most: int | None, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        windows(list(range(count)), length=length, max_windows=most)
    assert str(refusal.value) == sentence


def test_reading_in_pieces_changes_nothing(tmp_path) -> None:
    tokens = tiny_tokens(1500)
    reference = Llama(tiny_checkpoint(tmp_path))
    for pattern in (Dense(), parse("lambda:4+40")):
        whole = reference.head(reference.hidden_states(tokens, reference.open(pattern)))
        expected = -torch.log_softmax(whole.double(), dim=1)[torch.arange(1499), torch.tensor(tokens[1:])]
        found = negative_log_likelihoods(Floats(reference, pattern), tokens)
        assert torch.allclose(found, expected, atol=1e-4)
        reading = Floats(reference, pattern).open()
        assert torch.allclose(reading.feed(tokens[:900], 3), whole[897:900], atol=1e-4)
        assert torch.allclose(reading.feed(tokens[900:]), whole[900:], atol=1e-4)


def test_a_model_that_breaks_is_refused() -> None:
    def rule(seen: list[int], count: int) -> torch.Tensor:
        return torch.full((count, VOCAB), torch.nan if len(seen) == 39 else 1.0)

    assert perplexity(Known(rule), [1] * 60, length=30).perplexity == pytest.approx(VOCAB)
    with pytest.raises(CheckpointError, match="^Likelihoods of a model must be finite, not nan at token 1$"):
        perplexity(Known(rule), [1] * 60, length=40)


def test_integers_are_read_as_steps_give_them() -> None:
    reference, tokens = IntegerReference(tiny_model("lambda:4+12")), tiny_tokens(60)
    state = reference.open()
    fixed = torch.from_numpy(np.stack([reference.step(state, token) for token in tokens[:-1]]))
    rows = torch.log_softmax(fixed.double() / 65536, dim=1)
    expected = -rows[torch.arange(59), torch.tensor(tokens[1:])]
    assert torch.allclose(negative_log_likelihoods(Integers(reference), tokens), expected, atol=1e-5)


def test_a_shuffled_model_is_bad() -> None:
    """A model that knows its text and the same with its vocabulary shuffled."""
    tokens = [step % VOCAB for step in range(400)]
    order = list(range(VOCAB))
    random.Random(SEED).shuffle(order)
    good = counter()

    def rule(seen: list[int], count: int) -> torch.Tensor:
        reading = good.open()
        return reading.feed(seen, count)[:, order]

    known, shuffled = perplexity(good, tokens, length=50), perplexity(Known(rule), tokens, length=50)
    apart = difference(shuffled, known)
    assert known.perplexity == pytest.approx(2)
    assert shuffled.perplexity > VOCAB
    assert apart.nll_interval is not None and apart.nll_interval[0] > 1


def test_a_model_differs_from_itself_by_exactly_nothing(tmp_path) -> None:
    model, tokens = Floats(Llama(tiny_checkpoint(tmp_path)), parse("lambda:4+12")), tiny_tokens(230)
    first, second = (perplexity(model, tokens, length=40) for _ in range(2))
    apart = difference(first, second)
    assert (apart.nll, apart.nll_interval, apart.ratio, apart.ratio_interval) == (0.0, (0.0, 0.0), 1.0, (1.0, 1.0))


def test_the_interval_covers_as_often_as_it_says() -> None:
    draws = np.random.default_rng(SEED)
    counts, truth, runs = (99,) * 7 + (40,), 0.07, 4000
    covered = 0
    for _ in range(runs):
        # Windows are hard or easy for both, which must not widen the interval; what differs is noise of its own.
        hard = draws.normal(3.0, 0.5, len(counts))
        apart = draws.normal(truth, 0.02, len(counts))
        other = Perplexity(sums=tuple(hard * counts), counts=counts)
        found = difference(Perplexity(sums=tuple((hard + apart) * counts), counts=counts), other)
        ends = found.nll_interval
        assert ends is not None and ends[1] - ends[0] < 0.2
        covered += ends[0] <= truth <= ends[1]
    # The shorter window makes it a few thousandths off; chance, four standard deviations of 0.0034.
    assert covered / runs == pytest.approx(0.95, abs=0.02)
    assert difference(other, other, confidence=0.5).half_width == 0


def test_one_window_has_no_interval_and_other_windows_none_at_all() -> None:
    one = Perplexity(sums=(30.0,), counts=(10,))
    apart = difference(one, Perplexity(sums=(29.0,), counts=(10,)))
    assert (apart.nll, apart.nll_interval, apart.ratio_interval) == (pytest.approx(0.1), None, None)
    with pytest.raises(SpecError, match="^Windows must be the same for both models, not 1 and 2$"):
        difference(one, Perplexity(sums=(1.0, 2.0), counts=(5, 5)))


@pytest.mark.parametrize(
    ("confidence", "degrees", "expected"),
    # Ref: NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 7, 2.365), (0.95, 34, 2.032), (0.99, 10, 3.169), (0.9, 5, 2.015)],
)
def test_student(confidence: float, degrees: int, expected: float) -> None:
    assert width(confidence, degrees) == pytest.approx(expected, abs=6e-4)
    assert within(width(confidence, degrees), degrees) == pytest.approx(confidence)
    assert within(0.0, degrees) == 0


def test_student_refusals() -> None:
    with pytest.raises(SpecError, match="^Confidence must lie between 0 and 1, not 1.0$"):
        width(1.0, 3)
    with pytest.raises(SpecError, match="^Degrees of freedom must be at least 1, not 0$"):
        width(0.95, 0)


def test_a_stream_is_divided_by_position() -> None:
    def rule(seen: list[int], count: int) -> torch.Tensor:
        """Know the next token up to position 49, and nothing after it."""
        rows = torch.zeros(count, VOCAB)
        for row, position in enumerate(range(len(seen) - count, len(seen))):
            if position < 49:
                rows[row, (seen[position] + 1) % VOCAB] = 50.0
        return rows

    tokens = [step % VOCAB for step in range(200)]
    parts = stream(Known(rule), tokens, length=101, buckets=4)
    assert [(part.start, part.stop) for part in parts] == [(1, 26), (26, 51), (51, 76), (76, 101)]
    assert [part.nll for part in parts] == pytest.approx([0, math.log(VOCAB) / 25, math.log(VOCAB), math.log(VOCAB)], abs=1e-6)
    with pytest.raises(SpecError, match="^Text must be at least the 201 tokens of the stream long, not 200 tokens$"):
        stream(uniform(), tokens, length=201)
    with pytest.raises(SpecError, match="^Stream must be at least 17 tokens long, not 16$"):
        stream(uniform(), tokens, length=16)
