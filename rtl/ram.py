"""One memory primitive for every on-chip memory: one write port with lane enables, one synchronous read port."""

from amaranth import ClockSignal, Instance, Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import address_bits

__all__ = ["URAM_WORDS", "Ram", "VerilogPlatform"]

URAM_WORDS = 4096
"""Words of an UltraRAM of 72 bits (UG573): wide memories of this depth fill whole ones."""


class VerilogPlatform:
    """Given as the platform of a conversion to Verilog: memories become instances of `primitives/ram.v`.

    Amaranth's simulator, whose platform is None, simulates memories of its own; converted, those would write out
    every initial word.
    """


class Ram(wiring.Component):
    """Words of `lanes` x `lane_bits`; a read addressed in cycle c gives data in c + 1.

    Nothing may depend on what a word gives that is read in the cycle in which it is written: in this model it is the old one, and
    in co-simulation a wrong one (`primitives/ram.v`).
    """

    def __init__(self, *, depth: int, lanes: int, lane_bits: int, style: str = "auto"):
        self.depth, self.lanes, self.lane_bits, self.style = depth, lanes, lane_bits, style
        super().__init__(
            {
                "write_enable": In(lanes),
                "write_address": In(address_bits(depth)),
                "write_data": In(lanes * lane_bits),
                "read_address": In(address_bits(depth)),
                "read_data": Out(lanes * lane_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if isinstance(platform, VerilogPlatform):
            m.submodules.array = Instance(
                "ram",
                p_DEPTH=self.depth,
                p_ADDRESS_BITS=address_bits(self.depth),
                p_LANES=self.lanes,
                p_LANE_BITS=self.lane_bits,
                p_STYLE=self.style,
                i_clk=ClockSignal(),
                i_write_enable=self.write_enable,
                i_write_address=self.write_address,
                i_write_data=self.write_data,
                i_read_address=self.read_address,
                o_read_data=self.read_data,
            )
            return m
        m.submodules.array = array = memory.Memory(
            shape=self.lanes * self.lane_bits, depth=self.depth, init=[], attrs={"ram_style": self.style}
        )
        write = array.write_port(granularity=self.lane_bits)
        read = array.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
        ]
        return m
