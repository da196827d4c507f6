"""Aligned text: a table with or without a heading, such as names with their values."""

import io
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["table"]

_WIDTH = 100_000
"""Columns of the console that lines are laid out on: no line is broken, wherever the text goes."""


def table(rows: Sequence[Sequence[str]], *, head: Sequence[str] = (), right: Collection[int] = ()) -> str:
    """Return rows as aligned lines without a line break at their end.

    head: names of the columns; none leaves the heading out.
    right: columns, counted from 0, whose cells are aligned to the right.
    """
    columns = len(head) or max(map(len, rows), default=0)
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for column in range(columns):
        drawn.add_column(justify="right" if column in right else "left", no_wrap=True)
    for row in ([head] if head else []) + list(rows):
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
