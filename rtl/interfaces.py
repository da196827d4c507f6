"""The ports between control, units and memories, declared in one place so that units can be built and tested alone."""

from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.command import COMMAND

__all__ = ["PACK_ENTRY", "PACK_WORDS", "SCALE_ENTRY", "UnitSizes", "address_bits", "command_port", "lane_write_port", "read_port"]

SCALE_ENTRY = data.StructLayout({"mantissa": 16, "exponent": 10, "zero_sum": 32})
"""An entry of the scale file; exponent and zero_sum are two's complement."""

PACK_WORDS = 8
PACK_ENTRY = data.StructLayout({"words": data.ArrayLayout(128, PACK_WORDS), "parameter": 32})
"""An entry of the pack buffer: the cache words of a head, and its parameter word."""


def command_port() -> dict:
    """Return the members by which a unit is driven, seen from the unit.

    `command_valid`: the queue head is visible and its tokens are there. The unit answers `issue` in the same cycle
    when it is free; `retire` pulses for one cycle; instructions retire in order.
    """
    return {"command": In(COMMAND), "command_valid": In(1), "issue": Out(1), "retire": Out(1)}


def read_port(name: str, address_bits: int, data_bits: int) -> dict:
    """Return the members of a synchronous read port (data one cycle after the address), seen from the reader."""
    return {f"{name}_address": Out(address_bits), f"{name}_data": In(data_bits)}


def lane_write_port(name: str, address_bits: int, lanes: int, lane_bits: int = 32) -> dict:
    """Return the members of a write port with one enable a lane, seen from the writer."""
    return {f"{name}_enable": Out(lanes), f"{name}_address": Out(address_bits), f"{name}_data": Out(lanes * lane_bits)}


def address_bits(depth: int) -> int:
    """Return the width of an address of a memory of `depth` words."""
    return max(1, (depth - 1).bit_length())


class UnitSizes:
    """Address widths of an engine's memories, derived once."""

    def __init__(self, config: EngineConfig):
        buffer = config.buffer
        self.lanes = config.vector.lanes
        self.word_bits = 32 * self.lanes
        self.result = address_bits(buffer.result_words)
        self.residual = address_bits(buffer.residual_words)
        self.parameter = address_bits(buffer.parameter_words)
        self.side = address_bits(buffer.side_words)
        self.activation = address_bits(buffer.activation_segments)
        self.scales = address_bits(buffer.scales)
