"""How the parts of an engine spread over the SLRs of a board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.arch.board import Board
from rtl.regions import region_tiles, regions

__all__ = ["slr_shares"]

_IN_TILES = ("tile", "slice")


def slr_shares(parts: Sequence[tuple[str, str]], ports: int, board: Board) -> np.ndarray:
    """Return which share of each part of an engine of so many ports lies in each SLR, [SLRs, parts]; parts are units and names.

    Tiles with their slices lie where the package deals them, what serves all tiles in the SLR it names, everything else with the
    memory.

    Raises:
        ConfigError: the board's memory lies between its SLRs.
    """
    found = np.zeros((len(board.slrs.value), len(parts)))
    dealt = regions(ports, slrs=len(found), memory_slr=board.memory_slr)
    places = {cell: slr for slr, cells in dealt.cells for cell in cells}
    tiles = [0.0] * len(found)
    for region, own in region_tiles(ports).items():
        tiles[dealt.slrs[region]] += len(own) / ports
    for index, (unit, name) in enumerate(parts):
        if name in _IN_TILES:
            found[:, index] = tiles
            continue
        cells = [name] if unit == "memories" else [f"{unit}/{name}", unit]
        found[next((places[f"engine/{cell}"] for cell in cells if f"engine/{cell}" in places), board.memory_slr), index] = 1.0
    return found
