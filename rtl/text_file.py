"""Writes a text file whole or not at all."""

import hashlib
import os
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, text: str) -> Path:
    """Put text at a path in one step, and return the path."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{hashlib.sha256(text.encode()).hexdigest()[:8]}")
    try:
        part.write_text(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
