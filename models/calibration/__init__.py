"""The text that weights are calibrated on when no other is given."""

import lzma
from importlib import resources

__all__ = ["calibration_text"]

_FILES = ("public-domain.txt.xz", "wikipedia.txt.xz")


def calibration_text() -> str:
    """Return the shipped text, half old prose and half encyclopedia; its sources are in NOTICE.txt beside it."""
    folder = resources.files(__name__)
    return "\n\n".join(lzma.decompress((folder / name).read_bytes()).decode("utf-8") for name in _FILES)
