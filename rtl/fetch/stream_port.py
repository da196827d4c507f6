"""A complete stream port: its AXI master, the reader that drives it and the FIFO that takes its beats."""

from amaranth import Module
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.axi import ADDRESS_BITS, AxiReadSignature
from rtl.fetch.port_reader import PortReader
from rtl.fetch.stream_fifo import StreamFifo
from rtl.instance import Shared

__all__ = ["StreamPort"]


class StreamPort(Shared):
    """A port reader and a stream FIFO behind one AXI read master; `fault` pulses the cycle after a failed beat."""

    module = "stream_port"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        """Return the members of the component's signature."""
        bits = config.tile.port_bits
        return {
            "axi": Out(AxiReadSignature(bits)),
            "base": In(ADDRESS_BITS),
            "start": In(1),
            "offset": In(32),
            "beats": In(32),
            "stop": In(1),
            "clear": In(1),
            "active": Out(1),
            "quiet": Out(1),
            "fault": Out(1),
            "head": Out(bits),
            "ready": Out(1),
            "pop": In(1),
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = PortReader(self.config)
        m.submodules.fifo = fifo = StreamFifo(depth=self.config.fetch.fifo_beats, width=self.config.tile.port_bits)
        axi = self.axi
        m.d.comb += [
            reader.base.eq(self.base),
            reader.start.eq(self.start),
            reader.offset.eq(self.offset),
            reader.beats.eq(self.beats),
            reader.pop.eq(self.pop),
            reader.beat.eq(axi.rvalid),
            reader.stop.eq(self.stop),
            reader.clear.eq(self.clear),
            reader.arready.eq(axi.arready),
            axi.araddr.eq(reader.araddr),
            axi.arlen.eq(reader.arlen),
            axi.arvalid.eq(reader.arvalid),
            # The reader's credit guarantees that every beat fits the FIFO.
            axi.rready.eq(1),
            fifo.push.eq(axi.rvalid),
            fifo.push_data.eq(axi.rdata),
            fifo.pop.eq(self.pop),
            fifo.clear.eq(self.clear),
            self.head.eq(fifo.head),
            self.ready.eq(fifo.ready),
            self.active.eq(reader.active),
            self.quiet.eq(reader.quiet),
        ]
        m.d.sync += self.fault.eq(axi.rvalid & axi.rresp.any())
        return m
