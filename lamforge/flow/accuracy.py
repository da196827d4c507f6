"""How well a model predicts a text, beside the float models it is compared with, and what its attention and its integers cost."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

from hwsim.errors import CheckpointError, SpecError, shown
from lamforge.flow.sources import ModelSource, is_compressed, open_checkpoint, open_compressed, source_checkpoint
from lamforge.flow.verb import SILENT, Listener
from models.attention import Dense, Pattern, parse
from models.checkpoint import Checkpoint
from models.compressed import CompressedModel
from models.evaluation import windows
from models.evaluation.perplexity import Difference, Perplexity, difference, perplexity
from models.evaluation.reading import Floats, Integers, Predictor
from models.integer import IntegerReference
from models.reference.llama import Llama, trained_pattern
from models.tokenizer import Tokenizer, check_tokens

__all__ = ["CONFIDENCE", "DENSE", "FLOAT", "INTEGERS", "METHOD", "Accuracy", "Contestants", "Text", "accuracy", "of_compressed"]

DENSE = "float, dense"
FLOAT = "float, same attention"
INTEGERS = "integers"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestants:
    """Models that predict the same texts.

    Attributes:
        name: what reports call the model.
        pattern: its attention.
        tokenizer: turns texts into tokens.
        reference: the float model; None where it is not at hand.
        integers: the compressed model; None for a float one.
        note: a sentence on what is missing; None when nothing is.
    """

    name: str
    pattern: Pattern
    tokenizer: Tokenizer
    reference: Llama | None
    integers: IntegerReference | None
    note: str | None = None

    @classmethod
    def of(
        cls,
        source: ModelSource,
        *,
        attention: str | None = None,
        float_source: str | Path | None = None,
        tokenizer: str | Path | None = None,
    ) -> Contestants:
        """Return the model at `source`, a shipped name, a checkpoint on disk or a compressed model, and those to compare it with.

        attention: pattern of a float model; None takes the one it was trained with. A compressed model has its own.
        float_source: where the float model of a compressed one lies; None looks among the shipped ones.
        tokenizer: folder of the tokenizer that a float model gets; None takes its own. A compressed model has its own.
        """
        if not is_compressed(source):
            if float_source is not None:
                raise SpecError("Source must be left out for a float model, which is its own, not given")
            checkpoint = open_checkpoint(source, tokenizer=tokenizer)
            pattern = trained_pattern(checkpoint.config) if attention is None else parse(attention)
            return cls(
                name=checkpoint.config.name,
                pattern=pattern,
                tokenizer=checkpoint.tokenizer_for("Evaluation"),
                reference=Llama(checkpoint, pattern=pattern),
                integers=None,
            )
        if attention is not None:
            raise SpecError("Attention must be left to the compressed model, which has its own, not given")
        if tokenizer is not None:
            raise SpecError("Tokenizer must be left to the compressed model, which has its own, not given")
        compressed = open_compressed(source)
        try:
            return of_compressed(compressed, source_checkpoint(compressed, float_source))
        except CheckpointError as error:
            if float_source is not None:
                raise
            return of_compressed(compressed, None, note=str(error))

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a whole text; SpecError where the tokenizer makes tokens that the models do not have."""
        tokens = self.tokenizer.encode_whole(text)
        check_tokens(tokens, self.vocab)
        return tokens

    @property
    def vocab(self) -> int:
        """Number of tokens that the models have."""
        held = self.integers or self.reference
        assert held is not None
        return held.config.vocab

    @functools.cached_property
    def predictors(self) -> Mapping[str, Predictor]:
        """Those there are by DENSE, FLOAT and INTEGERS, in this order; the last is the model itself."""
        found: dict[str, Predictor] = {}
        if self.reference is not None and self.pattern != Dense():
            found[DENSE] = Floats(self.reference, Dense())
        if self.reference is not None:
            found[FLOAT] = Floats(self.reference, self.pattern)
        return found if self.integers is None else found | {INTEGERS: Integers(self.integers)}


