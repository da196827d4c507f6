"""One progress bar, fed with fractions."""

import contextlib
from collections.abc import Callable, Iterator

from lamforge.console import progress

__all__ = ["bar", "named_bars"]


@contextlib.contextmanager
def bar(name: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error: `with bar("compress") as done: done(0.5)`."""
    with progress() as bars:
        task = bars.add_task(name, total=1.0)
        yield lambda fraction: bars.update(task, completed=fraction)


@contextlib.contextmanager
def named_bars() -> Iterator[Callable[[str, float], None]]:
    """Show a bar for each name that is told about: `with named_bars() as done: done("float", 0.5)`."""
    with progress() as bars:
        tasks = {}

        def told(name: str, fraction: float) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=1.0)
            bars.update(tasks[name], completed=fraction)

        yield told
