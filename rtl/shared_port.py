"""One master of the memory for a stream port and the side port: memories take fewer masters than an engine has ports."""

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Member, Out, Signature
from amaranth.utils import exact_log2

from hwsim.arch.timing import SIDE_BURST_BEATS
from rtl.interfaces import WRITE_BEAT_BITS, assign, axi_read, axi_write

__all__ = ["SIDE_ID", "SLOTS", "SharedPort", "shared_members"]

SLOTS = 4
"""Bursts of the side port that are under way at most: enough for the latency of a memory behind a switch."""
SIDE_ID = 1
"""Identifier of what the side port asks for; the stream's is 0."""

_ANSWER = ("rdata", "rresp", "rlast")
_BEAT_BYTES = WRITE_BEAT_BITS // 8


def shared_members(data_bits: int) -> dict[str, Member]:
    """Return the members of a shared port: `stream`, `side`, and the master with the identifiers, `axi`; see SharedPort."""
    side = Signature({**axi_read(WRITE_BEAT_BITS).members, **axi_write(WRITE_BEAT_BITS).members})
    ids = {"arid": Out(1), "rid": In(1), "awid": Out(1), "bid": In(1)}
    master = Signature({**axi_read(data_bits).members, **axi_write(data_bits).members, **ids})
    return {"stream": In(axi_read(data_bits)), "side": In(side), "axi": Out(master)}


