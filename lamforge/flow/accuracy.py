"""How well a model predicts a text, and what of that its attention and its integers cost."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

from hwsim.errors import SpecError, shown
from lamforge.flow.contestants import DENSE, FLOAT, INTEGERS, Contestants
from lamforge.flow.listener import SILENT, Listener
from models.evaluation import windows
from models.evaluation.perplexity import Difference, Perplexity, difference, perplexity

__all__ = ["CONFIDENCE", "METHOD", "Accuracy", "Text", "accuracy"]

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
        measured: by the names of lamforge.flow.contestants; the last is the model itself.
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

    Raises:
        SpecError: the text is shorter than one window, or the window than two tokens.
    """
    tokens = models.tokenizer.encode(text.content)
    # Refuses a text or a window that is too short before anything is shown.
    windows(tokens, length=text.window, max_windows=text.windows)
    measured = {}
    for name, predictor in models.predictors.items():

        def told(done: int, total: int, so_far: float, name: str = name) -> None:
            listener.progress(name, done / total)

        told(0, 1, 0.0)
        measured[name] = perplexity(predictor, tokens, length=text.window, max_windows=text.windows, progress=told)
    return Accuracy(model=models.name, pattern=str(models.pattern), text=text, measured=measured, note=models.note)