def of_compressed(compressed: CompressedModel, checkpoint: Checkpoint | None, *, note: str | None = None) -> Contestants:
    """Return a compressed model and, with its checkpoint, the float models it is compared with.

    note: a sentence on why there is no checkpoint.
    """
    model = compressed.model
    return Contestants(
        name=model.config.name,
        pattern=model.pattern,
        tokenizer=compressed.present_tokenizer,
        reference=None if checkpoint is None else Llama(checkpoint, pattern=model.pattern),
        integers=IntegerReference(model),
        note=note,
    )


METHOD = "Student's t for the mean difference of negative log-likelihoods, paired by window"
"""How the intervals come about."""
CONFIDENCE = 0.95
"""Probability that an interval covers the difference over all texts like the one that was read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A text to predict and how it is cut: `windows` of `window` tokens, evenly spaced; None takes all."""

    name: str
    content: str = dataclasses.field(repr=False)
    window: int = 1024
    windows: int | None = None

    @classmethod
    def read(cls, path: Path, *, window: int, windows: int | None) -> Text:
        """Return the text in a file; raise SpecError when it cannot be read."""
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SpecError(f"Text must be a readable UTF-8 file, not {shown(str(path))} ({reason})") from None
        return cls(name=path.name, content=content, window=window, windows=windows)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Perplexities on the same windows.

    Attributes:
        model: name of the model.
        pattern: its attention.
        text: what was predicted.
        measured: by DENSE, FLOAT and INTEGERS, in this order; the last is the model itself.
        note: a sentence on what is missing; None when nothing is.
    """

    model: str
    pattern: str
    text: Text
    measured: Mapping[str, Perplexity]
    note: str | None = None

    @property
    def own(self) -> Perplexity:
        """Perplexity of the model; of a compressed one in the engine's integers."""
        return [*self.measured.values()][-1]

    @property
    def same(self) -> Perplexity | None:
        """Perplexity of the float model under the same attention; None where it is not at hand."""
        return self.measured.get(FLOAT, self.own if INTEGERS not in self.measured else None)

    @property
    def dense(self) -> Perplexity | None:
        """Perplexity of the float model under dense attention; None where it is not at hand."""
        return self.measured.get(DENSE, self.same if self.pattern == "dense" else None)

    @property
    def ratio(self) -> float | None:
        """Perplexity of the model over that of the float model under the same attention."""
        return None if self.same is None else self.own.perplexity / self.same.perplexity

    @property
    def dense_ratio(self) -> float | None:
        """Perplexity of the model over that of the float model under dense attention."""
        return None if self.dense is None else self.own.perplexity / self.dense.perplexity

    @property
    def differences(self) -> dict[tuple[str, str], Difference]:
        """How each differs from those before it, by (which, from which)."""
        names = [*self.measured]
        return {
            (name, other): difference(self.measured[name], self.measured[other])
            for index, name in enumerate(names)
            for other in names[:index]
        }

    def shown_name(self, name: str) -> str:
        """Return what one of the measured models is called, its attention included."""
        return f"float, {self.pattern}" if name == FLOAT else name


def accuracy(models: Contestants, text: Text, listener: Listener = SILENT) -> Accuracy:
    """Return how well each of the models predicts a text.

    SpecError when the text is shorter than one window, or the window than two tokens.
    """
    tokens = models.tokens(text.content)
    # Refuses a text or a window that is too short before anything is shown.
    windows(tokens, length=text.window, max_windows=text.windows)
    measured = {}
    for name, predictor in models.predictors.items():

        def told(done: int, total: int, so_far: float, name: str = name) -> None:
            listener.progress(name, done / total)

        told(0, 1, 0.0)
        measured[name] = perplexity(predictor, tokens, length=text.window, max_windows=text.windows, progress=told)
    return Accuracy(model=models.name, pattern=str(models.pattern), text=text, measured=measured, note=models.note)
