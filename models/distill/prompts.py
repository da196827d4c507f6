"""The beginnings of the texts that the teacher writes: a conversation, or a few words of a text."""

from __future__ import annotations

import numpy as np

from models.distill.prepared import TEXTS, Prepared
from models.distill.settings import Settings

__all__ = ["FREE", "prompts"]

FREE = -1
"""Where the teacher chooses."""

_SHORT = (3, 12)
_LONG = (8, 48)


def prompts(prepared: Prepared, settings: Settings, batch: int) -> np.ndarray:
    """Return forced tokens of the sequences of a batch, int64 [sequences, length], FREE after them.

    Conversations begin with the chat template up to the user's words, the others with 3 to 12 tokens of public-domain
    text or 8 to 48 of the encyclopedia's, whose style they then keep.
    """
    random = np.random.default_rng([settings.seed, 1 << 20, batch])
    rows = np.full((settings.sample_batch, settings.sample_length), FREE, np.int64)
    draw = random.random(len(rows))
    for row, drawn in zip(rows, draw, strict=True):
        if len(prepared.chat) and drawn < settings.chat_share:
            start = prepared.chat
        else:
            is_long = drawn < settings.chat_share + settings.encyclopedia_share
            text = prepared.texts[TEXTS[1] if is_long else TEXTS[0]]
            count = int(random.integers(*(_LONG if is_long else _SHORT), endpoint=True))
            first = int(random.integers(0, max(1, len(text) - count)))
            start = text[first : first + count]
        start = start[: settings.sample_length]
        row[: len(start)] = start
    return rows
