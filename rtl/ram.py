"""One memory primitive for every on-chip memory: one write port with lane enables, one synchronous read port."""

from amaranth import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Ram"]


class Ram(wiring.Component):
    """`depth` words of `lanes` x `lane_bits`; a read addressed in cycle c gives data in c + 1, old data on a collision."""

    def __init__(self, *, depth: int, lanes: int, lane_bits: int, style: str = "auto"):
        self.depth, self.lanes, self.lane_bits, self.style = depth, lanes, lane_bits, style
        address_bits = max(1, (depth - 1).bit_length())
        super().__init__(
            {
                "write_enable": In(lanes),
                "write_address": In(address_bits),
                "write_data": In(lanes * lane_bits),
                "read_address": In(address_bits),
                "read_data": Out(lanes * lane_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
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
