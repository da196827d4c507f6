"""Reads the waveform of a counterexample: which laws it breaks, and a table of signals and cycles."""

from __future__ import annotations

import re

__all__ = ["broken_laws", "table"]

_LAW = "law_"
_COLUMNS = 16
_DIGITS = 16
_NOT_OF_THE_CIRCUIT = ("smt_step", "smt_clock", "clk")


def _rows(text: str) -> dict[str, list[int]]:
    """Return the values of each signal, one a cycle; signals of submodules have their path.

    The solver writes ten time units a cycle.
    """
    labels: dict[str, str] = {}
    path: list[str] = []
    now: dict[str, int] = {}
    cycles: list[dict[str, int]] = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            path.append(words[2])
        elif words[:1] == ["$upscope"]:
            path.pop()
        elif words[:1] == ["$var"]:
            labels[words[3]] = ".".join([*path[1:], words[4]])
        elif re.fullmatch(r"#\d*5", line):
            cycles.append(dict(now))
        elif words and words[0][0] == "b":
            now[words[1]] = int(words[0][1:].replace("x", "0"), 2)
    return {label: [cycle.get(code, 0) for cycle in cycles] for code, label in labels.items() if label not in _NOT_OF_THE_CIRCUIT}


def broken_laws(text: str) -> tuple[str, ...]:
    """Return the names of the laws that do not hold in the last cycle."""
    return tuple(
        sorted(name.removeprefix(_LAW) for name, row in _rows(text).items() if name.startswith(_LAW) and row and not row[-1])
    )


def table(text: str) -> str:
    """Return the last cycles as text, values in hexadecimal; a value as in the cycle before is a dot.

    Left out are laws that hold, signals that stay zero, and the helpers of the laws.
    """
    rows = {name: row for name, row in _rows(text).items() if _is_shown(name, row)}
    length = max((len(row) for row in rows.values()), default=0)
    first = max(0, length - _COLUMNS)
    lines = [["cycle", *map(str, range(first, length))]]
    for name in sorted(rows, key=lambda name: (name.startswith(_LAW), "." in name, name)):
        row = rows[name][first:]
        cells = [_cell(value) if i == 0 or value != row[i - 1] else "." for i, value in enumerate(row)]
        lines.append([name, *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _cell(value: int) -> str:
    """Return a value in hexadecimal, of long ones the last digits."""
    digits = f"{value:x}"
    return digits if len(digits) <= _DIGITS else "~" + digits[1 - _DIGITS :]


def _is_shown(name: str, row: list[int]) -> bool:
    if name.startswith(_LAW):
        return not all(row)
    return any(row) and not name.startswith("past_") and "$" not in name
