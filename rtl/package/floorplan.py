"""The floorplan: the SLR of each cell of the engine, and the registers at the wires between SLRs."""

import dataclasses

from hwsim.arch.config import EngineConfig
from hwsim.errors import ConfigError
from rtl.package.crossings import CROSSINGS, bits_of, word_registers

__all__ = ["Floorplan", "floorplan"]

_TILES_PER_SLR = 2
"""Least number of tiles per SLR that is worth a crossing; an engine with fewer stays in one SLR."""
_SHARED = (
    "engine/matrix",
    "engine/vector",
    "engine/activation",
    "engine/result_vector_a",
    "engine/result_vector_b",
    "engine/result_mover",
    "engine/residual",
    "engine/parameter_vector",
    "engine/parameter_matrix",
    "engine/value_parameters",
    "engine/scales",
)
"""Cells that serve all tiles: they lie in the SLR beside the memory's, so that no wire to a tile crosses two boundaries."""
_SHARED_LOGIC = 5 / 32
"""Look-up tables of these cells as a share of those of all tiles (by the estimate of `u280`: 113 and 712 thousand)."""
_NEAR_STREAMS = ("engine/matrix/sequencer", "engine/matrix/drain")
"""Parts of the above that answer the stream FIFOs within a cycle; they lie beside the FIFOs."""


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

    Tiles are dealt in the order of their ports, those nearest the memory first, so that SLRs are about equally full: the
    shared one gets fewer, the memory's, which has the stream ports too, no more than the farthest. Raises ConfigError where
    the memory lies between SLRs.
    """
    if memory_slr not in (0, slrs - 1):
        raise ConfigError(f"Memory must be at the first or the last of {slrs} SLRs, not at SLR{memory_slr}")
    ports = config.tile.ports
    if slrs == 1 or ports < _TILES_PER_SLR * slrs:
        return Floorplan(regions=(), waypoints=(), registers=(), wires=(), tiles=(memory_slr,) * ports)
    order = list(range(slrs)) if memory_slr == 0 else list(reversed(range(slrs)))
    shared, counts = order[1], [0] * slrs
    for _ in range(ports):
        place = min(reversed(range(slrs)), key=lambda place: counts[place] + _SHARED_LOGIC * ports * (place == 1))
        counts[place] += 1
    tiles = tuple(slr for slr, count in zip(order, counts, strict=True) for _ in range(count))
    regions = [(shared, _SHARED), (memory_slr, _NEAR_STREAMS)]
    regions += [(slr, tuple(f"engine/matrix/tile_{port}" for port in range(ports) if tiles[port] == slr)) for slr in order]
    waypoints: dict[int, list[str]] = {}
    registers = []
    for port, slr in enumerate(tiles):
        way = order[1 : order.index(slr)]
        words = word_registers()
        assert len(way) < len(words), "a tile must have a word register for each SLR on the way"
        for stop, name in zip(way, words, strict=False):
            waypoints.setdefault(stop, []).append(f"engine/matrix/tile_{port}/{name}_reg*")
        if way:
            registers += [f"engine/matrix/tile_{port}/{name}_reg*" for name in words[: len(way) + 1]]
    return Floorplan(
        regions=tuple(regions),
        waypoints=tuple((slr, tuple(names)) for slr, names in waypoints.items()),
        registers=tuple(registers),
        wires=_wires(config, [order.index(slr) for slr in tiles], order),
        tiles=tiles,
    )


def _wires(config: EngineConfig, tiles: list[int], order: list[int]) -> tuple[tuple[int, int], ...]:
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
