"""What the demo is shown on: numbered steps, lines and progress bars on standard error."""

import contextlib
import sys
import time
from types import TracebackType

from rich.progress import Progress, TaskID

from lamforge.cli.console import progress

__all__ = ["Stage"]


class Stage:
    """A listener of reports.studies.demo; bars are shown while something reports progress, and cleared by the next line."""

    def __init__(self) -> None:
        self._shown: contextlib.ExitStack | None = None
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._is_mid_line = False
        self._began = time.perf_counter()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def step(self, number: int, total: int, title: str) -> None:
        """Announce a step."""
        self._close()
        elapsed = time.perf_counter() - self._began
        sys.stderr.write(f"\n[{number}/{total}] {title}  ({elapsed:.0f} s)\n")

    def say(self, text: str) -> None:
        """Show a result."""
        self._close()
        sys.stderr.write("".join(f"      {line}\n" for line in text.splitlines()))
        sys.stderr.flush()

    def stream(self, piece: str) -> None:
        """Show a piece of text as it comes."""
        if not self._is_mid_line:
            self._close()
            sys.stderr.write("      ")
        sys.stderr.write(piece.replace("\n", "\n      "))
        sys.stderr.flush()
        self._is_mid_line = True

    def progress(self, name: str, fraction: float) -> None:
        """Show how far something has come."""
        if self._bars is None:
            self._close()
            self._shown = contextlib.ExitStack()
            self._bars = self._shown.enter_context(progress())
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(f"      {name}", total=1.0)
        self._bars.update(self._tasks[name], completed=fraction)

    def _close(self) -> None:
        if self._shown is not None:
            self._shown.close()
            self._shown, self._bars, self._tasks = None, None, {}
        if self._is_mid_line:
            sys.stderr.write("\n")
            self._is_mid_line = False
