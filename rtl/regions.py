"""The SLR of each tile and cell of an engine on a device, by its number of ports; nothing of the circuit is made for it."""

import dataclasses

from hwsim.errors import ConfigError

__all__ = ["Regions", "regions"]

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
class Regions:
    """Where an engine lies.

    Attributes:
        order: SLRs from the memory's on.
        tiles: SLR of each tile.
        cells: (SLR, cells) in the order they are to be placed, each a path below the kernel's instance; others lie by the memory.
    """

    order: tuple[int, ...]
    tiles: tuple[int, ...]
    cells: tuple[tuple[int, tuple[str, ...]], ...]


def regions(ports: int, *, slrs: int, memory_slr: int) -> Regions:
    """Return where an engine of `ports` tiles lies on a device of `slrs` SLRs in a row, its memory at `memory_slr`, an end of it.

    Tiles are dealt in the order of their ports, those nearest the memory first, so that SLRs are about equally full: the
    shared one gets fewer, the memory's, which has the stream ports too, no more than the farthest. Raises ConfigError where
    the memory lies between SLRs.
    """
    if memory_slr not in (0, slrs - 1):
        raise ConfigError(f"Memory must be at the first or the last of {slrs} SLRs, not at SLR{memory_slr}")
    if slrs == 1 or ports < _TILES_PER_SLR * slrs:
        return Regions(order=(memory_slr,), tiles=(memory_slr,) * ports, cells=())
    order = tuple(range(slrs)) if memory_slr == 0 else tuple(reversed(range(slrs)))
    shared, counts = order[1], [0] * slrs
    for _ in range(ports):
        place = min(reversed(range(slrs)), key=lambda place: counts[place] + _SHARED_LOGIC * ports * (place == 1))
        counts[place] += 1
    tiles = tuple(slr for slr, count in zip(order, counts, strict=True) for _ in range(count))
    cells = [(shared, _SHARED), (memory_slr, _NEAR_STREAMS)]
    cells += [(slr, tuple(f"engine/matrix/tile_{port}" for port in range(ports) if tiles[port] == slr)) for slr in order]
    return Regions(order=order, tiles=tiles, cells=tuple(cells))
