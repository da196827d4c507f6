"""Where the boxes and words of the floorplan's picture lie: SLRs with their tiles and units, what is used, and wires between."""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping

from hwsim.arch.board import RESOURCES
from rtl.floorplan import Floorplan
from rtl.package.estimates import Estimates

__all__ = ["Box", "Picture", "Word", "picture"]

_WIDTH = 960
_EDGE = 20
_LEFT, _TILE, _TILES, _TILE_HEIGHT = 140, 42, 12, 30
"""Where tiles begin, how far they are apart in both directions, and how many lie in a row."""
_CHIP_HEIGHT, _LETTER = 26, 7.2
_RIGHT = _LEFT + _TILES * _TILE
_BARS, _TRACK, _BAR = 730, 120, 20
"""Where the bars of the resources begin, how long and how far apart they are."""
_GAP, _PADDING = 54, 14
_TILE_CELL = re.compile(r"/tile_\d+$")
_LOOSE = ("top",)
"""Units of the estimate that are no unit of the engine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle, what it is, and what shows under the pointer."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    tip: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Word:
    """A text at a point; `anchor` is start, middle or end."""

    x: float
    y: float
    content: str
    kind: str = "text"
    anchor: str = "start"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """Boxes and words in a frame, those behind first."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    words: tuple[Word, ...]


def picture(
    plan: Floorplan,
    *,
    slrs: int,
    memory_slr: int,
    channels: int,
    lines: int | None,
    line_limit: int | None,
    estimates: Estimates | None,
) -> Picture:
    """Return the floorplan of an engine: the top SLR at the top, the memory beside its SLR, and wires where they cross.

    slrs, memory_slr: SLRs in a row, and the one that the memory is at.
    channels: pseudo channels of the memory.
    lines, line_limit: lines over each boundary, and how many may be used; None where that is not known.
    estimates: what is used and what crosses; without them the picture shows tiles and units alone.
    """
    units = _units(plan, slrs, memory_slr, estimates)
    items: list[Box | Word] = []
    y = float(_EDGE)
    memory = f"HBM: {channels} pseudo channels"
    if memory_slr != 0:
        items += _memory(y, memory)
        y += _CHIP_HEIGHT + _PADDING
    for slr in reversed(range(slrs)):
        tiles = [port for port, place in enumerate(plan.tiles) if place == slr]
        height = _height(tiles, units[slr])
        name = f"SLR{slr}" if estimates is None else estimates.slrs[slr].name
        items.append(Box(x=_EDGE, y=y, width=_WIDTH - 2 * _EDGE, height=height, kind="slr"))
        items.append(Word(x=_EDGE + _PADDING, y=y + 30, content=name, kind="name"))
        items.append(Word(x=_EDGE + _PADDING, y=y + 50, content=f"{len(tiles)} tile{'' if len(tiles) == 1 else 's'}"))
        items += _tiles(y + _PADDING, tiles)
        items += _chips(y + _PADDING + _rows(len(tiles), _TILES) * _TILE_HEIGHT, units[slr])
        if estimates is not None:
            items += _bars(y + _PADDING, estimates.slrs[slr].used, estimates.slrs[slr].shares, estimates.fill)
        y += height
        if slr > 0:
            if estimates is not None:
                items += _wires(y, estimates.wires[slr - 1].wires, lines, line_limit)
            y += _GAP
    if memory_slr == 0:
        items += _memory(y + _PADDING, memory)
        y += _PADDING + _CHIP_HEIGHT
    boxes = tuple(item for item in items if isinstance(item, Box))
    words = tuple(item for item in items if isinstance(item, Word))
    return Picture(width=_WIDTH, height=y + _EDGE, boxes=boxes, words=words)


def _units(plan: Floorplan, slrs: int, memory_slr: int, estimates: Estimates | None) -> list[list[str]]:
    """Return the units and memories in each SLR: those that the floorplan places, and by the memory those that it does not."""
    found: list[list[str]] = [[] for _ in range(slrs)]
    placed = dict.fromkeys(cell for cell in plan.moved if not _TILE_CELL.search(cell))
    for slr, cells in plan.regions:
        found[slr] += [cell.removeprefix("engine/") for cell in cells if cell in placed]
    names = {part.name if part.unit == "memories" else part.unit for part in estimates.parts} if estimates else set()
    found[memory_slr] += sorted(name for name in names if f"engine/{name}" not in placed and name not in _LOOSE)
    return found


