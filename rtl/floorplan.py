"""The floorplan: the SLR of each cell of the engine, and the registers between which stream words cross from SLR to SLR."""

import dataclasses

from hwsim.arch.config import EngineConfig
from rtl.matrix.region import tiles_of
from rtl.matrix.stages import DECODE
from rtl.regions import regions

__all__ = ["Floorplan", "floorplan", "word_registers"]


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
        tiles: SLR of each tile.
    """

    regions: tuple[tuple[int, tuple[str, ...]], ...]
    waypoints: tuple[tuple[int, tuple[str, ...]], ...]
    registers: tuple[str, ...]
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
    tiles = dict.fromkeys(range(config.tile.ports), memory_slr)
    waypoints: dict[int, list[str]] = {}
    registers = []
    words = word_registers()
    for region, ports in tiles_of(config).items():
        slr = found.slrs[region]
        way = found.order[: found.order.index(slr)]
        assert len(way) < len(words), "a tile must have a word register for each SLR on the way"
        for port in ports:
            tiles[port] = slr
            for stop, name in zip(way, words, strict=False):
                waypoints.setdefault(stop, []).append(f"engine/matrix/{region}/tile_{port}/{name}_reg*")
            if way:
                registers += [f"engine/matrix/{region}/tile_{port}/{name}_reg*" for name in words[: len(way) + 1]]
    return Floorplan(
        regions=found.cells,
        waypoints=tuple((slr, tuple(names)) for slr, names in waypoints.items()),
        registers=tuple(registers),
        tiles=tuple(tiles.values()),
    )
