"""Progress bars fed with fractions, shown from the first one on: what is refused at once shows none."""

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import Progress, TaskID

from lamforge.cli.console import progress

__all__ = ["bar", "named_bars"]


@contextlib.contextmanager
def bar(name: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error: `with bar("compress") as done: done(0.5)`."""
    with named_bars() as done:
        yield lambda fraction: done(name, fraction)


@contextlib.contextmanager
def named_bars() -> Iterator[Callable[[str, float], None]]:
    """Show a bar for each name that is told about: `with named_bars() as done: done("float", 0.5)`."""
    with contextlib.ExitStack() as shown:
        bars: list[Progress] = []
        tasks: dict[str, TaskID] = {}

        def told(name: str, fraction: float) -> None:
            if not bars:
                bars.append(shown.enter_context(progress()))
            if name not in tasks:
                tasks[name] = bars[0].add_task(name, total=1.0)
            bars[0].update(tasks[name], completed=fraction)

        yield told