def _rows(count: int, most: int) -> int:
    return math.ceil(count / most)


def _places(names: Iterable[str]) -> list[tuple[float, int, float, str]]:
    """Return place, row, width and name of boxes that are written one beside the other, as far as there is room."""
    found, x, row = [], 0.0, 0
    for name in names:
        width = len(name) * _LETTER + 14
        if x and x + width > _RIGHT - _LEFT:
            x, row = 0.0, row + 1
        found.append((x, row, width, name))
        x += width + 6
    return found


def _height(tiles: list[int], units: list[str]) -> float:
    chips = max((row + 1 for _, row, _, _ in _places(units)), default=0)
    left = _rows(len(tiles), _TILES) * _TILE_HEIGHT + chips * (_CHIP_HEIGHT + 4)
    return max(left, len(RESOURCES) * _BAR) + 2 * _PADDING


def _tiles(y: float, tiles: list[int]) -> Iterator[Box | Word]:
    for place, port in enumerate(tiles):
        x, top = _LEFT + place % _TILES * _TILE, y + place // _TILES * _TILE_HEIGHT
        yield Box(x=x, y=top, width=_TILE - 6, height=_TILE_HEIGHT - 6, kind="tile", tip=f"tile {port}")
        yield Word(x=x + (_TILE - 6) / 2, y=top + 17, content=str(port), kind="inside", anchor="middle")


def _chips(y: float, units: list[str]) -> Iterator[Box | Word]:
    for x, row, width, name in _places(units):
        top = y + row * (_CHIP_HEIGHT + 4)
        yield Box(x=_LEFT + x, y=top, width=width, height=_CHIP_HEIGHT, kind="unit")
        yield Word(x=_LEFT + x + width / 2, y=top + 17, content=name, kind="inside", anchor="middle")


def _bar(x: float, y: float, width: float, share: float, most: float | None, tip: str) -> Iterator[Box]:
    """Draw a share of a whole, and a mark at what of it may be used."""
    is_over = share > (1.0 if most is None else most)
    yield Box(x=x, y=y, width=width, height=10, kind="track", tip=tip)
    yield Box(x=x, y=y, width=width * min(share, 1.0), height=10, kind="over" if is_over else "used", tip=tip)
    if most is not None:
        yield Box(x=x + width * most - 1, y=y - 3, width=2, height=16, kind="mark", tip=f"{most:.0%} may be used")


def _bars(
    y: float, used: Mapping[str, float], shares: Mapping[str, float | None], fill: Mapping[str, float]
) -> Iterator[Box | Word]:
    for row, name in enumerate(RESOURCES):
        top, share = y + row * _BAR, shares[name]
        yield Word(x=_BARS - 10, y=top + 11, content=name.upper(), anchor="end")
        if share is None:
            yield Word(x=_BARS, y=top + 11, content="none there")
            continue
        yield from _bar(_BARS, top + 2, _TRACK, share, fill[name], f"{used[name]:,.0f}")
        yield Word(x=_BARS + _TRACK + 10, y=top + 11, content=f"{share:.1%}")


def _wires(y: float, wires: int, lines: int | None, limit: int | None) -> Iterator[Box | Word]:
    yield Box(x=_LEFT + 26, y=y, width=6, height=_GAP, kind="way")
    budget = "" if limit is None else f", of which {limit:,} may be used"
    of = "" if lines is None else f", {wires / lines:.1%} of {lines:,} lines{budget}"
    yield Word(x=_LEFT + 46, y=y + 22, content=f"{wires:,} wires{of}")
    if lines is not None:
        yield from _bar(
            _LEFT + 46, y + 32, _RIGHT - _LEFT - 52, wires / lines, None if limit is None else limit / lines, f"{wires:,}"
        )


def _memory(y: float, title: str) -> Iterator[Box | Word]:
    yield Box(x=_EDGE, y=y, width=_WIDTH - 2 * _EDGE, height=_CHIP_HEIGHT, kind="memory")
    yield Word(x=_WIDTH / 2, y=y + 17, content=title, kind="inside", anchor="middle")
