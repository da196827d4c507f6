"""Knows how well a model predicts a text, and what of that its compression cost."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwsim.errors import CheckpointError, SpecError
from models.attention import Dense, Pattern, parse
from models.checkpoint import Checkpoint
from models.compressed import CompressedModel
from models.evaluate import Perplexity, Predictor, perplexity, windows
from models.integer import IntegerReference
from models.reference.llama import Llama, trained_pattern
from models.tokenizer import Tokenizer
from reports.sources import is_compressed, open_checkpoint, open_compressed, source_checkpoint

__all__ = ["Accuracy", "Text", "compare", "evaluate"]

Progress = Callable[[str, float], None]
"""Told (what is evaluated, fraction done)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A text to predict and how it is cut: `windows` of `window` tokens, evenly spaced; None takes all."""

    name: str
    content: str
    window: int = 1024
    windows: int | None = None

    @classmethod
    def read(cls, path: Path, *, window: int, windows: int | None) -> Text:
        """Return the text in a file; raise SpecError when it cannot be read."""
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SpecError(f"Text must be a readable UTF-8 file, not {str(path)!r} ({reason})") from None
        return cls(name=path.name, content=content, window=window, windows=windows)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Perplexities of a model on a text.

    Attributes:
        model: what reports call it.
        pattern: its attention.
        text: what was predicted.
        own: of the model; of a compressed one in the engine's integers.
        float_model: of the float model under the same pattern; None where it is not at hand.
        dense: of the float model under dense attention; None where it was not asked for.
        note: a sentence on what is missing; None when nothing is.
    """

    model: str
    pattern: str
    text: Text
    own: Perplexity
    float_model: Perplexity | None
    dense: Perplexity | None = None
    note: str | None = None

    @property
    def ratio(self) -> float | None:
        """Perplexity of the model over that of the float model under the same pattern."""
        return None if self.float_model is None else self.own.perplexity / self.float_model.perplexity

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "model": self.model,
            "attention": self.pattern,
            "perplexity": self.own.perplexity,
            "float_perplexity": None if self.float_model is None else self.float_model.perplexity,
            "dense_perplexity": None if self.dense is None else self.dense.perplexity,
            "ratio": self.ratio,
            "tokens": self.own.tokens,
            "window": self.text.window,
            "windows": self.own.windows,
            "text": self.text.name,
            "text_digest": self.text.digest,
            "note": self.note,
        }


def evaluate(
    source: str,
    text: Text,
    *,
    attention: str | None = None,
    float_source: str | None = None,
    progress: Progress | None = None,
) -> Accuracy:
    """Return how well the model at `source` predicts a text.

    attention: pattern of a float model; None takes the one it was trained with. A compressed model has its own.
    float_source: where the float model of a compressed one lies; None looks among the shipped ones.
    """
    if is_compressed(source):
        if attention is not None:
            raise SpecError("Attention must be left to the compressed model, which has its own, not given")
        compressed = open_compressed(source)
        checkpoint, note = None, None
        try:
            checkpoint = source_checkpoint(compressed, float_source)
        except CheckpointError as error:
            if float_source is not None:
                raise
            note = str(error)
        return compare(compressed, checkpoint, text, note=note, progress=progress)
    checkpoint = open_checkpoint(source)
    pattern = trained_pattern(checkpoint.config) if attention is None else parse(attention)
    own = _measured("float", Llama(checkpoint, pattern=pattern), checkpoint.tokenizer, text, progress)
    return Accuracy(model=checkpoint.config.name, pattern=str(pattern), text=text, own=own, float_model=own)


def compare(
    compressed: CompressedModel,
    checkpoint: Checkpoint | None,
    text: Text,
    *,
    with_dense: bool = False,
    note: str | None = None,
    progress: Progress | None = None,
) -> Accuracy:
    """Return the perplexities of a compressed model and, with its checkpoint, of the float model beside it."""
    model, tokenizer = compressed.model, compressed.tokenizer

    def of(what: str, pattern: Pattern) -> Perplexity | None:
        if checkpoint is None:
            return None
        return _measured(what, Llama(checkpoint, pattern=pattern), tokenizer, text, progress)

    return Accuracy(
        model=model.config.name,
        pattern=str(model.pattern),
        text=text,
        own=_measured("integers", IntegerReference(model), tokenizer, text, progress),
        float_model=of("float, same attention", model.pattern),
        dense=of("float, dense attention", Dense()) if with_dense else None,
        note=note,
    )


def _measured(what: str, predictor: Predictor, tokenizer: Tokenizer | None, text: Text, progress: Progress | None) -> Perplexity:
    if tokenizer is None:
        raise SpecError("Model must carry a tokenizer to read a text, but has none")

    def told(done: int, total: int, so_far: float) -> None:
        if progress is not None:
            progress(what, done / total)

    tokens = tokenizer.encode(text.content)
    # Refuses a text or a window that is too short before anything is shown.
    windows(tokens, length=text.window, max_windows=text.windows)
    told(0, 1, 0.0)
    return perplexity(predictor, tokens, length=text.window, max_windows=text.windows, progress=told)
