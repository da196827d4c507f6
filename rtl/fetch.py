"""The FETCH unit: a reader and a FIFO behind each stream port; one command starts all, and their streams are popped together."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hwsim.arch import isa
from hwsim.arch.config import EngineConfig
from hwsim.arch.timing import FIFO_LATENCY
from rtl.instance import Shared, place
from rtl.interfaces import ADDRESS_BITS, assign, axi_read, command_port, field, flags
from rtl.ram import URAM_WORDS, Ram

__all__ = ["Fetch", "PortReader", "StreamFifo", "StreamPort"]


_READY = ("ready", "stays", "follows")
"""What a FIFO says of the beats that can be popped."""


class PortReader(wiring.Component):
    """Requests `beats` beats from beat `offset` on after `start`; docs/engine.md section 3 has its timing.

    `start` comes while not `active`, which is up while bursts remain to be accepted; `quiet` when no address waits for its
    acceptance and no beat is outstanding. While `stop` is up no new address rises; one that is up stays until accepted. `clear`
    forgets everything.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "base": In(ADDRESS_BITS),
                **flags(In, "start", "pop", "beat", "stop", "clear", "arready"),
                "offset": In(32),
                "beats": In(32),
                **flags(Out, "active", "quiet", "arvalid"),
                "araddr": Out(ADDRESS_BITS),
                "arlen": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        burst, depth = self.config.fetch.burst_beats, self.config.fetch.fifo_beats
        beat_shift = self.config.tile.port_bytes.bit_length() - 1
        offset, rest = (Signal(32, name=name) for name in ("offset", "rest"))
        credit = Signal(range(depth + 1), init=depth)
        outstanding = Signal(range(depth + 1))
        length, taken, room = (Signal(range(burst + 1), name=name) for name in ("length", "taken", "room"))
        waiting, accepted, is_short, is_long = (Signal(name=name) for name in ("waiting", "accepted", "is_short", "is_long"))
        # Equals `outstanding == 0`, but comes from a register, because one gate combines it with those of all ports.
        none_outstanding = Signal(init=1)
        m.d.comb += [
            # An address that is up stays up until it is accepted, also when `stop` rises.
            self.arvalid.eq(waiting | (self.active & (credit >= length) & ~self.stop)),
            self.araddr.eq(self.base + (offset << beat_shift)),
            self.arlen.eq(length - 1),
            accepted.eq(self.arvalid & self.arready),
            taken.eq(Mux(accepted, length, 0)),
            self.quiet.eq(~waiting & none_outstanding),
        ]
        m.d.sync += [
            waiting.eq(self.arvalid & ~self.arready),
            credit.eq(credit - taken + self.pop),
            outstanding.eq(outstanding + taken - self.beat),
            none_outstanding.eq(~accepted & Mux(self.beat, outstanding == 1, none_outstanding)),
        ]
        # The first burst ends at a multiple of bursts: `length` beats of the current one, `rest` after it. They are there before
        # `start` makes them count, so that it drives few registers.
        m.d.comb += [room.eq(burst - self.offset % burst), is_short.eq(self.beats <= room), is_long.eq(rest > burst)]
        with m.If(~self.active):
            m.d.sync += [
                offset.eq(self.offset),
                length.eq(Mux(is_short, self.beats, room)),
                rest.eq(Mux(is_short, 0, self.beats - room)),
            ]
        with m.Elif(accepted):
            m.d.sync += [offset.eq(offset + length), length.eq(Mux(is_long, burst, rest)), rest.eq(Mux(is_long, rest - burst, 0))]
        with m.If(self.start):
            m.d.sync += self.active.eq(self.beats != 0)
        with m.Elif(accepted & (rest == 0)):
            m.d.sync += self.active.eq(0)
        with m.If(self.clear):
            m.d.sync += [self.active.eq(0), waiting.eq(0), credit.eq(depth), outstanding.eq(0), none_outstanding.eq(1)]
        return m


class StreamFifo(wiring.Component):
    """`depth` beats of `width` bits; a beat pushed in cycle c is poppable from c + FIFO_LATENCY on.

    `head` is the oldest beat while `ready` is up; `pop` takes it. The pusher keeps count: there is no full flag. `stays` and
    `follows` say whether `ready` is up in the next cycle where this one does not pop, and where it does: they come from registers.
    """

    def __init__(self, *, depth: int, width: int):
        # A write, then a read of the memory: two cycles at least.
        assert FIFO_LATENCY >= 2
        self.depth, self.width = depth, width
        super().__init__({**flags(In, "push", "pop", "clear"), "push_data": In(width), "head": Out(width), **flags(Out, *_READY)})

    def elaborate(self, platform):
        m = Module()
        style = "ultra" if self.depth >= URAM_WORDS else "block"
        m.submodules.memory = memory = Ram(depth=self.depth, lanes=1, lane_bits=self.width, style=style)
        write_index, read_index = (Signal(range(self.depth), name=name) for name in ("write_index", "read_index"))
        m.d.comb += [
            memory.write_enable.eq(self.push),
            memory.write_address.eq(write_index),
            memory.write_data.eq(self.push_data),
            memory.read_address.eq(read_index + self.pop),
            self.head.eq(memory.read_data),
        ]
        m.d.sync += read_index.eq(read_index + self.pop)
        with m.If(self.push):
            m.d.sync += write_index.eq(write_index + 1)

        arrived = self.push
        for stage in range(FIFO_LATENCY - 1):
            later = Signal(name=f"arrived_{stage}")
            m.d.sync += later.eq(arrived & ~self.clear)
            arrived = later
        level = Signal(range(self.depth + 1))
        # `ready` and this equal `level > 0` and `level > 1`, but come from registers, because one gate combines them with those of
        # all ports.
        has_two = Signal()
        m.d.comb += [self.stays.eq(arrived | self.ready), self.follows.eq(arrived | has_two)]
        m.d.sync += [
            level.eq(level + arrived - self.pop),
            self.ready.eq(Mux(self.pop, self.follows, self.stays)),
            has_two.eq(Mux(self.pop, Mux(arrived, has_two, level > 2), Mux(arrived, self.ready, has_two))),
        ]
        with m.If(self.clear):
            m.d.sync += [level.eq(0), self.ready.eq(0), has_two.eq(0), read_index.eq(0), write_index.eq(0)]
        return m


