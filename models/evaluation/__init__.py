"""The text that models are evaluated on when no other is given."""

import lzma
from importlib import resources

__all__ = ["evaluation_text"]


def evaluation_text() -> str:
    """Return five articles of the English Wikipedia, 163 kB; sources are in NOTICE.txt beside it."""
    return lzma.decompress((resources.files(__name__) / "wikipedia.txt.xz").read_bytes()).decode("utf-8")
