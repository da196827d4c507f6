"""How subcommands speak to the user: answers as text or JSON on standard output or in a file, progress on standard error."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from typer import Option

from hwsim.errors import SpecError
from hwsim.whole_files import write_text
from lamforge.cli.errors import BUG
from lamforge.flow.verb import Listener

__all__ = ["Answer", "JsonOption", "OutputOption", "Terminal", "answer", "emit", "heard", "subcommand"]

JsonOption = Annotated[bool, Option("--json", help="Print the result as one JSON document on standard output.")]
OutputOption = Annotated[Path | None, Option("--output", "-o", help="Write the result to this file.")]
Request = TypeVar("Request")
Result = TypeVar("Result")
_COMMAND = "lamforge"
Command = TypeVar("Command", bound=Callable[..., "Answer | None"])


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a subcommand gives to the user: as text, as a document for JSON, and whether all is as it should be."""

    text: Callable[[], str]
    document: Callable[[], object]
    is_right: bool

    def show(self, *, as_json: bool, output: Path | None = None, verb: str | None = None) -> None:
        """Write it to a file, or to standard output; exit with the code of a failure where not all is as it should be.

        verb: that answers, such as `offload run`; JSON says it where it is known.
        """
        from reports.documents.of_result import marked

        try:
            content = json.dumps(marked(self.document(), verb), indent=2, allow_nan=False) if as_json else self.text()
        except ValueError:
            raise SpecError(
                "Result must be of finite numbers to be JSON: a value that was given is too large or too small"
            ) from None
        emit(content, output)
        if not self.is_right:
            raise typer.Exit(BUG)


def answer(result: Result, text: Callable[[Result], str], document: Callable[[Result], object], *, is_right: bool = True) -> Answer:
    """Return the answer that gives a result as what `text` and `document` make of it."""
    return Answer(functools.partial(text, result), functools.partial(document, result), is_right)


def subcommand(app: typer.Typer, name: str | None = None) -> Callable[[Command], Command]:
    """Return a decorator that makes a function a subcommand, which shows the answer that the function returns.

    It has the options `--json`, and `--output` for the answer, unless the function takes `as_json` or `output` itself.
    """

    def add(command: Command) -> Command:
        group = app.info.name if isinstance(app.info.name, str) else ""
        verb = f"{group} {name or command.__name__}".removeprefix(f"{_COMMAND} ").strip()
        own = inspect.signature(command, eval_str=True)
        added = [
            inspect.Parameter(place, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option)
            for place, default, option in (("as_json", False, JsonOption), ("output", None, OutputOption))
            if place not in own.parameters
        ]

        @functools.wraps(command)
        def shown(**given: Any) -> None:
            how = {parameter.name: given.pop(parameter.name) for parameter in added}
            found = command(**given)
            if found is not None:
                found.show(**how, verb=verb)

        shown.__dict__["__signature__"] = own.replace(parameters=[*own.parameters.values(), *added])
        app.command(name)(shown)
        return command

    return add


def heard(run: Callable[[Request, Listener], Result], request: Request) -> Result:
    """Return what a verb makes of a request, while the terminal shows how far it is."""
    with Terminal() as listener:
        return run(request, listener)


def emit(content: str, output: Path | None = None) -> None:
    """Write a text, with a line break at its end, to a file, whole or not at all, or to standard output."""
    content = content if content.endswith("\n") else content + "\n"
    if output is None:
        sys.stdout.write(content)
    else:
        write_text(output, content)


class Terminal(Listener):
    """Shows what a verb tells; `with Terminal() as listener: run(request, listener)`.

    Bars appear with the first fraction, so that what is refused at once shows none, and go with the next sentence.

    indent: before every line, such as under the heading of a step.
    """

    def __init__(self, indent: str = "") -> None:
        self._indent = indent
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._is_mid_line = False
        self._began = time.perf_counter()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def step(self, number: int, total: int, title: str) -> None:
        self._close()
        _tell(f"\n[{number}/{total}] {title}  ({time.perf_counter() - self._began:.0f} s)\n")

    def say(self, sentence: str) -> None:
        self._close()
        _tell("".join(f"{self._indent}{line}\n" for line in sentence.splitlines()))

    def stream(self, piece: str) -> None:
        if not self._is_mid_line:
            self._close()
            _tell(self._indent)
        _tell(piece.replace("\n", f"\n{self._indent}"))
        self._is_mid_line = True

    def progress(self, name: str, fraction: float, note: str = "") -> None:
        with contextlib.suppress(OSError):
            self._show(name, fraction, note)

    def _show(self, name: str, fraction: float, note: str) -> None:
        if self._bars is None:
            self._close()
            begin, end = TextColumn("{task.description}"), TextColumn("{task.fields[note]}")
            self._bars = Progress(begin, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), end, console=Console(stderr=True))
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(f"{self._indent}{name}", total=1.0, note="")
        self._bars.update(self._tasks[name], completed=fraction, note=note)

    def _close(self) -> None:
        if self._bars is not None:
            with contextlib.suppress(OSError):
                self._bars.stop()
            self._bars, self._tasks = None, {}
        if self._is_mid_line:
            _tell("\n")
            self._is_mid_line = False


def _tell(text: str) -> None:
    """Write to standard error; where it cannot be written, the work goes on unseen."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
