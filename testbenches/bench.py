"""The bench around the engine's Verilog: one memory a port, the trace recorder, and the clock's cycle count, as SystemVerilog."""

from fractions import Fraction
from importlib import resources

from amaranth.lib.wiring import Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.timing import READ_LATENCY, STALL_RATE, WRITE_LATENCY
from hwsim.memory.parameters import TIMES, Hbm2Parameters
from rtl.engine import LITE_PORT, engine_members
from testbenches.verilator import port_text, public_text

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

_MEMORY_FILES = ("hbm2.sv", "memory.sv", "memory.cpp")
_PUBLIC = ("clk", "rst_n", "stalling", "hbm2", "hbm2_law", "seed", "fault_port", "fault_beat", "interrupt", "s_axi_control_*")

_READ = ("araddr", "arlen", "arvalid", "arready", "rdata", "rresp", "rlast", "rvalid", "rready")
_WRITE = ("awaddr", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready", "bresp", "bvalid", "bready")


def _widths(bits: int) -> dict[str, int]:
    return {"araddr": 64, "arlen": 8, "rdata": bits, "rresp": 2, "awaddr": 64, "wdata": bits, "wstrb": bits // 8, "bresp": 2}


def hbm2_word(parameters: Hbm2Parameters, clock_hz: float) -> int:
    """Return the bits that the memories read as `hbm2_law`: both clocks in lowest terms, sizes as powers of two, times."""
    ratio = Fraction(clock_hz) / parameters.clock_hz
    sizes = (parameters.atom_bytes, parameters.row_bytes, parameters.banks_per_group, parameters.bank_groups)
    numbers = [ratio.numerator, ratio.denominator, *(size.bit_length() - 1 for size in sizes)]
    numbers += [getattr(parameters, name) for name in TIMES]
    return sum(number << 32 * index for index, number in enumerate(numbers))


def _port(config: EngineConfig, name: str, bits: int, number: int, writes: bool) -> tuple[list[str], str, list[str]]:
    """Return (declarations, memory instance, engine connections) of one AXI port; its wires are called `m_<name>_*`."""
    names = _READ + (_WRITE if writes else ())
    widths = _widths(bits)
    declarations = [f"    logic [{widths.get(signal, 1) - 1}:0] m_{name}_{signal};" for signal in names]
    pins = [f".{signal}(m_{name}_{signal})" for signal in names]
    if not writes:
        idle = {"awaddr": "64'd0", "awvalid": "1'b0", "wdata": "'0", "wstrb": "'0", "wvalid": "1'b0", "bready": "1'b1"}
        pins += [f".{signal}({idle.get(signal, '')})" for signal in _WRITE]
    memory = (
        f"    bench_memory #(.DATA_BITS({bits}), .PORT({number}), .PORTS({config.tile.ports}),"
        f" .DEPTH({max(_LEAST_DEPTH, 2 * config.fetch.fifo_beats)}),"
        f" .READ_LATENCY({READ_LATENCY}), .WRITE_LATENCY({WRITE_LATENCY}), .STALL_RATE({STALL_RATE}), .HBM2_BITS({_HBM2_BITS}),"
        f" .REGION_BITS({REGION_BITS}), .SIDE_REGION({SIDE_REGION})) memory_{name} (.clk(clk), .rst_n(rst_n), .cycle(cycle),"
        f" .stalling(stalling), .hbm2(hbm2), .hbm2_law(hbm2_law), .seed(seed),"
        f" .fault_beat(fault_port == 32'd{number} ? fault_beat : 32'hFFFFFFFF), {', '.join(pins)});"
    )
    return declarations, memory, [f".m_axi_{name}_{signal}(m_{name}_{signal})" for signal in names]


def bench_files(config: EngineConfig, *, engine: str = "engine") -> dict[str, str]:
    """Return the files of the bench around an engine, text by name: the bench, its memories, what Python can reach.

    `engine` is the module under test: the engine, or what has its ports.
    """
    folder = resources.files("testbenches") / "verilog"
    return {
        "bench.sv": _bench_text(config, engine),
        "bench.vlt": public_text(TOP, _PUBLIC),
        **{name: (folder / name).read_text() for name in _MEMORY_FILES},
    }


def _bench_text(config: EngineConfig, engine: str) -> str:
    """Return the SystemVerilog of the bench; its ports are clock, reset, memory settings and AXI-Lite."""
    tile, lanes, members = config.tile, config.vector.lanes, engine_members(config)
    declarations: list[str] = []
    memories: list[str] = []
    pins: list[str] = []
    ports = [(f"{port:02d}", tile.port_bits, port, False) for port in range(tile.ports)] + [("side", 128, tile.ports, True)]
    for name, bits, number, writes in ports:
        own, memory, connect = _port(config, name, bits, number, writes)
        declarations += own
        memories.append(memory)
        pins += connect
    lite = [port_text(name, each.shape, each.flow is Out) for name, each in members.items() if name.startswith(LITE_PORT)]
    traces = {name: member.shape for name, member in members.items() if name.startswith("trace_")}
    declarations += [f"    logic [{width - 1}:0] {name};" for name, width in traces.items()]
    pins += [f".{name}({name})" for name in members if name.startswith((LITE_PORT, "trace_"))]
    comma, line = ",\n", "\n"
    return f"""// Generated for engine {config.name}: the engine, its memories and the trace recorder.
module {TOP} (
    input  logic clk,
    input  logic rst_n,
    input  logic stalling,
    input  logic hbm2,
    input  logic [{_HBM2_BITS - 1}:0] hbm2_law,
    input  logic [31:0] seed,
    input  logic [31:0] fault_port,
    input  logic [31:0] fault_beat,
    output logic interrupt,
{comma.join(lite)}
);
    import "DPI-C" function void bench_trace(input int kind, input int cycle, input int words, input bit [1023:0] data);

    // The engine's cycle number: zero in the first cycle of a run.
    logic [31:0] counter;
    wire [31:0] cycle = trace_cycle_start ? 32'd0 : counter;
    always_ff @(posedge clk) counter <= cycle + 32'd1;

{line.join(declarations)}

    always_ff @(posedge clk) if (rst_n) begin
        if (trace_dispatch != 0 || trace_issue != 0 || trace_retire != 0 || trace_done != 0)
            bench_trace({EVENT_RECORD}, cycle, 1, 1024'({{trace_done, trace_retire, trace_issue, trace_dispatch}}));
        if (trace_drained != 0) bench_trace({DRAIN_RECORD}, cycle, {lanes}, 1024'(trace_drained_data));
        if (trace_vector != 0) bench_trace({CODES_RECORD}, cycle, {lanes // 4}, 1024'(trace_vector_data));
    end

{line.join(memories)}

    {engine} dut (.ap_clk(clk), .ap_rst_n(rst_n), .interrupt(interrupt),
        {(comma + "        ").join(pins)});
endmodule
"""
