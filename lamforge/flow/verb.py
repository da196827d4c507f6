"""What a verb is made of: whom it tells how far it is, and how its request and what runs it become a function."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

__all__ = ["SILENT", "Listener", "verb"]


class Listener:
    """Hears what a verb says while it works. This one shows nothing; the command shows it on standard error."""

    def step(self, number: int, total: int, title: str) -> None:
        """Take the beginning of one of several steps."""

    def say(self, sentence: str) -> None:
        """Take a sentence about what happens now."""

    def progress(self, name: str, fraction: float, note: str = "") -> None:
        """Take how far the work called `name` has come, from 0 to 1, and perhaps more to say of it, such as its rate."""

    def part(self, name: str) -> Callable[[float], None]:
        """Return what takes fractions of the work called `name`."""
        return functools.partial(self.progress, name)

    def stream(self, piece: str) -> None:
        """Take a piece of text as it is generated."""


SILENT = Listener()
"""Shows nothing."""


Fields = ParamSpec("Fields")
Request = TypeVar("Request")
Result = TypeVar("Result")


def verb(name: str, request: Callable[Fields, Request], run: Callable[[Request], Result]) -> Callable[Fields, Result]:
    """Return the function `lamforge.<name>`: it takes the fields of a request and returns what `run` returns for it.

    Its signature and the description of its arguments are those of the request, so that both are written once.

    name: of the function, dotted where the verb belongs to a group, such as `offload.run`.
    """

    def call(*fields: Fields.args, **named: Fields.kwargs) -> Result:
        return run(_plain(request(*fields, **named)))

    kinds = reversed(inspect.getmro(request)) if isinstance(request, type) else ()
    documented = [inspect.cleandoc(vars(kind)["__doc__"] or "") for kind in kinds if kind is not object]
    arguments = "".join(text.partition("Attributes:")[2].rstrip() for text in documented)
    call.__name__, call.__qualname__ = name.rpartition(".")[2], name
    call.__module__ = run.__module__
    call.__doc__ = f"{inspect.getdoc(run) or ''}\n\nArguments:{arguments}\n"
    returned = inspect.signature(run).return_annotation
    call.__dict__["__signature__"] = inspect.signature(request).replace(return_annotation=returned)
    return call


def _plain(request: Request) -> Request:
    """Return a request whose whole numbers are Python's, and whose places are paths, where these are all that a field takes."""
    if not dataclasses.is_dataclass(request) or isinstance(request, type):
        return request
    changes: list[tuple[str, Path | int]] = []
    for field in dataclasses.fields(request):
        value, kind = getattr(request, field.name), str(field.type)
        if isinstance(value, str) and "Path" in kind and "str" not in kind:
            changes.append((field.name, Path(value)))
        elif isinstance(value, numbers.Integral) and not isinstance(value, int) and "int" in kind:
            changes.append((field.name, int(value)))
    return dataclasses.replace(request, **dict(changes))
