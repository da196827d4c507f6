"""The clause of a refusal that lists the known names and points to the one that was probably meant."""

import difflib
from collections.abc import Iterable

__all__ = ["closest", "nearest"]


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, whatever the case of its letters, or None where none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name[:100].lower(), [entry.lower() for entry in names], n=1, cutoff=0.5)
    return next((entry for entry in names if close and entry.lower() == close[0]), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the clause that lists the known names, the one closest to `name` first if any is close."""
    names = sorted(known)
    guess = closest(name, names)
    listed = ", ".join(names)
    return f"one of {listed}" if guess is None else f"one of {listed} (nearest: {guess})"
