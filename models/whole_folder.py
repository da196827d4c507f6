"""Knows how a folder of several files appears at once, or not at all."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwsim.errors import SpecError

__all__ = ["whole_folder"]


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` at the end; after an error that is as it was.

    Raises:
        SpecError: it cannot be written.
    """
    partial: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        new = partial / "new"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(partial / "old")
        new.rename(folder)
    except OSError as error:
        raise SpecError(f"Output folder {str(folder)!r} must be writable, but: {error.strerror}") from None
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
