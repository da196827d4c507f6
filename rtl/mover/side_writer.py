"""The writer of the side port: one beat at a time out of a short queue, and the responses it waits for."""

from amaranth import Module, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import ADDRESS_BITS, WRITE_BEAT_BITS, AxiWriteSignature

__all__ = ["WRITE_BEAT", "WRITE_QUEUE_BEATS", "SideWriter"]

WRITE_BEAT = data.StructLayout({"address": ADDRESS_BITS, "data": WRITE_BEAT_BITS, "strobe": WRITE_BEAT_BITS // 8})
"""A beat to be written."""

WRITE_QUEUE_BEATS = 8
"""Beats the queue holds: more than the cycles from asking for a beat to its room being free again."""


class SideWriter(wiring.Component):
    """Writes the queued beats in order.

    A beat pushed in cycle c can rise from c + 1 on. Address and data rise together while `go`, each falls when
    accepted; the next beat rises in the cycle after both were. `popped`: a beat left the queue. `response` marks a
    response, `error` a bad one. `stop` raises no further beat; `quiet`: nothing is offered or unanswered.
    """

    def __init__(self):
        super().__init__(
            {
                "push": In(1),
                "beat": In(WRITE_BEAT),
                "go": In(1),
                "popped": Out(1),
                "axi": Out(AxiWriteSignature(WRITE_BEAT_BITS)),
                "response": Out(1),
                "error": Out(1),
                "stop": In(1),
                "clear": In(1),
                "quiet": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        axi = self.axi
        m.submodules.beats = beats = memory.Memory(shape=WRITE_BEAT, depth=WRITE_QUEUE_BEATS, init=[])
        write, read = beats.write_port(), beats.read_port(domain="comb")
        write_index, read_index = (Signal(range(WRITE_QUEUE_BEATS), name=f"{name}_index") for name in ("write", "read"))
        level = Signal(range(WRITE_QUEUE_BEATS + 1))
        risen = Signal()
        address_taken = Signal()
        data_taken = Signal()
        present = Signal()
        address_done = Signal()
        data_done = Signal()
        unanswered = Signal(16)
        head = read.data
        m.d.comb += [
            write.en.eq(self.push),
            write.addr.eq(write_index),
            write.data.eq(self.beat),
            read.addr.eq(read_index),
            # A beat once risen stays until both halves are accepted, also when stopped.
            present.eq(risen | ((level != 0) & self.go & ~self.stop)),
            axi.awaddr.eq(head.address),
            axi.awlen.eq(0),
            axi.awvalid.eq(present & ~address_taken),
            axi.wdata.eq(head.data),
            axi.wstrb.eq(head.strobe),
            axi.wlast.eq(1),
            axi.wvalid.eq(present & ~data_taken),
            axi.bready.eq(1),
            address_done.eq(address_taken | axi.awready),
            data_done.eq(data_taken | axi.wready),
            self.popped.eq(present & address_done & data_done),
            self.response.eq(axi.bvalid),
            self.error.eq(axi.bvalid & axi.bresp[1]),
            self.quiet.eq(~risen & (unanswered == 0) & (self.stop | (level == 0))),
        ]
        m.d.sync += [
            risen.eq(present & ~self.popped),
            address_taken.eq(present & address_done & ~self.popped),
            data_taken.eq(present & data_done & ~self.popped),
            level.eq(level + self.push - self.popped),
            unanswered.eq(unanswered + self.popped - axi.bvalid),
        ]
        with m.If(self.push):
            m.d.sync += write_index.eq(write_index + 1)
        with m.If(self.popped):
            m.d.sync += read_index.eq(read_index + 1)
        with m.If(self.clear):
            m.d.sync += [level.eq(0), write_index.eq(0), read_index.eq(0)]
        return m
