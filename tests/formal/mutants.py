"""Circuits with a bug planted: a copy of a source file in which one piece of text is another."""

from __future__ import annotations

import importlib.util
import inspect
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["mutant"]


def mutant(kind: type, text: str, changed: str) -> Any:
    """Return the class of that name out of a copy of its file, in which `text`, which occurs once, is `changed`."""
    source = Path(inspect.getfile(kind)).read_text()
    if source.count(text) != 1:
        raise ValueError(f"Text to change must occur once in {kind.__module__}, not {source.count(text)} times: {text!r}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mutant_{kind.__name__.lower()}.py"
        path.write_text(source.replace(text, changed))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return getattr(module, kind.__name__)
