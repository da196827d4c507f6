"""SystemVerilog around the engine for cocotbext-axi, which adds only the AXI identifier signals that the engine does not use."""

from amaranth.lib.wiring import Out

from hwsim.arch.config import EngineConfig
from rtl.engine import engine_members
from testbenches.build import port_text

__all__ = ["PUBLIC", "TOP", "wrapper_text"]

TOP = "protocol"
PUBLIC = ("clk", "rst_n", "interrupt", "s_axi_control_*", "m_axi_*")
"""Signals of the wrapper that a bench reaches."""


def wrapper_text(config: EngineConfig) -> str:
    """Return the SystemVerilog of the wrapper for an engine: its ports, `clk` and `rst_n` for its clock and reset."""
    ports, pins, ids = [], [], []
    for name, member in engine_members(config).items():
        if not name.startswith(("s_axi_", "m_axi_")):
            continue
        ports.append(port_text(name, member.shape, member.flow is Out))
        pins.append(name)
        for address, answer in (("ar", "r"), ("aw", "b")):
            if name.startswith("m_axi_") and name.endswith(f"{address}valid"):
                master = name.removesuffix(f"{address}valid")
                ports += [port_text(f"{master}{address}id", 1, True), port_text(f"{master}{answer}id", 1, False)]
                ids.append(f"    assign {master}{address}id = 1'b0;")
    comma, line = ",\n", "\n"
    connections = (comma + "        ").join(f".{name}({name})" for name in pins)
    return f"""// Generated for engine {config.name}: the engine with identifiers for its masters.
module {TOP} (
    input  logic clk,
    input  logic rst_n,
    output logic interrupt,
{comma.join(ports)}
);
{line.join(ids)}
    engine dut (.ap_clk(clk), .ap_rst_n(rst_n), .interrupt(interrupt),
        {connections});
endmodule
"""
