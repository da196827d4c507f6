"""Files and folders that are written whole or not at all, by one command at a time: made beside their place, then moved there.

What a command that was killed had begun is cleared away by the next one that writes there: nothing has to be removed by hand.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import typing
from collections.abc import Iterator
from pathlib import Path

from hwsim.errors import SpecError, shown

__all__ = ["LOCK", "only_writer", "whole_file", "whole_folder", "write_text"]

LOCK = ".lock"
"""Name of the file in a folder by which one command keeps it."""
_PART = "new"
_OLD = "old"
_TRIES = 100
"""Times that a lock is tried which was taken away between being opened and being held."""
_NOT_A_FOLDER = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well the file there becomes `target`, else nothing changes.

    A link is followed: what it leads to is written. Where another process is writing the same file, this one waits for it.

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
    with _beside(target, is_waiting=True) as place:
        part = place / _PART / target.name
        part.parent.mkdir()
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)


@contextlib.contextmanager
def whole_folder(target: Path, *, keeps_others: bool = False) -> Iterator[Path]:
    """Yield a new folder to write into; when the block ends well it becomes `target`, else nothing changes.

    keeps_others: files of `target` that were not written anew stay; otherwise everything in it is replaced.

    Raises:
        SpecError: another command is writing it, or the place cannot be prepared, or written in the block, or the folder
            cannot be moved there.
    """
    with _beside(target, is_waiting=False) as place:
        if target.exists() and not target.is_dir():
            raise _NOT_A_FOLDER
        new, old = place / _PART, place / _OLD
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
def only_writer(folder: Path, output: Path | None = None) -> Iterator[None]:
    """Keep a folder that is written piece by piece to this command, until the block or the process ends, however it ends.

    The folder is made where it is missing, and goes in the end where nothing was written into it.

    output: what the user asked to be written, where it is not this folder.

    Raises:
        SpecError: another command is writing there, or nothing can be written there.
    """
    output = output or folder
    made: list[Path] = []
    try:
        made = _make_folder(folder)
        lock = _lock(folder, output, is_waiting=False)
    except OSError as error:
        _remove_folders(made)
        raise _refusal(output, error) from error
    try:
        yield
    finally:
        _unlock(folder, lock)
        _remove_folders(made)


def _lock(folder: Path, output: Path, *, is_waiting: bool) -> typing.IO[bytes]:
    """Return the open file that holds a folder, made where it is missing; raise SpecError where another command has it.

    It holds for as long as the file is open, so that a process that is killed holds nothing.
    """
    for _ in range(_TRIES):
        folder.mkdir(exist_ok=True)
        path = folder / LOCK
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(path.open("wb"))
                fcntl.flock(lock, fcntl.LOCK_EX if is_waiting else fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Else the command before took the file away after it was opened here.
                is_there = os.path.samestat(os.fstat(lock.fileno()), path.stat())
            except BlockingIOError:
                raise SpecError(
                    f"Output {shown(str(output))} is being written by another command: wait until that one ends, or choose another"
                    " output"
                ) from None
            except FileNotFoundError:
                continue
            except OSError as error:
                # File systems without locks: what is written there is still whole.
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    raise
                is_there = True
            if is_there:
                stack.pop_all()
                return lock
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _unlock(folder: Path, lock: typing.IO[bytes]) -> None:
    with lock, contextlib.suppress(OSError):
        if os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK).stat()):
            (folder / LOCK).unlink()
        folder.rmdir()


@contextlib.contextmanager
def _beside(target: Path, *, is_waiting: bool) -> Iterator[Path]:
    """Yield an empty folder beside `target`, which is removed in the end; raise SpecError for any OSError until then.

    is_waiting: for another process that writes `target`, instead of refusing.
    """
    made: list[Path] = []
    lock: typing.IO[bytes] | None = None
    place = target.parent / f".{target.name}.unfinished"
    try:
        made = _make_folder(target.parent)
        lock = _lock(place, target, is_waiting=is_waiting)
        _clear(place)
        yield place
    except (OSError, SpecError) as error:
        # A refusal of a file inside a folder that is written whole names the folder.
        cause = error.__cause__ if isinstance(error, SpecError) else error
        if not isinstance(cause, OSError):
            raise
        raise _refusal(target, cause) from cause
    finally:
        if lock is not None:
            _clear(place)
            _unlock(place, lock)
        # They stay where the target is in them.
        _remove_folders(made)


def _clear(place: Path) -> None:
    """Remove everything in a folder but its lock."""
    with contextlib.suppress(OSError):
        for left in place.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            elif left.name != LOCK:
                left.unlink(missing_ok=True)


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
