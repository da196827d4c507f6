"""Knows how well a model predicts a text, and what of that its attention and its integers cost."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hwsim.errors import SpecError
from lamforge.flow.contestants import DENSE, FLOAT, INTEGERS, Contestants
from models.evaluation.paired import Difference, difference
from models.evaluation.perplexity import Perplexity, perplexity
from models.evaluation.windows import windows

__all__ = ["METHOD", "Accuracy", "Progress", "Text", "accuracy"]

Progress = Callable[[str, float], None]
"""Told (what is evaluated, fraction done)."""

METHOD = "Student's t for the mean difference of negative log-likelihoods, paired by window"
"""How the intervals come about."""


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
    """Perplexities on the same windows.

    Attributes:
        model: what reports call it.
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
        return list(self.measured.values())[-1]

    def differences(self) -> dict[tuple[str, str], Difference]:
        """Return how each differs from those before it, by (which, from which)."""
        names = list(self.measured)
        return {
            (name, other): difference(self.measured[name], self.measured[other])
            for index, name in enumerate(names)
            for other in names[:index]
        }

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        same = self.measured.get(FLOAT, self.own if INTEGERS not in self.measured else None)
        dense = self.measured.get(DENSE, same if self.pattern == "dense" else None)
        return {
            "model": self.model,
            "attention": self.pattern,
            "perplexity": self.own.perplexity,
            "float_perplexity": None if same is None else same.perplexity,
            "dense_perplexity": None if dense is None else dense.perplexity,
            "ratio": None if same is None else self.own.perplexity / same.perplexity,
            "dense_ratio": None if dense is None else self.own.perplexity / dense.perplexity,
            "measured": {
                name: {"perplexity": entry.perplexity, "nll": entry.nll, "nll_sums": list(entry.sums)}
                for name, entry in self.measured.items()
            },
            "comparisons": [
                {
                    "of": of,
                    "to": to,
                    "nll_difference": found.nll,
                    "nll_interval": found.nll_interval,
                    "ratio": found.ratio,
                    "ratio_interval": found.ratio_interval,
                }
                for (of, to), found in self.differences().items()
            ],
            "interval": {"method": METHOD, "confidence": 0.95, "windows": self.own.windows},
            "tokens": self.own.tokens,
            "window": self.text.window,
            "windows": self.own.windows,
            "text": self.text.name,
            "text_digest": self.text.digest,
            "note": self.note,
        }


def accuracy(models: Contestants, text: Text, progress: Progress | None = None) -> Accuracy:
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
            if progress is not None:
                progress(name, done / total)

        told(0, 1, 0.0)
        measured[name] = perplexity(predictor, tokens, length=text.window, max_windows=text.windows, progress=told)
    return Accuracy(model=models.name, pattern=str(models.pattern), text=text, measured=measured, note=models.note)
