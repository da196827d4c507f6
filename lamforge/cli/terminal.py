"""How far a verb is, on standard error: numbered steps, sentences, text as it comes, and progress bars."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from lamforge.flow.listener import Listener

__all__ = ["Terminal"]


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
        sys.stderr.write(f"\n[{number}/{total}] {title}  ({time.perf_counter() - self._began:.0f} s)\n")

    def say(self, sentence: str) -> None:
        self._close()
        sys.stderr.write("".join(f"{self._indent}{line}\n" for line in sentence.splitlines()))
        sys.stderr.flush()

    def stream(self, piece: str) -> None:
        if not self._is_mid_line:
            self._close()
            sys.stderr.write(self._indent)
        sys.stderr.write(piece.replace("\n", f"\n{self._indent}"))
        sys.stderr.flush()
        self._is_mid_line = True

    def progress(self, name: str, fraction: float, note: str = "") -> None:
        if self._bars is None:
            self._close()
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._bars = Progress(*columns, console=Console(stderr=True))
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(f"{self._indent}{name}", total=1.0, note="")
        self._bars.update(self._tasks[name], completed=fraction, note=note)

    def _close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._tasks = None, {}
        if self._is_mid_line:
            sys.stderr.write("\n")
            self._is_mid_line = False
