"""Whom a verb tells what it does now and how far it is."""

from __future__ import annotations

__all__ = ["SILENT", "Listener"]


class Listener:
    """Hears what a verb says while it works. This one shows nothing; the command shows it on standard error."""

    def step(self, number: int, total: int, title: str) -> None:
        """Take the beginning of one of several steps."""

    def say(self, sentence: str) -> None:
        """Take a sentence about what happens now."""

    def progress(self, name: str, fraction: float, note: str = "") -> None:
        """Take how far the work called `name` has come, from 0 to 1, and perhaps more to say of it, such as its rate."""

    def stream(self, piece: str) -> None:
        """Take a piece of text as it is generated."""


SILENT = Listener()
"""Shows nothing."""
