"""The address side of one stream port: it cuts a range of beats into bursts and requests only beats that fit the FIFO."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.axi import ADDRESS_BITS

__all__ = ["PortReader"]


class PortReader(wiring.Component):
    """Requests `beats` beats from beat `offset` on after `start`; docs/engine.md section 3 has its timing.

    `active` is up while bursts remain to be accepted; `quiet` when no address is up and no beat outstanding. While
    `stop` is up no new address rises; one that is up stays until accepted. `clear` forgets everything.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "base": In(ADDRESS_BITS),
                "start": In(1),
                "offset": In(32),
                "beats": In(32),
                "pop": In(1),
                "beat": In(1),
                "stop": In(1),
                "clear": In(1),
                "active": Out(1),
                "quiet": Out(1),
                "araddr": Out(ADDRESS_BITS),
                "arlen": Out(8),
                "arvalid": Out(1),
                "arready": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        burst, depth = self.config.fetch.burst_beats, self.config.fetch.fifo_beats
        beat_shift = self.config.tile.port_bytes.bit_length() - 1
        offset = Signal(32)
        remaining = Signal(32)
        credit = Signal(range(depth + 1), init=depth)
        outstanding = Signal(range(depth + 1))
        room = Signal(range(burst + 1))
        length = Signal(range(burst + 1))
        taken = Signal(range(burst + 1))
        is_last = Signal()
        waiting = Signal()
        accepted = Signal()
        m.d.comb += [
            room.eq(burst - offset % burst),
            is_last.eq(remaining <= room),
            length.eq(Mux(is_last, remaining, room)),
            # Credit cannot fall while an address waits, so a raised valid stays up, also when `stop` rises.
            self.arvalid.eq(self.active & (credit >= length) & (~self.stop | waiting)),
            self.araddr.eq(self.base + (offset << beat_shift)),
            self.arlen.eq(length - 1),
            accepted.eq(self.arvalid & self.arready),
            taken.eq(Mux(accepted, length, 0)),
            self.quiet.eq(~self.arvalid & (outstanding == 0)),
        ]
        m.d.sync += [
            waiting.eq(self.arvalid & ~self.arready),
            credit.eq(credit - taken + self.pop),
            outstanding.eq(outstanding + taken - self.beat),
        ]
        with m.If(self.start):
            m.d.sync += [offset.eq(self.offset), remaining.eq(self.beats), self.active.eq(self.beats != 0)]
        with m.Elif(accepted):
            m.d.sync += [offset.eq(offset + length), remaining.eq(remaining - length)]
            with m.If(is_last):
                m.d.sync += self.active.eq(0)
        with m.If(self.clear):
            m.d.sync += [self.active.eq(0), waiting.eq(0), credit.eq(depth), outstanding.eq(0)]
        return m
