"""Compiled functions, kept on disk between processes for as long as nothing changes that their machine code is made of."""

import enum
import functools
import hashlib
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

__all__ = ["compiled", "compiled_part", "kept_folder"]

_FOREIGN = sys.stdlib_module_names | {"numba", "numpy"}
"""Packages whose functions have the meaning that Numba gives them, and not that of their own code."""
_PLAIN = (bool, int, float, complex, str, bytes, np.generic, np.dtype, range, slice, type(None), type(...))
"""Constants whose text says their value."""


def compiled(function: Callable[..., Any], *, is_fast_math: bool = False) -> Any:
    """Return the function compiled by Numba when it is first called; it does not hold the interpreter's lock.

    Numba alone compiles again when the function's own file changes, and not when a function that it calls does, or a table.

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


def kept_folder(function: Callable[..., Any]) -> Path | None:
    """Return the folder that code of a function is kept in, made where it is missing; None where nothing can be kept."""
    try:
        place = FunctionCache(function)
        place._impl.locator.ensure_cache_path()
    except (RuntimeError, OSError):
        _say_that_nothing_is_kept()
        return None
    return Path(place.cache_path)


class _Cache(FunctionCache):
    """Numba's store of one function's machine code, void once something has changed that it was made of."""

    _digest = ""

    def _refresh(self) -> None:
        """Ask for code of what the function is now: before its first call, names that it reads may not be bound."""
        self._digest = _Material().digest(self._py_func)
        base = self._impl.filename_base
        self._cache_file = IndexDataCacheFile(cache_path=self.cache_path, filename_base=base, source_stamp=self._digest)
        # Of each digest its own: a process that still runs what the sources were may write after one that runs what they are.
        self._cache_file._data_name_pattern = f"{base}.{self._digest[:16]}.{{number:d}}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the code of a signature, None when there is none or it cannot be read."""
        if not self._digest:
            self._refresh()
        try:
            return super().load_overload(sig, target_context)
        except OSError:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code of a signature where the disk takes it, and code of what the function was no longer."""
        try:
            super().save_overload(sig, data)
            base = self._impl.filename_base
            for path in Path(self.cache_path).glob("*.nbc"):
                if path.name.startswith(f"{base}.") and not path.name.startswith(f"{base}.{self._digest[:16]}."):
                    path.unlink(missing_ok=True)
        except OSError:
            _say_that_nothing_is_kept()


@functools.cache
def _say_that_nothing_is_kept() -> None:
    logging.getLogger(__name__).warning(
        "Compiled functions cannot be kept, so that each command compiles them again:"
        " set NUMBA_CACHE_DIR to a folder that can be written"
    )


class _Material:
    """Digests what the machine code of a function is made of, as this process holds it; sources are not read.

    That is the code of the function and of all that it calls, and the values of the names in them, which Numba freezes. A name
    that may be an attribute is also looked up as a global one, so that a digest can say more than what is used, and never less.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._numbers: dict[tuple[object, ...], int] = {}

    def digest(self, function: Callable[..., Any]) -> str:
        """Return the digest of a function, the same in every process that holds the same."""
        self._say("numpy", np.__version__, "llvmlite", llvmlite.__version__, "bounds", getattr(numba.config, "BOUNDSCHECK", None))
        self._add(function)
        return self._hash.hexdigest()

    def _say(self, *words: object) -> None:
        self._hash.update(repr(words).encode())

    def _is_new(self, *key: object) -> bool:
        """Return whether what has this key is met for the first time; say which it is."""
        count = len(self._numbers)
        self._say("number", self._numbers.setdefault(key, count))
        return len(self._numbers) > count

    def _add(self, value: Any, names: Iterable[str] = ()) -> None:
        """Take in a value; of a module what these names are in it."""
        if isinstance(value, Dispatcher):
            self._say("compiled", sorted(value.targetoptions.items()))
            self._add(value.py_func)
        elif isinstance(value, FunctionType):
            self._add_function(value)
        elif isinstance(value, CodeType):
            self._say(value.co_code, value.co_exceptiontable, value.co_names, value.co_varnames, value.co_freevars)
            self._add_all(value.co_consts)
        elif isinstance(value, ModuleType):
            self._add_module(value, tuple(names))
        elif isinstance(value, type):
            self._say("class", value.__module__, value.__qualname__, getattr(value, "_fields", ()))
            self._add(getattr(value, "_field_defaults", None))
            if issubclass(value, enum.Enum):
                self._say([(name, member.value) for name, member in value.__members__.items()])
        elif isinstance(value, enum.Enum):
            self._add(type(value))
            self._say(value.name)
        elif isinstance(value, np.ndarray):
            self._say("array", value.dtype, value.shape, value.tobytes())
        elif isinstance(value, tuple | list):
            self._add(type(value))
            self._add_all(value)
        elif isinstance(value, set | frozenset):
            self._say("set", sorted(map(repr, value)))
        elif isinstance(value, dict):
            self._add_all(value)
            self._add_all(value.values())
        else:
            # Of what no constant can be made its kind is enough: no machine code holds it.
            self._say(type(value).__qualname__, value if isinstance(value, _PLAIN) else "")

    def _add_all(self, values: Iterable[Any]) -> None:
        self._say("begin")
        for value in values:
            self._add(value)
        self._say("end")

    def _add_function(self, function: FunctionType) -> None:
        self._say("function", function.__module__, function.__qualname__)
        if _is_foreign(function.__module__) or not self._is_new(id(function)):
            return
        self._add(function.__code__)
        self._add_all(function.__defaults__ or ())
        self._add(function.__kwdefaults__)
        self._add_all(cell.cell_contents for cell in function.__closure__ or ())
        names = _names(function.__code__)
        for name in names:
            if name in function.__globals__:
                self._say("global", name)
                self._add(function.__globals__[name], names)

    def _add_module(self, module: ModuleType, names: tuple[str, ...]) -> None:
        self._say("module", module.__name__)
        if _is_foreign(module.__name__) or not self._is_new(module.__name__, names):
            return
        for name in names:
            if name in vars(module):
                self._say("member", name)
                self._add(vars(module)[name], names)


def _is_foreign(module: str | None) -> bool:
    return str(module).partition(".")[0] in _FOREIGN


def _names(code: CodeType) -> tuple[str, ...]:
    """Return the names in a function's code, and in that of functions inside it, in order."""
    inner = [name for const in code.co_consts if isinstance(const, CodeType) for name in _names(const)]
    return tuple(sorted({*code.co_names, *inner}))
