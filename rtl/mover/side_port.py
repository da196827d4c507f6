"""The side port: a reader, whose beats are always taken, and a writer of one beat at a time with the responses it waits for."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.timing import SIDE_BURST_BEATS
from rtl.interfaces import ADDRESS_BITS, WRITE_BEAT_BITS, axi_read, axi_write

__all__ = ["BEATS_BITS", "WRITE_BEAT", "WRITE_QUEUE_BEATS", "SideReader", "SideWriter"]

BEATS_BITS = 13
"""Bits of a number of beats: the largest program."""
_BEAT_BYTES = WRITE_BEAT_BITS // 8


class SideReader(wiring.Component):
    """Reads `beats` 16-byte beats from `address`, which is 1 KiB aligned so that no burst crosses 4 KiB.

    Started in cycle t, `arvalid` is up from t + 1 on. `valid` and `data` are the port's own, in the cycle a beat
    arrives; `last` marks the last beat. `stop` starts no further burst; `quiet`: nothing is offered or outstanding.
    """

    start: In(1)
    address: In(ADDRESS_BITS)
    beats: In(BEATS_BITS)
    axi: Out(axi_read(WRITE_BEAT_BITS))
    valid: Out(1)
    data: Out(WRITE_BEAT_BITS)
    last: Out(1)
    error: Out(1)
    stop: In(1)
    clear: In(1)
    quiet: Out(1)

    def elaborate(self, platform):
        m = Module()
        axi = self.axi
        to_ask, to_come, outstanding = (Signal(BEATS_BITS, name=name) for name in ("to_ask", "to_come", "outstanding"))
        offered = Signal()
        # Equal `to_ask != 0` and `outstanding == 0`, but come from registers.
        asks = Signal()
        none_outstanding = Signal(init=1)
        length = Signal(range(SIDE_BURST_BEATS + 1))
        accepted = Signal()
        m.d.comb += [
            length.eq(Mux(to_ask > SIDE_BURST_BEATS, SIDE_BURST_BEATS, to_ask)),
            # An address once offered stays until it is accepted, also when stopped.
            axi.arvalid.eq(asks & (~self.stop | offered)),
            axi.arlen.eq(length - 1),
            axi.rready.eq(1),
            accepted.eq(axi.arvalid & axi.arready),
            self.valid.eq(axi.rvalid),
            self.data.eq(axi.rdata),
            self.last.eq(to_come == 1),
            self.error.eq(axi.rvalid & axi.rresp[1]),
            self.quiet.eq(~offered & none_outstanding & (~asks | self.stop)),
        ]
        m.d.sync += [
            offered.eq(axi.arvalid & ~axi.arready),
            outstanding.eq(outstanding + Mux(accepted, length, 0) - axi.rvalid),
            none_outstanding.eq(~accepted & Mux(axi.rvalid, outstanding == 1, none_outstanding)),
        ]
        with m.If(accepted):
            m.d.sync += [
                to_ask.eq(to_ask - length),
                asks.eq(to_ask > SIDE_BURST_BEATS),
                axi.araddr.eq(axi.araddr + SIDE_BURST_BEATS * _BEAT_BYTES),
            ]
        with m.If(axi.rvalid):
            m.d.sync += to_come.eq(to_come - 1)
        with m.If(self.start):
            m.d.sync += [axi.araddr.eq(self.address), to_ask.eq(self.beats), asks.eq(self.beats != 0), to_come.eq(self.beats)]
        with m.If(self.clear):
            # The bus is quiet by then; only what was never asked for is forgotten.
            m.d.sync += [to_ask.eq(0), asks.eq(0), to_come.eq(0)]
        return m


WRITE_BEAT = data.StructLayout({"address": ADDRESS_BITS, "data": WRITE_BEAT_BITS, "strobe": WRITE_BEAT_BITS // 8})
"""A beat to be written."""

WRITE_QUEUE_BEATS = 16
"""Beats the queue holds: more than the cycles from asking for a beat to its room being free again."""


class SideWriter(wiring.Component):
    """Writes the queued beats in order.

    A beat pushed in cycle c can rise from c + 1 on. Address and data rise together while `go`, each falls when
    accepted; the next beat rises in the cycle after both were. `popped`: a beat left the queue. `response` marks a
    response, `error` a bad one. `stop` raises no further beat; `quiet`: nothing is offered or unanswered.
    """

    push: In(1)
    beat: In(WRITE_BEAT)
    go: In(1)
    popped: Out(1)
    axi: Out(axi_write(WRITE_BEAT_BITS))
    response: Out(1)
    error: Out(1)
    stop: In(1)
    clear: In(1)
    quiet: Out(1)

    def elaborate(self, platform):
        m = Module()
        axi = self.axi
        m.submodules.beats = beats = memory.Memory(shape=WRITE_BEAT, depth=WRITE_QUEUE_BEATS, init=[])
        write, read = beats.write_port(), beats.read_port(domain="comb")
        write_index, read_index = (Signal(range(WRITE_QUEUE_BEATS), name=f"{name}_index") for name in ("write", "read"))
        level = Signal(range(WRITE_QUEUE_BEATS + 1))
        # Equals `level != 0`, but comes from a register.
        has_beat = Signal()
        risen = Signal()
        address_taken = Signal()
        data_taken = Signal()
        present, address_done, data_done = (Signal(name=name) for name in ("present", "address_done", "data_done"))
        unanswered = Signal(16)
        head = read.data
        m.d.comb += [
            write.en.eq(self.push),
            write.addr.eq(write_index),
            write.data.eq(self.beat),
            read.addr.eq(read_index),
            # A beat once risen stays until both halves are accepted, also when stopped.
            present.eq(risen | (has_beat & self.go & ~self.stop)),
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
            self.quiet.eq(~risen & (unanswered == 0) & (self.stop | ~has_beat)),
        ]
        m.d.sync += [
            risen.eq(present & ~self.popped),
            address_taken.eq(present & address_done & ~self.popped),
            data_taken.eq(present & data_done & ~self.popped),
            level.eq(level + self.push - self.popped),
            has_beat.eq(self.push | Mux(self.popped, level > 1, has_beat)),
            unanswered.eq(unanswered + self.popped - axi.bvalid),
        ]
        with m.If(self.push):
            m.d.sync += write_index.eq(write_index + 1)
        with m.If(self.popped):
            m.d.sync += read_index.eq(read_index + 1)
        with m.If(self.clear):
            m.d.sync += [level.eq(0), has_beat.eq(0), write_index.eq(0), read_index.eq(0)]
        return m
