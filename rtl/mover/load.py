"""Writes the beats of a LOAD into words and lanes of the memory that it names."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Load, Space
from rtl.axi import WRITE_BEAT_BITS
from rtl.command import COMMAND, field
from rtl.interfaces import UnitSizes, lane_write_port
from rtl.mover.gather import VALUES_PER_BEAT

__all__ = ["Scatter"]


class Scatter(wiring.Component):
    """Writes the beats of the LOAD in `command`, in order from `start` on, one cycle after each `valid`."""

    def __init__(self, config: EngineConfig):
        self.lanes = config.vector.lanes
        sizes = UnitSizes(config)
        super().__init__(
            {
                "command": In(COMMAND),
                "start": In(1),
                "valid": In(1),
                "data": In(WRITE_BEAT_BITS),
                **lane_write_port("x", sizes.residual, self.lanes),
                **lane_write_port("p", sizes.parameter, self.lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parts = self.lanes // VALUES_PER_BEAT
        part_bits = parts.bit_length() - 1
        index = Signal(Load.field("beats").width)
        word = Signal(Load.field("address").width)
        values = Signal(WRITE_BEAT_BITS)
        lanes = Signal(self.lanes)
        target = Signal(Load.field("space").width)
        part = index[:part_bits]
        m.d.sync += [
            word.eq(field(self.command, Load, "address") + (index >> part_bits)),
            values.eq(self.data),
            target.eq(field(self.command, Load, "space")),
            lanes.eq(Cat((self.valid & (part == i)).replicate(VALUES_PER_BEAT) for i in range(parts))),
        ]
        with m.If(self.start):
            m.d.sync += index.eq(0)
        with m.Elif(self.valid):
            m.d.sync += index.eq(index + 1)
        for space, enable, address, written in (
            (Space.RESIDUAL, self.x_enable, self.x_address, self.x_data),
            (Space.PARAMETER, self.p_enable, self.p_address, self.p_data),
        ):
            m.d.comb += [
                enable.eq(lanes & (target == space).replicate(self.lanes)),
                address.eq(word),
                written.eq(values.replicate(parts)),
            ]
        return m
