"""Predictors whose answer is known, and a tokenizer of characters, on which evaluation is tested."""

from collections.abc import Callable, Sequence

import tokenizers
import torch
from tokenizers import models, pre_tokenizers

from models.evaluation.reading import Predictor, Reading
from models.tokenizer import Tokenizer

VOCAB = 10
# Texts read so far, to the logits after the last `count` tokens, [count, vocab].
Rule = Callable[[list[int], int], torch.Tensor]


class Known:
    """Predicts by a rule over everything fed so far."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def open(self) -> Reading:
        return _KnownReading(self._rule)


class _KnownReading:
    def __init__(self, rule: Rule) -> None:
        self._rule, self._seen = rule, []

    def feed(self, tokens: Sequence[int], last: int | None = None) -> torch.Tensor:
        self._seen += tokens
        return self._rule(self._seen, len(tokens) if last is None else last)


def uniform(vocab: int = VOCAB) -> Predictor:
    """Finds every token equally likely."""
    return Known(lambda seen, count: torch.full((count, vocab), 3.0))


def counter() -> Predictor:
    """Expects the next number, with probability 1/2 when the text starts with an even one and 1/4 otherwise."""

    def rule(seen: list[int], count: int) -> torch.Tensor:
        sure = 0.5 if seen[0] % 2 == 0 else 0.25
        rows = torch.full((count, VOCAB), (1 - sure) / (VOCAB - 1))
        rows[torch.arange(count), (torch.tensor(seen[-count:]) + 1) % VOCAB] = sure
        return rows.log()

    return Known(rule)


def characters(template: str | None = None) -> Tokenizer:
    """Makes a token of each byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE({symbol: index for index, symbol in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    return Tokenizer(inner, chat_template=template)
