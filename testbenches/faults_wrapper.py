"""SystemVerilog around the engine: a fault injector behind each AXI master, and a counter of cycles without progress."""

from amaranth.lib.wiring import Out

from hwsim.arch.config import EngineConfig
from rtl.engine import SIDE_PORT, engine_members, stream_port
from testbenches.build import port_text

__all__ = ["PUBLIC", "TOP", "wrapper_text"]

TOP = "faulty_engine"
PUBLIC = ("fault_*",)
"""Signals of the wrapper that a bench reaches: what the injectors are told, and what they count."""

_READ = {"arvalid": 1, "arready": 1, "rvalid": 1, "rready": 1, "rresp": 2}
_WRITE = {"awvalid": 1, "awready": 1, "wvalid": 1, "wready": 1, "bvalid": 1, "bready": 1, "bresp": 2}


def _injector(prefix: str, number: int, writes: bool) -> tuple[list[str], set[str]]:
    """Return the text of the injector of one port, and the signals that go through it; the engine's side is `e_<signal>`."""
    through = _READ | (_WRITE if writes else {})
    wires = [f"    logic [{width - 1}:0] e_{prefix}{name};" for name, width in through.items()]
    pins = [f".e_{name}(e_{prefix}{name}), .m_{name}({prefix}{name})" for name in through]
    if not writes:
        inputs = {"e_awvalid": 1, "m_awready": 1, "e_wvalid": 1, "m_wready": 1, "m_bvalid": 1, "e_bready": 1, "m_bresp": 2}
        pins += [f".{name}({width}'d0)" for name, width in inputs.items()]
        pins += [f".{name}()" for name in ("e_awready", "m_awvalid", "e_wready", "m_wvalid", "m_bready", "e_bvalid", "e_bresp")]
    line = (
        f"    fault_port #(.PORT({number})) injector_{number} (.clk(ap_clk), .rst_n(ap_rst_n), .arm(fault_arm), .rate(fault_rate),"
        f" .seed(fault_seed), .here(fault_port == 32'd{number}), .block(fault_block), .block_after(fault_block_after),"
        " .bad_read(fault_bad_read), .bad_write(fault_bad_write), .response(fault_response),"
        f" .reads(fault_reads_{number}), .writes(fault_writes_{number}), {', '.join(pins)});"
    )
    counts = [f"    logic [31:0] fault_reads_{number}, fault_writes_{number};"]
    return [*wires, *counts, line], {prefix + name for name in through}


def wrapper_text(config: EngineConfig) -> str:
    """Return the SystemVerilog of a module with the engine's ports."""
    ports, pins, body = [], [], []
    through: set[str] = set()
    prefixes = [(stream_port(port), port, False) for port in range(config.tile.ports)] + [(SIDE_PORT, config.tile.ports, True)]
    for prefix, number, writes in prefixes:
        text, names = _injector(prefix, number, writes)
        body += text
        through |= names
    for name, member in engine_members(config).items():
        ports.append(port_text(name, member.shape, member.flow is Out))
        pins.append(f".{name}({'e_' if name in through else ''}{name})")
    comma, line = ",\n", "\n"
    return f"""// Generated for engine {config.name}: the engine behind fault injectors.
module {TOP} (
{comma.join(ports)}
);
    logic fault_arm;
    logic [31:0] fault_port, fault_seed, fault_block_after, fault_bad_read, fault_bad_write;
    logic [7:0] fault_rate;
    logic [4:0] fault_block;
    logic [1:0] fault_response;

    // Most cycles of a run in which nothing was dispatched, retired or drained, one after the other.
    logic [31:0] fault_silence, silence;
    wire event_now = trace_dispatch != 0 || trace_retire != 0 || trace_drained != 0;
    wire [31:0] longer = !trace_running || event_now ? 32'd0 : silence + 32'd1;
    always_ff @(posedge ap_clk) begin
        silence <= longer;
        if (fault_arm) fault_silence <= 0;
        else if (longer > fault_silence) fault_silence <= longer;
    end

{line.join(body)}

    engine inner ({(comma + "        ").join(pins)});
endmodule
"""
