"""The FETCH unit: one command starts every port reader; the streams of all ports are popped together."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch import isa
from hwsim.arch.config import EngineConfig
from rtl.axi import ADDRESS_BITS, AxiReadSignature
from rtl.command import field
from rtl.fetch.stream_port import StreamPort
from rtl.instance import Shared, place
from rtl.interfaces import command_port

__all__ = ["Fetch"]


class Fetch(wiring.Component):
    """Streams of P ports behind P AXI read masters; docs/engine.md section 3 is its contract.

    Members beyond the command port:
        bases: byte address of each port's memory.
        head, head_valid, pop: the oldest beat of every port; valid when every port has one; pop takes them all.
        stop: no new address rises while up. quiet: no address up, no beat outstanding.
        bus_error, bus_error_port: a pulse in the cycle after a beat with an error response, and the lowest such port.
        clear: while quiet, empties FIFOs, credits and state.

    With `inline` the ports are submodules, as Amaranth's simulator needs them; otherwise instances of `shared_modules`.
    """

    def __init__(self, config: EngineConfig, *, inline: bool = False):
        self.config, self.inline = config, inline
        ports, bits = config.tile.ports, config.tile.port_bits
        super().__init__(
            command_port()
            | {
                "bases": In(data.ArrayLayout(ADDRESS_BITS, ports)),
                "axi": Out(AxiReadSignature(bits)).array(ports),
                "head": Out(data.ArrayLayout(bits, ports)),
                "head_valid": Out(1),
                "pop": In(1),
                "stop": In(1),
                "quiet": Out(1),
                "bus_error": Out(1),
                "bus_error_port": Out(8),
                "clear": In(1),
            }
        )

    @property
    def shared_modules(self) -> tuple[type[Shared], ...]:
        """Components whose Verilog the instances refer to."""
        return () if self.inline else (StreamPort,)

    def elaborate(self, platform):
        m = Module()
        ports = [place(m, f"port_{index}", StreamPort, self.config, inline=self.inline) for index in range(self.config.tile.ports)]
        busy = Signal()
        fault = Cat(port.fault for port in ports)
        for index, port in enumerate(ports):
            axi = self.axi[index]
            m.d.comb += [
                port.base.eq(self.bases[index]),
                port.start.eq(self.issue),
                port.offset.eq(field(self.command, isa.Fetch, "offset")),
                port.beats.eq(field(self.command, isa.Fetch, "beats")),
                port.stop.eq(self.stop),
                port.clear.eq(self.clear),
                port.pop.eq(self.pop),
                self.head[index].eq(port.head),
                axi.araddr.eq(port.axi.araddr),
                axi.arlen.eq(port.axi.arlen),
                axi.arvalid.eq(port.axi.arvalid),
                axi.rready.eq(port.axi.rready),
                port.axi.arready.eq(axi.arready),
                port.axi.rdata.eq(axi.rdata),
                port.axi.rresp.eq(axi.rresp),
                port.axi.rlast.eq(axi.rlast),
                port.axi.rvalid.eq(axi.rvalid),
            ]
        m.d.comb += [
            self.issue.eq(self.command_valid & ~busy),
            self.retire.eq(busy & ~Cat(port.active for port in ports).any()),
            self.head_valid.eq(Cat(port.ready for port in ports).all()),
            self.quiet.eq(Cat(port.quiet for port in ports).all()),
            self.bus_error.eq(fault.any()),
        ]
        for index in reversed(range(len(ports))):
            with m.If(ports[index].fault):
                m.d.comb += self.bus_error_port.eq(index)
        with m.If(self.issue):
            m.d.sync += busy.eq(1)
        with m.Elif(self.retire | self.clear):
            m.d.sync += busy.eq(0)
        return m
