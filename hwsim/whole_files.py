"""Files and folders that are written whole or not at all: made beside their place, forced to disk, then moved there."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwsim.errors import SpecError, shown

__all__ = ["whole_file", "whole_folder", "write_text"]

_NOT_A_FOLDER = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well the file there becomes `target`, else nothing changes.

    A link is followed: what it leads to is written.

    Raises:
        SpecError: the place cannot be prepared, or written in the block, or the file cannot be moved there.
    """
    if _is_device(target):
        # Such as /dev/null, or a stream of this process: it is written to, and nothing may take its place.
        try:
            yield target
        except OSError as error:
            raise _refusal(target, error) from error
        return
    target = Path(os.path.realpath(target))
    with _beside(target) as place:
        part = place / target.name
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)


@contextlib.contextmanager
def whole_folder(target: Path, *, keeps_others: bool = False) -> Iterator[Path]:
    """Yield a new folder to write into; when the block ends well it becomes `target`, else nothing changes.

    keeps_others: files of `target` that were not written anew stay; otherwise everything in it is replaced.

    Raises:
        SpecError: the place cannot be prepared, or written in the block, or the folder cannot be moved there.
    """
    with _beside(target) as place:
        if target.exists() and not target.is_dir():
            raise _NOT_A_FOLDER
        new, old = place / "new", place / "old"
        new.mkdir()
        yield new
        if keeps_others and target.exists():
            pairs = [(path, target / path.relative_to(new)) for path in sorted(new.rglob("*")) if path.is_file()]
        else:
            pairs = [(new, target)]
        _move(pairs, old)


def write_text(target: Path, text: str) -> Path:
    """Write a text file, in UTF-8, whole or not at all, and return its path; raise SpecError as `whole_file` does."""
    with whole_file(target) as part:
        part.write_text(text, encoding="utf-8")
    return target


def _is_device(target: Path) -> bool:
    """Return whether something is at a path that is neither a file nor a folder, or a stream of a process."""
    try:
        if os.path.realpath(target.parent).startswith(("/dev", "/proc")):
            return True
        return target.exists() and not target.is_file() and not target.is_dir()
    except OSError:
        return False


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a folder beside `target`, which is removed in the end; raise SpecError for any OSError until then."""
    made: list[Path] = []
    place: Path | None = None
    try:
        made = _make_folder(target.parent)
        place = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        yield place
    except (OSError, SpecError) as error:
        # A refusal of a file inside a folder that is written whole names the folder.
        cause = error.__cause__ if isinstance(error, SpecError) else error
        if not isinstance(cause, OSError):
            raise
        raise _refusal(target, cause) from cause
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        # They stay where the target is in them.
        _remove_folders(made)


def _refusal(target: Path, cause: OSError) -> SpecError:
    return SpecError(f"Output must be a path that can be written, not {shown(str(target))} ({cause.strerror or cause})")


def _move(pairs: list[tuple[Path, Path]], old: Path) -> None:
    """Move each first path to the second, and what lies there into the folder `old`; undo all of it when one fails."""
    made: list[Path] = []
    done: list[tuple[Path, Path]] = []
    old.mkdir()
    try:
        for number, (source, place) in enumerate(pairs):
            made = [*_make_folder(place.parent), *made]
            for before, after in ((place, old / str(number)), (source, place)):
                if before.exists() or before.is_symlink():
                    before.rename(after)
                    done.append((before, after))
    except OSError:
        for before, after in reversed(done):
            after.rename(before)
        _remove_folders(made)
        raise


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and return those that were missing, the deepest first."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise _NOT_A_FOLDER from None
    return made


def _remove_folders(folders: list[Path]) -> None:
    """Remove empty folders, the deepest first; those that hold something stay."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
