"""Compiled functions, kept on disk between processes for as long as no source that they reach changes."""

import functools
import hashlib
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["compiled", "compiled_part", "reached_sources"]

_ROOT = Path(__file__).parent.parent
_IMPORT = re.compile(r"^\s*(?:from|import) +((?:hwsim|models)\b[\w.]*)(?: +import +(\([^)]*\)|.*))?", re.MULTILINE)
"""An import of the rooms whose functions are compiled. (Parsing the files would take longer than loading what is kept.)"""


def compiled(function: Callable[..., Any], *, is_fast_math: bool = False) -> Any:
    """Return the function compiled by Numba when it is first called; it does not hold the interpreter's lock.

    Numba alone compiles again when the function's own file changes, and not when a module that it calls does.

    is_fast_math: real numbers may be added in any order.
    """
    made: Any = numba.njit(nogil=True, fastmath=is_fast_math)(function)
    try:
        made._cache = _Cache(function)
    except RuntimeError:
        _say_that_nothing_is_kept()
    return made


def compiled_part(function: Callable[..., Any], *, is_inlined: bool = False) -> Any:
    """Return a function that only compiled functions call: its machine code is kept with theirs.

    It may allocate no array: so it counts no references to those it is given, which takes longer than what most do with them.

    is_inlined: callers take in the function before they are compiled.
    """
    options: dict[str, Any] = {"inline": "always" if is_inlined else "never", "_nrt": False}
    return numba.njit(**options)(function)


class _Cache(FunctionCache):
    """Numba's store of one function's machine code, void once a source that the function reaches has changed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self.cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=_digest(Path(str(sys.modules[function.__module__].__file__))),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the code of a signature, None when there is none or it cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except OSError:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code of a signature where the disk takes it."""
        try:
            super().save_overload(sig, data)
        except OSError:
            _say_that_nothing_is_kept()


@functools.cache
def _say_that_nothing_is_kept() -> None:
    logging.getLogger(__name__).warning(
        "Compiled functions cannot be kept, so that each command compiles them again:"
        " set NUMBA_CACHE_DIR to a folder that can be written"
    )


def reached_sources(path: Path) -> list[Path]:
    """Return the files of a module and of all modules of `hwsim` and `models` that it imports, at any remove."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    return sorted(found)


@functools.cache
def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for source in reached_sources(path):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@functools.cache
def _imported(path: Path) -> list[Path]:
    """Return the files that a file's import statements read; a name of `from ... import` may be a module."""
    found: list[Path] = []
    for module, names in _IMPORT.findall(path.read_text(encoding="utf-8")):
        inner = [_file(f"{module}.{name}") for name in re.findall(r"\w+", names)]
        found += filter(None, inner if inner and all(inner) else [_file(module), *inner])
    return found


@functools.cache
def _file(name: str) -> Path | None:
    place = _ROOT.joinpath(*name.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)