class StreamPort(Shared):
    """A port reader and a stream FIFO behind one AXI read master; `fault` pulses the cycle after a failed beat."""

    module = "stream_port"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        bits = config.tile.port_bits
        return {
            "axi": Out(axi_read(bits)),
            "base": In(ADDRESS_BITS),
            **flags(In, "start", "stop", "clear", "pop"),
            "offset": In(32),
            "beats": In(32),
            **flags(Out, "active", "quiet", "fault", *_READY),
            "head": Out(bits),
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = PortReader(self.config)
        m.submodules.fifo = fifo = StreamFifo(depth=self.config.fetch.fifo_beats, width=self.config.tile.port_bits)
        axi = self.axi
        m.d.comb += [
            *assign(reader, self, "base", "start", "offset", "beats", "pop", "stop", "clear"),
            *assign(self, reader, "active", "quiet"),
            *assign(axi, reader, "araddr", "arlen", "arvalid"),
            reader.arready.eq(axi.arready),
            reader.beat.eq(axi.rvalid),
            # The reader's credit guarantees that every beat fits the FIFO.
            axi.rready.eq(1),
            fifo.push.eq(axi.rvalid),
            fifo.push_data.eq(axi.rdata),
            *assign(fifo, self, "pop", "clear"),
            *assign(self, fifo, "head", *_READY),
        ]
        m.d.sync += self.fault.eq(axi.rvalid & axi.rresp.any())
        return m


class Fetch(wiring.Component):
    """Streams of P ports behind P AXI read masters; docs/engine.md section 3 is its contract.

    Members beyond the command port:
        bases: byte address of each port's memory.
        head, head_valid, pop: the oldest beat of every port; valid when every port has one; pop takes them all.
        stop: no new address rises while up. quiet: no address up, no beat outstanding.
        bus_error, bus_error_port: a pulse two cycles after a beat with an error response, and the lowest such port.
        clear: while quiet, empties FIFOs, credits and state.

    With `inline` the ports are submodules, as Amaranth's simulator needs them; otherwise instances of `shared_modules`.
    """

    shared_modules = (StreamPort,)

    def __init__(self, config: EngineConfig, *, inline: bool = False):
        self.config, self.inline = config, inline
        ports, bits = config.tile.ports, config.tile.port_bits
        super().__init__(
            command_port()
            | {
                "bases": In(data.ArrayLayout(ADDRESS_BITS, ports)),
                "axi": Out(axi_read(bits)).array(ports),
                "head": Out(data.ArrayLayout(bits, ports)),
                **flags(Out, "head_valid", "quiet", "bus_error"),
                **flags(In, "pop", "stop", "clear"),
                "bus_error_port": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        ports = [place(m, f"port_{index}", StreamPort, self.config, inline=self.inline) for index in range(self.config.tile.ports)]
        busy, any_active = (Signal(name=name) for name in ("busy", "any_active"))
        fault = Cat(port.fault for port in ports)
        for index, port in enumerate(ports):
            connect(m, flipped(self.axi[index]), port.axi)
            m.d.comb += [
                port.base.eq(self.bases[index]),
                port.start.eq(self.issue),
                port.offset.eq(field(self.command, isa.Fetch, "offset")),
                port.beats.eq(field(self.command, isa.Fetch, "beats")),
                *assign(port, self, "stop", "clear", "pop"),
                self.head[index].eq(port.head),
            ]
        m.d.comb += [
            self.issue.eq(self.command_valid & ~busy),
            any_active.eq(Cat(port.active for port in ports).any()),
            self.retire.eq(busy & ~any_active),
            self.quiet.eq(Cat(port.quiet for port in ports).all() & (self.stop | ~any_active)),
        ]
        # Whether the beats are popped is known late in a cycle, and what follows in either case before.
        stay, follow = (Cat(getattr(port, name) for port in ports).all() for name in ("stays", "follows"))
        m.d.sync += [self.head_valid.eq(Mux(self.pop, follow, stay) & ~self.clear), self.bus_error.eq(fault.any())]
        for index in reversed(range(len(ports))):
            with m.If(ports[index].fault):
                m.d.sync += self.bus_error_port.eq(index)
        with m.If(self.issue):
            m.d.sync += busy.eq(1)
        with m.Elif(self.retire | self.clear):
            m.d.sync += busy.eq(0)
        return m