class SharedPort(wiring.Component):
    """Puts a stream port and the side port behind one master whose beats are as wide as the stream's.

    `stream` and `side` see it as the memory. Answers to the two have identifiers of their own, so that they may come in any order
    and mixed. The stream's own beats pass in the cycle in which they come. Bursts of the side port are asked for in whole beats,
    before those of the stream, and only where there is room for all of their beats; these leave one after the other, in order.
    Its writes are one beat each, of which the strobes choose 16 bytes. The side port keeps its address up as long as its data, and
    both ports always take what comes, as the engine's do.
    """

    def __init__(self, data_bits: int):
        self.data_bits = data_bits
        super().__init__(shared_members(data_bits))

    def elaborate(self, platform):
        m = Module()
        self._read(m)
        self._write(m)
        return m

    def _read(self, m: Module) -> None:
        axi, side, stream = self.axi, self.side, self.stream
        lanes = self.data_bits // WRITE_BEAT_BITS
        place_bits = exact_log2(lanes)
        burst = data.StructLayout({"lane": range(max(lanes, 2)), "length": len(side.arlen)})

        # Addresses: what is offered stays until it is taken.
        free_slots, has_room = Signal(range(SLOTS + 1), name="free_slots", init=SLOTS), Signal(name="has_room", init=1)
        chosen, is_offered, was_chosen = (Signal(name=name) for name in ("chosen", "is_offered", "was_chosen"))
        asked, ended = Signal(), Signal()
        lane = Signal(burst["lane"].shape)
        place, address = self._divided(side.araddr)
        m.d.comb += [
            lane.eq(place),
            chosen.eq(Mux(is_offered, was_chosen, side.arvalid & has_room)),
            axi.arvalid.eq(chosen | stream.arvalid),
            axi.arid.eq(Mux(chosen, SIDE_ID, 0)),
            axi.araddr.eq(Mux(chosen, address, stream.araddr)),
            axi.arlen.eq(Mux(chosen, (side.arlen + lane) >> place_bits, stream.arlen)),
            side.arready.eq(chosen & axi.arready),
            stream.arready.eq(~chosen & axi.arready),
            asked.eq(chosen & axi.arready),
        ]
        m.d.sync += [is_offered.eq(axi.arvalid & ~axi.arready), was_chosen.eq(chosen)]
        m.d.sync += [free_slots.eq(free_slots - asked + ended), has_room.eq(Mux(asked, (free_slots > 1) | ended, has_room | ended))]

        # Beats: the stream's pass, and those of the side port wait in a memory for their turn.
        is_side = Signal()
        depth = SLOTS * SIDE_BURST_BEATS // lanes
        m.submodules.words = words = memory.Memory(shape=self.data_bits + len(axi.rresp), depth=depth, init=[])
        write, read = words.write_port(), words.read_port(domain="comb")
        write_index, read_index = (Signal(range(depth), name=f"{name}_index") for name in ("write", "read"))
        level, has_word, pop = Signal(range(depth + 1), name="level"), Signal(name="has_word"), Signal()
        m.d.comb += [
            is_side.eq(axi.rvalid & (axi.rid == SIDE_ID)),
            *assign(stream, axi, *_ANSWER),
            stream.rvalid.eq(axi.rvalid & (axi.rid != SIDE_ID)),
            axi.rready.eq(1),
            write.en.eq(is_side),
            write.addr.eq(write_index),
            write.data.eq(Cat(axi.rdata, axi.rresp)),
            read.addr.eq(read_index),
        ]
        m.d.sync += [level.eq(level + is_side - pop), has_word.eq(is_side | Mux(pop, level > 1, has_word))]
        with m.If(is_side):
            m.d.sync += write_index.eq(write_index + 1)
        with m.If(pop):
            m.d.sync += read_index.eq(read_index + 1)

        # Bursts in the order in which they were asked for, and the beat of the oldest that is next.
        bursts = Array(Signal(burst, name=f"burst_{number}") for number in range(SLOTS))
        newest, oldest = (Signal(range(SLOTS), name=name) for name in ("newest", "oldest"))
        waiting, is_under_way = Signal(range(SLOTS + 1), name="waiting"), Signal(name="is_under_way")
        current = Signal(burst)
        sends, begins, is_last = Signal(), Signal(), Signal()
        m.d.comb += [
            sends.eq(is_under_way & has_word),
            is_last.eq(current.length == 0),
            ended.eq(sends & is_last),
            pop.eq(sends & (is_last | (current.lane == lanes - 1))),
            begins.eq(~is_under_way & (waiting != 0)),
        ]
        m.d.sync += [
            waiting.eq(waiting + asked - begins),
            side.rvalid.eq(sends),
            side.rdata.eq(read.data[: self.data_bits].word_select(current.lane, WRITE_BEAT_BITS)),
            side.rresp.eq(read.data[self.data_bits :]),
            side.rlast.eq(is_last),
        ]
        with m.If(asked):
            m.d.sync += [bursts[newest].lane.eq(lane), bursts[newest].length.eq(side.arlen), newest.eq(newest + 1)]
        with m.If(begins):
            m.d.sync += [current.eq(bursts[oldest]), oldest.eq(oldest + 1), is_under_way.eq(1)]
        with m.If(sends):
            m.d.sync += [
                current.length.eq(current.length - 1),
                current.lane.eq(Mux(current.lane == lanes - 1, 0, current.lane + 1)),
            ]
        with m.If(ended):
            m.d.sync += is_under_way.eq(0)

    def _write(self, m: Module) -> None:
        axi, side = self.axi, self.side
        lanes = self.data_bits // WRITE_BEAT_BITS
        lane, address = self._divided(side.awaddr)
        m.d.comb += [
            axi.awid.eq(SIDE_ID),
            axi.awaddr.eq(address),
            *assign(axi, side, "awlen", "awvalid", "wlast", "wvalid", "bready"),
            axi.wdata.eq(side.wdata.replicate(lanes)),
            axi.wstrb.eq(side.wstrb << (lane * _BEAT_BYTES)),
            *assign(side, axi, "awready", "wready", "bresp", "bvalid"),
        ]

    def _divided(self, address: Value) -> tuple[Value, Value]:
        """Return which 16 bytes of a beat of the master an address of the side port names, and the address of that beat."""
        low, high = exact_log2(_BEAT_BYTES), exact_log2(self.data_bits // 8)
        return address[low:high], Cat(Const(0, high), address[high:])
