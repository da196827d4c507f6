"""The regions of an engine, and the SLRs of a device that they lie in; nothing of the circuit is made for it."""

import dataclasses
from collections.abc import Mapping

from hwsim.errors import ConfigError

__all__ = ["FAR", "NEAR", "SHARED", "Regions", "region_tiles", "regions"]

NEAR, SHARED, FAR = "near", "shared", "far"
"""The region by the memory, that of what serves all tiles, and the one beyond it."""
_REGIONS = (NEAR, SHARED, FAR)
_LEAST_TILES = 6
"""Least number of tiles that is worth more than one region."""
_SHARED_LOGIC = 5 / 32
"""Look-up tables of what serves all tiles as a share of those of all tiles."""
_CELLS: Mapping[str, tuple[str, ...]] = {
    SHARED: (
        "engine/matrix",
        "engine/vector",
        "engine/mover/picker",
        "engine/activation_write",
        "engine/activation_shared",
        "engine/load",
        "engine/result_vector_a",
        "engine/result_vector_b",
        "engine/result_mover",
        "engine/residual",
        "engine/parameter_vector",
        "engine/parameter_matrix",
        "engine/value_parameters",
        "engine/scales",
    ),
    NEAR: ("engine/matrix/front", "engine/matrix/near", "engine/matrix/broadcast_near", "engine/activation_near"),
    FAR: ("engine/matrix/far",),
}
"""Cells of each region, each after the one it is part of; what is not named answers the memory or the host, and lies near."""


def region_tiles(ports: int, columns: int = 1) -> Mapping[str, tuple[int, ...]]:
    """Return the tiles of each region of an engine of `ports` tiles, of which `ports / columns` give results to the same lanes.

    Tiles of the same lanes lie in one region where that is possible, since their results share wires. Regions are dealt about
    equally full: the shared one gets fewer tiles, the near one, which has the stream ports too, no more than the far one.
    """
    if ports < _LEAST_TILES:
        return {SHARED: tuple(range(ports))}
    counts = dict.fromkeys(_REGIONS, 0)
    for _ in range(ports):
        counts[min(reversed(_REGIONS), key=lambda region: counts[region] + _SHARED_LOGIC * ports * (region == SHARED))] += 1
    in_columns = sorted(range(ports), key=lambda port: (port % columns, port))
    found, first = {}, 0
    for region, count in counts.items():
        found[region] = tuple(sorted(in_columns[first : first + count]))
        first += count
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regions:
    """Where an engine lies.

    Attributes:
        order: SLRs from the memory's on.
        slrs: SLR of each region.
        cells: (SLR, cells) in the order they are to be placed, each a path below the kernel's instance; others lie by the memory.
    """

    order: tuple[int, ...]
    slrs: Mapping[str, int]
    cells: tuple[tuple[int, tuple[str, ...]], ...]


def regions(ports: int, *, slrs: int, memory_slr: int) -> Regions:
    """Return where an engine of `ports` tiles lies on a device of `slrs` SLRs in a row, its memory at `memory_slr`, an end of it.

    Each region has an SLR of its own, where there are as many. Raises ConfigError where the memory lies between SLRs.
    """
    if memory_slr not in (0, slrs - 1):
        raise ConfigError(f"Memory must be at the first or the last of {slrs} SLRs, not at SLR{memory_slr}")
    order = tuple(range(slrs)) if memory_slr == 0 else tuple(reversed(range(slrs)))
    tiles = region_tiles(ports)
    if len(tiles) == 1 or slrs == 1:
        return Regions(order=order[:1], slrs=dict.fromkeys(tiles, memory_slr), cells=())
    places = {region: order[min(place, slrs - 1)] for place, region in enumerate(_REGIONS)}
    cells = tuple((places[region], cells) for region, cells in _CELLS.items() if places[region] != memory_slr or region == NEAR)
    return Regions(order=order, slrs=places, cells=cells)
