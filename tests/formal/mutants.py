"""Circuits with a bug planted: a copy of a source file in which a piece of text is another."""

from __future__ import annotations

import importlib.util
import inspect
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["mutant"]


def mutant(kind: type, *changes: str) -> Any:
    """Return the class of that name out of a copy of its file, in which texts, each of which occurs once, are others.

    `changes` are a text, what it becomes, a next text, and so on.
    """
    source = Path(inspect.getfile(kind)).read_text()
    for text, changed in zip(changes[::2], changes[1::2], strict=True):
        if source.count(text) != 1:
            raise ValueError(f"Text to change must occur once in {kind.__module__}, not {source.count(text)} times: {text!r}")
        source = source.replace(text, changed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mutant_{kind.__name__.lower()}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return getattr(module, kind.__name__)
