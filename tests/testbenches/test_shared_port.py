"""Whole programs on a kernel whose side port is behind a stream port's master: every bit of the memory that they leave."""

import itertools
import re

import pytest
from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.hdl import Shape
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.registers import KERNEL
from hwsim.memory.models import stalling
from rtl.engine import SIDE_PORT, engine_members, stream_port, trace_ports
from rtl.interfaces import WRITE_BEAT_BITS, assign, axi_read, axi_write
from rtl.package import kernel
from rtl.shared_port import SIDE_ID, shared_members
from rtl.verilog import TOP, convert, generate
from testbenches.random_program import random_program
from testbenches.verilated import Verilated
from tests.testbenches.test_random import verdict_on

WIDE = load_engine("tiny").with_values({"tile.port_bits": 256, "tile.tokens": 1})


class Divider(wiring.Component):
    """The memory's end of the shared master: turns it into a stream port and a side port again, for a bench that knows these."""

    def __init__(self, data_bits: int):
        self.data_bits = data_bits
        super().__init__({name: member.flip() for name, member in shared_members(data_bits).items()})

    def elaborate(self, platform):
        m = Module()
        axi, stream, side = self.axi, self.stream, self.side
        lanes = self.data_bits // WRITE_BEAT_BITS
        is_side = axi.arid == SIDE_ID
        m.d.comb += [
            *assign(stream, axi, "araddr"),
            stream.arlen.eq(axi.arlen),
            stream.arvalid.eq(axi.arvalid & ~is_side),
            side.araddr.eq(axi.araddr),
            side.arlen.eq((axi.arlen + 1) * lanes - 1),
            side.arvalid.eq(axi.arvalid & is_side),
            axi.arready.eq(Mux(is_side, side.arready, stream.arready)),
            stream.rready.eq(1),
            side.rready.eq(1),
        ]
        # Narrow beats are put together, and wait for a cycle in which the stream has none.
        lane, beat = Signal(range(lanes)), Signal(self.data_bits)
        m.submodules.waiting = waiting = SyncFIFOBuffered(width=self.data_bits + 1, depth=256)
        whole = Cat(beat[WRITE_BEAT_BITS:], side.rdata)
        m.d.comb += [
            waiting.w_data.eq(Cat(whole, side.rlast)),
            waiting.w_en.eq(side.rvalid & (lane == lanes - 1)),
            waiting.r_en.eq(waiting.r_rdy & ~stream.rvalid),
            axi.rvalid.eq(stream.rvalid | waiting.r_rdy),
            axi.rid.eq(Mux(stream.rvalid, 0, SIDE_ID)),
            axi.rdata.eq(Mux(stream.rvalid, stream.rdata, waiting.r_data)),
            axi.rlast.eq(Mux(stream.rvalid, stream.rlast, waiting.r_data[-1])),
        ]
        with m.If(side.rvalid):
            m.d.sync += [beat.eq(whole), lane.eq(lane + 1)]
        # A write is passed on when its address and its data are there: the strobes say which lane it is.
        strobes = data.ArrayLayout(WRITE_BEAT_BITS // 8, lanes)
        chosen, both = Signal(range(lanes)), Signal()
        for number in range(lanes):
            with m.If(strobes(axi.wstrb)[number].any()):
                m.d.comb += chosen.eq(number)
        m.d.comb += [
            both.eq(axi.awvalid & axi.wvalid),
            side.awaddr.eq(axi.awaddr + Cat(Const(0, 4), chosen)),
            side.awvalid.eq(both & side.wready),
            side.wvalid.eq(both & side.awready),
            side.wdata.eq(axi.wdata.word_select(chosen, WRITE_BEAT_BITS)),
            side.wstrb.eq(axi.wstrb.word_select(chosen, WRITE_BEAT_BITS // 8)),
            side.wlast.eq(1),
            axi.awready.eq(both & side.awready & side.wready),
            axi.wready.eq(both & side.awready & side.wready),
            *assign(axi, side, "bresp", "bvalid"),
            side.bready.eq(axi.bready),
        ]
        return m


def shared_sources(engine: EngineConfig, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return Verilog that has the ports of the engine and is its kernel, with a divider behind the shared master."""
    monkeypatch.setattr(kernel, "MOST_MASTERS", engine.tile.ports)
    assert kernel.shares_master(engine)
    members, traces = engine_members(engine), [port.name for port in trace_ports(engine)]
    files = dict(generate(engine))
    core, count = re.subn(rf"^module {TOP}\(", "module core(", files.pop("engine.v"), flags=re.M)
    assert count == 1
    declared = "".join(f"    output wire [{port.width - 1}:0] {port.name},\n" for port in trace_ports(engine))
    top = kernel.wrapper_verilog(engine).replace(f"    {TOP} {TOP} (", "    core core (")
    top = top.replace(f"module {KERNEL} (\n", f"module kernel (\n{declared}")
    for name in traces:
        top = top.replace(f".{name}()", f".{name}({name})")
    bus, outer = kernel.side_bus(engine), stream_port(engine.tile.ports - 1)
    divided = {name: member for name, member in members.items() if name.startswith((SIDE_PORT, outer))}
    master = shared_members(engine.tile.port_bits)["axi"].signature.members
    wires = "".join(f"    wire [{_width(member) - 1}:0] shared_{name};\n" for name, member in master.items())
    ports = [
        f"    {'input' if member.flow is In else 'output'} wire [{_width(member) - 1}:0] {name}" for name, member in members.items()
    ]
    pins = [f".{name}({name})" for name in members if name not in divided]
    pins += [f".{bus}_{name}(shared_{name})" for name in master]
    ends = [f".axi__{name}(shared_{name})" for name in master]
    ends += [f".stream__{name}({outer}{name})" for name in axi_read(1).members]
    ends += [f".side__{name}({SIDE_PORT}{name})" for name in (*axi_read(1).members, *axi_write(1).members)]
    sizes = itertools.chain(
        ((f"{outer}arsize", engine.tile.port_bytes), (f"{outer}arburst", 2)),
        *(((f"{SIDE_PORT}{way}size", WRITE_BEAT_BITS // 8), (f"{SIDE_PORT}{way}burst", 2)) for way in ("ar", "aw")),
    )
    ties = "".join(f"    assign {name} = {value.bit_length() - 1};\n" for name, value in sizes)
    text = ",\n".join(ports)
    return files | {
        "core.v": core,
        "kernel.v": top,
        "shared_port.v": kernel.shared_verilog(engine),
        "divider.v": convert(Divider(engine.tile.port_bits), "divider"),
        "engine.v": f"""module {TOP} (
{text}
);
{wires}{ties}    kernel kernel ({", ".join(pins)});
    divider divider (.clk(ap_clk), .rst(~ap_rst_n), {", ".join(ends)});
endmodule
""",
    }


def _width(member: wiring.Member) -> int:
    return Shape.cast(member.shape).width


@pytest.mark.parametrize("seed", [0, 1])
def test_a_program_leaves_what_it_would_with_a_master_for_each(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every bit; cycles are others, since ports wait for each other."""
    verilated = Verilated(WIDE, optimize="-O0", sources=shared_sources(WIDE, monkeypatch))
    verdict, bytes_wrong = verdict_on(verilated, WIDE, random_program(WIDE, seed), stalling(seed))
    assert verdict.compared > 0
    assert (verdict.mismatches, bytes_wrong) == (0, 0)
