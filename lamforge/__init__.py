"""Lamforge as a library: every verb of the command is a function here, loaded when it is first used.

`lamforge.synth(engine="u280")` estimates what `lamforge synth --engine u280` prints; docs/python.md has the whole path.
"""

from __future__ import annotations

# Nothing is imported here: until the command's `main` has taken the signals, they end it with Python's traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from hwsim.errors import LamforgeError
    from lamforge.explore.exploration import explore
    from lamforge.flow import distill, offload
    from lamforge.flow.board import board
    from lamforge.flow.compile import compile
    from lamforge.flow.compress import compress
    from lamforge.flow.cosim import cosim
    from lamforge.flow.disasm import disasm
    from lamforge.flow.doctor import doctor
    from lamforge.flow.dummy import dummy
    from lamforge.flow.evaluate import evaluate
    from lamforge.flow.export import export
    from lamforge.flow.generate import generate
    from lamforge.flow.list import list
    from lamforge.flow.rtl import rtl
    from lamforge.flow.simulate import simulate
    from lamforge.flow.synth import synth
    from reports.pages import report
    from reports.studies import gpu
    from reports.studies import validation as validate
    from reports.studies.compare import compare
    from reports.studies.demo import demo

__all__ = [
    "LamforgeError",
    "board",
    "compare",
    "compile",
    "compress",
    "cosim",
    "demo",
    "disasm",
    "distill",
    "doctor",
    "dummy",
    "evaluate",
    "explore",
    "export",
    "generate",
    "gpu",
    "list",
    "offload",
    "report",
    "rtl",
    "simulate",
    "synth",
    "validate",
]

_PLACES = {name: f"lamforge.flow.{name}" for name in __all__} | {
    "LamforgeError": "hwsim.errors",
    "compare": "reports.studies.compare",
    "demo": "reports.studies.demo",
    "explore": "lamforge.explore",
    "gpu": "reports.studies.gpu",
    "report": "reports.pages.report",
    "validate": "reports.studies.validation",
}
"""Where each verb lies; a group of verbs is a module."""


def __getattr__(name: str) -> object:
    """Return a verb, or a group of verbs, and load it; raise AttributeError."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_PLACES[name])
    found: object = getattr(module, name, module)
    globals()[name] = found
    return found


def __dir__() -> Iterable[str]:
    return __all__
