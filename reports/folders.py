"""Knows how several files come to be in a folder all at once: written aside first, then moved in, or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwsim.errors import SpecError
from hwsim.whole_file import whole_file

__all__ = ["replaced_file", "whole_folder"]


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to write into; when the block ends well its files replace those of `target`, else nothing changes.

    Files of `target` with other names stay. Raises SpecError when `target` cannot be a folder.
    """
    part = _beside(target)
    try:
        yield part
        sources = sorted(path for path in part.rglob("*") if path.is_file())
        try:
            target.mkdir(exist_ok=True)
            for source in sources:
                place = target / source.relative_to(part)
                place.parent.mkdir(parents=True, exist_ok=True)
                source.replace(place)
        except OSError as error:
            raise _refusal(target, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well the file there becomes `target`, else nothing changes."""
    try:
        with whole_file(target) as part:
            yield part
    except OSError as error:
        raise _refusal(target, error) from None


def _beside(target: Path) -> Path:
    """Return a new folder on the file system of `target`."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise _refusal(target, error) from None


def _refusal(target: Path, error: OSError) -> SpecError:
    return SpecError(f"Output must be a path that can be written, not {str(target)!r} ({error.strerror})")
