"""The bench around the engine's Verilog: one memory a port, the trace recorder, and the clock's cycle count, as SystemVerilog."""

from fractions import Fraction

from amaranth.lib.wiring import Out

from hwsim.arch import timing
from hwsim.arch.config import EngineConfig
from hwsim.memory.parameters import TIMES, Hbm2Parameters
from rtl.engine import LITE_PORT, engine_members
from rtl.interfaces import WRITE_BEAT_BITS
from testbenches.verilator import bench_text, port_text, public_text

__all__ = ["CODES_RECORD", "DRAIN_RECORD", "EVENT_RECORD", "REGION_BITS", "SIDE_REGION", "TOP", "bench_files", "hbm2_word"]

TOP = "bench"
REGION_BITS = 36
"""Address bits of a memory region; port p is region p, the side memory SIDE_REGION."""
SIDE_REGION = 64
_LEAST_DEPTH = 256
"""Least number of bursts and responses that a memory holds; a stream port requests at most `fifo_beats`, split at page ends."""
EVENT_RECORD, DRAIN_RECORD, CODES_RECORD = 0, 1, 2
"""Kinds of trace records: event bits (dispatch, issue x 4, retire x 4, done), a drained word, a word of codes."""

_HBM2_BITS = 32 * (6 + len(TIMES))
"""Bits of the memory's `hbm2_law`: both clocks, four sizes, the times."""

_PUBLIC = ("clk", "rst_n", "stalling", "hbm2", "hbm2_law", "seed", "fault_port", "fault_beat", "interrupt", "s_axi_control_*")

_READ = {"araddr": 64, "arlen": 8, "arvalid": 1, "arready": 1, "rdata": 0, "rresp": 2, "rlast": 1, "rvalid": 1, "rready": 1}
_WRITE = {"awaddr": 64, "awvalid": 1, "awready": 1, "wdata": 0, "wstrb": 0, "wvalid": 1, "wready": 1}
_WRITE |= {"bresp": 2, "bvalid": 1, "bready": 1}
"""Widths of the signals between engine and memories; those of data depend on the port."""


def hbm2_word(parameters: Hbm2Parameters, clock_hz: float) -> int:
    """Return the bits that the memories read as `hbm2_law`: both clocks in lowest terms, sizes as powers of two, times."""
    ratio = Fraction(clock_hz) / parameters.clock_hz
    sizes = (parameters.atom_bytes, parameters.row_bytes, parameters.banks_per_group, parameters.bank_groups)
    numbers = [ratio.numerator, ratio.denominator, *(size.bit_length() - 1 for size in sizes)]
    numbers += [getattr(parameters, name) for name in TIMES]
    return sum(number << 32 * index for index, number in enumerate(numbers))


def bench_files(config: EngineConfig, *, engine: str = "engine") -> dict[str, str]:
    """Return the files of the bench around an engine, text by name: the bench, its memories, what Python can reach.

    `engine` is the module under test: the engine, or what has its ports.
    """
    tile, members = config.tile, engine_members(config)
    data = {"rdata": tile.port_bits}
    ports = [{"name": f"{port:02d}", "signals": _READ | data} for port in range(tile.ports)]
    data = {"rdata": WRITE_BEAT_BITS, "wdata": WRITE_BEAT_BITS, "wstrb": WRITE_BEAT_BITS // 8}
    ports.append({"name": "side", "signals": _READ | _WRITE | data})
    values = {
        "config": config,
        "engine": engine,
        "top": TOP,
        "lite": [port_text(name, each.shape, each.flow is Out) for name, each in members.items() if name.startswith(LITE_PORT)],
        "traces": {name: member.shape for name, member in members.items() if name.startswith("trace_")},
        "same": [f".{name}({name})" for name in members if name.startswith((LITE_PORT, "trace_"))],
        "ports": ports,
        "depth": max(_LEAST_DEPTH, 2 * config.fetch.fifo_beats),
        "timing": timing,
        "hbm2_bits": _HBM2_BITS,
        "region_bits": REGION_BITS,
        "side_region": SIDE_REGION,
        "event_record": EVENT_RECORD,
        "drain_record": DRAIN_RECORD,
        "codes_record": CODES_RECORD,
    }
    return {
        "bench.sv": bench_text("templates/bench.sv", values),
        "bench.vlt": public_text(TOP, _PUBLIC),
        **{name: bench_text(name) for name in ("hbm2.sv", "memory.sv", "memory.cpp")},
    }
