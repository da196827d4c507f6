"""The floorplan: the SLR of each cell of the engine, the wires of tiles between SLRs, and the registers at their ends."""

import dataclasses
from collections.abc import Sequence

from amaranth import Shape

from hwsim.arch.config import EngineConfig
from rtl.matrix.slice import Tile
from rtl.matrix.stages import DECODE
from rtl.regions import regions

__all__ = ["CROSSINGS", "Crossing", "Floorplan", "bits_of", "floorplan", "word_registers"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossing:
    """A port of a tile, all of whose wires cross where the tile lies in another SLR than the rest of its unit.

    Attributes:
        port: name of the tile's port.
        is_common: whether the same wires go to every tile.
        is_from_streams: whether they come from beside the stream ports, not from what serves all tiles.
        driver: what drives it, in words.
        registers: registers inside the tile that take it, next to the port.
        receiver: what lies between the wire and the register that takes it, in words; empty where it is taken directly.
    """

    port: str
    driver: str
    is_common: bool = False
    is_from_streams: bool = False
    registers: tuple[str, ...] = ()
    receiver: str = ""


_SLICE = "register of each slice"

CROSSINGS: tuple[Crossing, ...] = (
    Crossing(port="head", driver="memory of the stream FIFO", is_from_streams=True, registers=("beat",)),
    Crossing(port="step", driver="register of the control pipeline", is_common=True, registers=("local_step",)),
    Crossing(port="slots", driver="register of the activation broadcast", is_common=True, registers=("local_slots",)),
    Crossing(port="sums", driver="register of the activation sums", is_common=True, registers=("local_sums",)),
    Crossing(
        port="repeat",
        driver="logic of the sequencer",
        is_common=True,
        is_from_streams=True,
        receiver="clock enable of the word register",
    ),
    Crossing(port="coefficients", driver="register of the matrix unit", receiver="a multiplexer of each lane"),
    Crossing(port="row_select", driver="register of the drain pipeline", is_common=True, receiver="a multiplexer of each slice"),
    Crossing(port="lane_row", driver="register of the drain pipeline", is_common=True, receiver="a multiplexer of each slice"),
    Crossing(port="lane", driver="register of the drain pipeline", is_common=True, receiver="choice of the held lane sums"),
    Crossing(port="row_scales", driver=_SLICE, receiver="the multiplexer over slices"),
    Crossing(port="parameters", driver=_SLICE, receiver="the multiplexer over slices"),
    Crossing(port="row_sums", driver=_SLICE, receiver="the multiplexer over slices"),
    Crossing(port="lane_sums", driver=_SLICE, receiver="adders of the tree over slices"),
)
"""Every port of a tile but clock and reset."""


def bits_of(config: EngineConfig, crossing: Crossing) -> int:
    """Return the wires of one tile's port."""
    return Shape.cast(Tile.ports(config)[crossing.port].shape).width


def word_registers() -> tuple[str, ...]:
    """Return the registers of a tile through which a stream word passes on its way to the slices, in order."""
    return ("beat", *(f"beat_{stage}" for stage in range(2, DECODE + 1)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Floorplan:
    """Cells by SLR, each a path below the kernel's instance; a cell comes after the one it is part of.

    Attributes:
        regions: (SLR, cells) in the order they are to be placed.
        waypoints: registers of tiles that lie in an SLR on the way to their tile's, as (SLR, patterns).
        registers: patterns of the registers between which a wire crosses, with nothing else on it.
        wires: (SLR, wires of tiles that cross between it and the next).
        tiles: SLR of each tile.
    """

    regions: tuple[tuple[int, tuple[str, ...]], ...]
    waypoints: tuple[tuple[int, tuple[str, ...]], ...]
    registers: tuple[str, ...]
    wires: tuple[tuple[int, int], ...]
    tiles: tuple[int, ...]

    @property
    def moved(self) -> tuple[str, ...]:
        """All cells that are placed."""
        return tuple(cell for _, cells in self.regions for cell in cells)


def floorplan(config: EngineConfig, *, slrs: int, memory_slr: int) -> Floorplan:
    """Return the placement of an engine on a device of `slrs` SLRs in a row, its memory at `memory_slr`, an end of it.

    Cells lie as `rtl.regions` deals them. Raises ConfigError where the memory lies between SLRs.
    """
    found = regions(config.tile.ports, slrs=slrs, memory_slr=memory_slr)
    order = found.order
    waypoints: dict[int, list[str]] = {}
    registers = []
    for port, slr in enumerate(found.tiles):
        way = order[1 : order.index(slr)]
        words = word_registers()
        assert len(way) < len(words), "a tile must have a word register for each SLR on the way"
        for stop, name in zip(way, words, strict=False):
            waypoints.setdefault(stop, []).append(f"engine/matrix/tile_{port}/{name}_reg*")
        if way:
            registers += [f"engine/matrix/tile_{port}/{name}_reg*" for name in words[: len(way) + 1]]
    return Floorplan(
        regions=found.cells,
        waypoints=tuple((slr, tuple(names)) for slr, names in waypoints.items()),
        registers=tuple(registers),
        wires=_wires(config, [order.index(slr) for slr in found.tiles], order),
        tiles=found.tiles,
    )


def _wires(config: EngineConfig, tiles: Sequence[int], order: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the wires of tiles over each boundary; places count from the memory on, what serves all tiles is at 1."""
    found = []
    for boundary in range(len(order) - 1):
        wires = 0
        for crossing in CROSSINGS:
            start = 0 if crossing.is_from_streams else 1
            over = sum(min(start, tile) <= boundary < max(start, tile) for tile in tiles)
            wires += bits_of(config, crossing) * (min(over, 1) if crossing.is_common else over)
        found.append((min(order[boundary], order[boundary + 1]), wires))
    return tuple(found)
