"""The `stalling` memory's gaps: in which cycles a channel of a port is held down."""

from __future__ import annotations

from hwsim.arch.timing import STALL_RATE
from hwsim.compiled import compiled_part

__all__ = ["CHANNEL_AR", "CHANNEL_AW", "CHANNEL_B", "CHANNEL_R", "CHANNEL_W", "gap"]

CHANNEL_AR, CHANNEL_R, CHANNEL_AW, CHANNEL_W, CHANNEL_B = range(5)
"""Numbers of the AXI channels in `gap`."""

_RATE = STALL_RATE


@compiled_part
def gap(seed: int, port: int, channel: int, cycle: int) -> bool:
    """Return whether `channel` of `port` is held down in `cycle`; ports 0 .. P-1 are streams, P is the side port."""
    word = 0xFFFFFFFF
    x = ((cycle * 0x9E3779B1) & word) ^ (((seed + port * 8 + channel) * 0x85EBCA77) & word)
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & word
    x ^= x >> 12
    x = (x * 0x297A2D39) & word
    x ^= x >> 15
    return (x & 0xFF) < _RATE
