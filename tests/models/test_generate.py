"""Generation: the same tokens as the logits say, seeds that repeat, text that comes in whole characters."""

from collections.abc import Sequence

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from hwsim.errors import SpecError
from models.generate import Sampling, generate, prompt_tokens, tokens_after
from models.integer import IntegerReference
from models.tokenizer import Tokenizer
from tests.models.tiny import tiny_model, tiny_tokens

TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}"


@pytest.fixture(scope="module")
def reference() -> IntegerReference:
    return IntegerReference(tiny_model("lambda:4+12"))


def tiny_tokenizer(*, eos_ids: Sequence[int] = ()) -> Tokenizer:
    """Return a tokenizer of 96 tokens: printable characters, and the two bytes of an e with an accent."""
    texts = [chr(code) for code in range(32, 126)]
    alphabet = {"\u0120": 0} | {text: index for index, text in enumerate(texts[1:], start=1)}
    vocabulary = alphabet | {"\u00c3": 94, "\u00a9": 95}
    inner = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return Tokenizer(inner, chat_template=TEMPLATE, eos_ids=eos_ids)


class Running:
    """A continuation on the integer reference."""

    def __init__(self, reference: IntegerReference) -> None:
        self._reference, self._state = reference, reference.open()

    def prefill(self, tokens: Sequence[int]) -> np.ndarray:
        return self._reference.prefill(self._state, tokens)

    def step(self, token: int) -> np.ndarray:
        return self._reference.step(self._state, token)


class Script:
    """A continuation whose likeliest tokens are written down."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._left = list(tokens)
        self.fed: list[int] = []

    def prefill(self, tokens: Sequence[int]) -> np.ndarray:
        self.fed.extend(tokens)
        logits = np.zeros(96, np.int32)
        logits[self._left.pop(0)] = 1 << 16
        return logits

    def step(self, token: int) -> np.ndarray:
        return self.prefill([token])


def test_greedy_takes_the_first_likeliest(reference: IntegerReference) -> None:
    prompt = tiny_tokens(20)
    script = [int(reference.window_logits(prompt)[-1].argmax())]
    for _ in range(7):
        script.append(int(reference.window_logits([*prompt, *script])[-1].argmax()))
    assert list(tokens_after(Running(reference), prompt, max_tokens=8)) == script
    assert Sampling() == Sampling(temperature=0.0)


def test_end_of_text_stops_and_is_not_yielded() -> None:
    script = Script([5, 6, 7, 8, 9])
    assert list(tokens_after(script, [1, 2], max_tokens=10, eos=(8,))) == [5, 6, 7]
    assert script.fed == [1, 2, 5, 6, 7]
    limited = Script([5, 6, 7])
    assert list(tokens_after(limited, [1], max_tokens=2)) == [5, 6]
    # The last token is not fed: nobody asks what follows it.
    assert limited.fed == [1, 5]
    assert list(tokens_after(Script([5]), [1], max_tokens=0)) == []


def test_sampling_repeats_with_its_seed_and_follows_the_logits(reference: IntegerReference) -> None:
    tokenizer = tiny_tokenizer()

    def text(seed: int) -> str:
        sampling = Sampling(temperature=1.5, seed=seed)
        return "".join(generate(Running(reference), tokenizer, tokenizer.encode("hello"), max_tokens=12, sampling=sampling))

    assert text(3) == text(3)
    assert len({text(seed) for seed in range(4)}) > 1
    drawn = [
        next(tokens_after(Script([7]), [1], max_tokens=1, sampling=Sampling(temperature=0.3, top_k=2, seed=seed)))
        for seed in range(200)
    ]
    assert set(drawn) == {0, 7}
    # The odds of one logit more at temperature 0.3 are exp(1 / 0.3) to 1.
    assert 0.91 < np.mean(np.array(drawn) == 7) < 0.995


def test_text_comes_in_whole_characters() -> None:
    tokenizer = tiny_tokenizer()
    pieces = list(generate(Script([ord("h") - 32, 94, 95, ord("!") - 32]), tokenizer, [1], max_tokens=4))
    assert pieces == ["h", "\u00e9", "!"]
    # What is no character at the end is said to be none.
    assert list(generate(Script([ord("h") - 32, 94]), tokenizer, [1], max_tokens=2)) == ["h", "\ufffd"]


def test_chat_renders_the_template(reference: IntegerReference) -> None:
    tokenizer = tiny_tokenizer(eos_ids=(3,))
    script = Script([4, 5, 3])
    assert "".join(generate(script, tokenizer, prompt_tokens(tokenizer, "hi"), max_tokens=9)) == tokenizer.decode([4, 5])
    assert tokenizer.decode(script.fed[:-2]) == "u:hi;a:"


def test_refusals(reference: IntegerReference) -> None:
    with pytest.raises(SpecError, match="Prompt must be at least one token long, not ''"):
        prompt_tokens(tiny_tokenizer(), "", is_raw=True)
    for is_raw in (True, False):
        with pytest.raises(SpecError, match="Prompt must be at most 4,194,304 letters long, not 5,000,000"):
            prompt_tokens(tiny_tokenizer(), "a" * 5_000_000, is_raw=is_raw)
    with pytest.raises(SpecError, match="Sampling temperature must be 0 to 100, not -1"):
        Sampling(temperature=-1)
    with pytest.raises(SpecError, match="Sampling top_k must be a non-negative integer, not 1.5"):
        Sampling(top_k=1.5)
