"""Lamforge as a library: every verb of the command is a function here, loaded when it is first used.

`lamforge.synth(engine="u280")` estimates what `lamforge synth --engine u280` prints; docs/python.md has the whole path.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lamforge.flow import distill
    from lamforge.flow.dummy import dummy
    from lamforge.flow.synth import synth
    from reports.studies import gpu

__all__ = ["distill", "dummy", "gpu", "synth"]

_PLACES = {
    "distill": "lamforge.flow.distill",
    "dummy": "lamforge.flow.dummy",
    "gpu": "reports.studies.gpu",
    "synth": "lamforge.flow.synth",
}
"""Where each verb lies; a group of verbs is a module."""


def __getattr__(name: str) -> object:
    """Return a verb, or a group of verbs, and load it; raise AttributeError."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_PLACES[name])
    found: object = getattr(module, name, module)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
