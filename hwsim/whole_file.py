"""Knows how a file comes to be there whole or not at all: written aside, forced to disk, then put in its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["whole_file"]


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well the file there becomes `target`, else nothing changes.

    Raises:
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        part = beside / target.name
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
