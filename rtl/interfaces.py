"""The ports between control, units, memories and buses, declared in one place so that units can be built and tested alone."""

from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import Flow, In, Out, Signature

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import HEADER, WORD_BITS, Instruction

__all__ = [
    "ADDRESS_BITS",
    "COMMAND",
    "PACK_ENTRY",
    "PACK_WORDS",
    "SCALE_ENTRY",
    "WRITE_BEAT_BITS",
    "UnitSizes",
    "address_bits",
    "assign",
    "axi_read",
    "axi_write",
    "command_port",
    "field",
    "flags",
    "header",
    "is_kind",
    "lane_write_port",
    "read_port",
]

COMMAND = data.StructLayout({"word": WORD_BITS, "operand": data.ArrayLayout(32, 3)})
"""A queue entry: the instruction word and the registers of its three operand slots."""


def field(command: data.View, kind: type[Instruction], name: str) -> Value:
    """Return a field of an instruction of class `kind`; operand fields come with their register added, in 32 bits."""
    declared = kind.field(name)
    raw = command.word[declared.offset : declared.offset + declared.width]
    if declared.register is not None:
        return (raw + command.operand[declared.register])[:32]
    return raw.as_signed() if declared.signed else raw


def header(word: Value, name: str) -> Value:
    """Return a field of the header of an instruction word."""
    offset, width = HEADER[name]
    return word[offset : offset + width]


def is_kind(command: data.View, kind: type[Instruction]) -> Value:
    """Return whether the command's opcode is that of `kind`."""
    return header(command.word, "opcode") == kind.opcode


SCALE_ENTRY = data.StructLayout({"mantissa": 16, "exponent": 10, "zero_sum": 32})
"""An entry of the scale file; exponent and zero_sum are two's complement."""

PACK_WORDS = 8
PACK_ENTRY = data.StructLayout({"words": data.ArrayLayout(128, PACK_WORDS), "parameter": 32})
"""An entry of the pack buffer: the cache words of a head, and its parameter word."""


def flags(flow: Flow, *names: str) -> dict:
    """Return members of one bit, all inputs (`In`) or all outputs (`Out`)."""
    return dict.fromkeys(names, flow(1))


def command_port() -> dict:
    """Return the members by which a unit is driven, seen from the unit.

    `command_valid`: the queue head is visible and its tokens are there. The unit answers `issue` in the same cycle
    when it is free; `retire` pulses for one cycle; instructions retire in order.
    """
    return {"command": In(COMMAND), "command_valid": In(1), "issue": Out(1), "retire": Out(1)}


def read_port(name: str, address_bits: int, data_bits: int) -> dict:
    """Return the members of a synchronous read port (data one cycle after the address), seen from the reader."""
    return {f"{name}_address": Out(address_bits), f"{name}_data": In(data_bits)}


def lane_write_port(name: str, address_bits: int, lanes: int) -> dict:
    """Return the members of a write port with one enable a lane, seen from the writer."""
    return {f"{name}_enable": Out(lanes), f"{name}_address": Out(address_bits), f"{name}_data": Out(32 * lanes)}


def assign(target, source, *names: str) -> list:
    """Return the assignments of ports or fields of `source` to those of the same names of `target`."""
    return [getattr(target, name).eq(getattr(source, name)) for name in names]


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


ADDRESS_BITS = 64
WRITE_BEAT_BITS = 128
"""Width of the side port."""


def axi_read(data_bits: int) -> Signature:
    """Return the read address and read data channels, seen from the master."""
    members = {
        "araddr": Out(ADDRESS_BITS),
        "arlen": Out(8),
        "arvalid": Out(1),
        "arready": In(1),
        "rdata": In(data_bits),
        "rresp": In(2),
        "rlast": In(1),
        "rvalid": In(1),
        "rready": Out(1),
    }
    return Signature(members)


def axi_write(data_bits: int) -> Signature:
    """Return the write address, write data and write response channels, seen from the master."""
    members = {
        "awaddr": Out(ADDRESS_BITS),
        "awlen": Out(8),
        "awvalid": Out(1),
        "awready": In(1),
        "wdata": Out(data_bits),
        "wstrb": Out(data_bits // 8),
        "wlast": Out(1),
        "wvalid": Out(1),
        "wready": In(1),
        "bresp": In(2),
        "bvalid": In(1),
        "bready": Out(1),
    }
    return Signature(members)
