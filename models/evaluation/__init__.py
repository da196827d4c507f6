"""The text that models are evaluated on when no other is given, and the windows that a text is cut into."""

import lzma
from collections.abc import Sequence
from importlib import resources

from hwsim.errors import SpecError

__all__ = ["evaluation_text", "windows"]


def evaluation_text() -> str:
    """Return five articles of the English Wikipedia, 163 kB; sources are in NOTICE.txt beside it."""
    return lzma.decompress((resources.files(__name__) / "wikipedia.txt.xz").read_bytes()).decode("utf-8")


def windows(tokens: Sequence[int], *, length: int = 1024, max_windows: int | None = None) -> list[Sequence[int]]:
    """Return the windows of `length` tokens that `tokens` falls into; the last may be shorter.

    max_windows: keep so many full windows, evenly spaced from first to last; None keeps all.

    SpecError when there is no full window.
    """
    if length < 2:
        raise SpecError(f"Window must be at least 2 tokens, not {length}")
    if max_windows is not None and max_windows < 1:
        raise SpecError(f"Number of windows must be positive, not {max_windows}")
    if len(tokens) < length:
        raise SpecError(f"Text must be at least one window of {length} tokens long, not {len(tokens)} tokens")
    cut = [tokens[start : start + length] for start in range(0, len(tokens), length)]
    if max_windows is None:
        return [window for window in cut if len(window) >= 2]
    full = [window for window in cut if len(window) == length]
    count = min(max_windows, len(full))
    if count == 1:
        return [full[0]]
    return [full[index * (len(full) - 1) // (count - 1)] for index in range(count)]
