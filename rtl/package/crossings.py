"""The wires between SLRs of an engine whose tiles lie in several, and the registers at their ends."""

import dataclasses

from amaranth import Shape

from hwsim.arch.config import EngineConfig
from rtl.matrix.stages import DECODE
from rtl.matrix.tile import Tile

__all__ = ["CROSSINGS", "Crossing", "bits_of", "word_registers"]


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
