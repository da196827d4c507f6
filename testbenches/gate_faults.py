"""Faults planted into netlists: an attribute or a pin of a cell that is not what synthesis made it."""

import re
from collections.abc import Callable

__all__ = ["complemented", "flipped", "planted"]


def planted(netlist: str, kind: str, name: str, change: Callable[[str], str], *, inside: str = "", index: int = 0) -> str:
    """Return a netlist in which one cell has another attribute or pin.

    Args:
        netlist: Verilog as Yosys writes it, each attribute and each pin of a cell on a line of its own.
        kind: a pattern of the cell's kind, as `LUT[2-6]`.
        name: the attribute or the pin.
        change: of what it is, what it becomes.
        inside: text that the cell has, as a part of its name.
        index: which of these cells, from the first on.

    Raises:
        IndexError: there are fewer such cells.
    """
    cells = re.finditer(rf"^  {kind} (?:#\(|\S+ \().*?^  \);$", netlist, re.M | re.S)
    places = [(cell, re.search(rf"^    \.{name}\((.*)\)(?=,?$)", cell.group(), re.M)) for cell in cells]
    cell, place = [(cell, place) for cell, place in places if place and inside in cell.group()][index]
    start = cell.start() + place.start(1)
    return netlist[:start] + change(place.group(1)) + netlist[start + len(place.group(1)) :]


def flipped(bit: int) -> Callable[[str], str]:
    """Return the change of one bit of a constant, by its number."""
    return lambda constant: _with(constant, lambda width: 1 << bit % width)


def complemented(constant: str) -> str:
    """Return a constant with every bit changed."""
    return _with(constant, lambda width: (1 << width) - 1)


def _with(constant: str, mask: Callable[[int], int]) -> str:
    """Return a constant of Verilog with the bits changed that a mask, of its width, has."""
    found = re.fullmatch(r"(\d+)'s?([hdb])(\w+)", constant)
    assert found is not None, f"{constant} must be a constant"
    width, base, digits = found.groups()
    value = int(digits, {"h": 16, "d": 10, "b": 2}[base]) ^ mask(int(width))
    return f"{width}'h{value:x}"
