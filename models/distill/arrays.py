"""Archives of named arrays without pickles, written whole or not at all, and split into parts of bounded size."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwsim.errors import SpecError, shown
from hwsim.whole_files import whole_file

__all__ = ["content", "from_text", "load", "read", "save", "split", "to_text"]

_SUFFIX = ".part"


def to_text(array: np.ndarray) -> str:
    """Return the text that `from_text` made an array of."""
    return array.tobytes().decode()


def from_text(text: str) -> np.ndarray:
    """Return a text as an array."""
    return np.frombuffer(text.encode(), np.uint8)


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an archive of arrays, uncompressed; until it is complete nothing lies at `path`, or what lay there before."""
    with whole_file(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an archive; SpecError when it is not one."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SpecError(f"File {path.name} must be a complete archive of arrays, but: {error}") from None


def split(folder: Path, stem: str, arrays: Mapping[str, np.ndarray], *, limit: int) -> list[Path]:
    """Write `<stem>-<n>-of-<count>.part`, a compressed archive of arrays cut into files of at most `limit` bytes."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    archived = stream.getvalue()
    count = max(1, -(-len(archived) // limit))
    size = -(-len(archived) // count)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{stem}-*-of-*{_SUFFIX}"):
        old.unlink()
    paths = [folder / f"{stem}-{index + 1}-of-{count}{_SUFFIX}" for index in range(count)]
    for index, path in enumerate(paths):
        with whole_file(path) as part:
            part.write_bytes(archived[index * size : (index + 1) * size])
    return paths


def content(folder: Path, stem: str) -> bytes:
    """Return the archive that `split` cut; SpecError names the parts that are missing."""
    found = sorted(folder.glob(f"{stem}-*-of-*{_SUFFIX}"))
    if not found:
        raise SpecError(f"Folder {shown(str(folder))} must hold {stem}-1-of-...{_SUFFIX}, which is missing")
    count = int(found[0].stem.rpartition("-of-")[2])
    paths = [folder / f"{stem}-{index + 1}-of-{count}{_SUFFIX}" for index in range(count)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing or len(found) != count:
        raise SpecError(f"Folder {shown(str(folder))} must hold {count} parts of {stem}, but lacks {', '.join(missing) or 'none'}")
    return b"".join(path.read_bytes() for path in paths)


def read(archived: bytes, stem: str) -> dict[str, np.ndarray]:
    """Return the arrays of an archive; SpecError when it is not one."""
    try:
        with np.load(io.BytesIO(archived), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise SpecError(f"Parts of {stem} must make a complete archive of arrays, but: {error}") from None
