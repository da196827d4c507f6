"""The windows of text that each step trains on; seed and step alone decide them, so that a resumed run sees the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hwsim.errors import SpecError

__all__ = ["Mixture"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Texts and how often each is read.

    Attributes:
        texts: tokens, each at least one window long.
        shares: share of the sequences for each text.
        length: tokens in a window.
        seed: decides which windows are drawn, and in which order.
    """

    texts: Sequence[np.ndarray]
    shares: Sequence[float]
    length: int
    seed: int

    def __post_init__(self) -> None:
        for text, share in zip(self.texts, self.shares, strict=True):
            if share > 0 and len(text) < self.length:
                raise SpecError(f"Training text must be at least {self.length} tokens long, not {len(text)}")
        if not sum(self.shares) > 0:
            raise SpecError("Share of a training text must be above 0, not 0")

    def windows(self, step: int, count: int) -> np.ndarray:
        """Return the windows of a step, int64 [count, length]."""
        random = np.random.default_rng([self.seed, step])
        shares = np.array(self.shares, np.float64)
        chosen = random.choice(len(self.texts), size=count, p=shares / shares.sum())
        rows = []
        for index in chosen:
            text = self.texts[index]
            start = int(random.integers(0, len(text) - self.length + 1))
            rows.append(text[start : start + self.length].astype(np.int64))
        return np.stack(rows)
