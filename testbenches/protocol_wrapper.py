"""SystemVerilog around the engine for cocotbext-axi, which adds only the AXI identifier signals that the engine does not use."""

from __future__ import annotations

from hwsim.arch.config import EngineConfig
from rtl.axi import ADDRESS_BITS, WRITE_BEAT_BITS, AxiReadSignature, AxiWriteSignature
from rtl.control import axi_lite_members
from rtl.engine import SIDE_PORT, stream_port

__all__ = ["PUBLIC", "TOP", "wrapper_text"]

TOP = "protocol"
PUBLIC = ("clk", "rst_n", "interrupt", "s_axi_control_*", "m_axi_*")
"""Signals of the wrapper that a bench reaches."""

_WIDTHS = (
    dict.fromkeys(("araddr", "awaddr"), ADDRESS_BITS)
    | dict.fromkeys(("arlen", "awlen"), 8)
    | dict.fromkeys(("arsize", "awsize"), 3)
    | dict.fromkeys(("arburst", "awburst", "rresp", "bresp"), 2)
)
_LITE_WIDTHS = {"awaddr": 12, "araddr": 12, "wdata": 32, "rdata": 32, "wstrb": 4, "rresp": 2, "bresp": 2}


def _names(signature, ids: tuple[str, str]) -> dict[str, bool]:
    """Return the names of a master's signals and whether they are outputs, identifiers included."""
    names = {}
    for name in signature.members:
        is_output = not name.startswith(("r", "b")) if not name.endswith("ready") else name.startswith(("r", "b"))
        names[name] = is_output
        if name in ("arlen", "awlen"):
            names |= {f"{name[:2]}size": True, f"{name[:2]}burst": True}
    return {ids[0]: True, ids[1]: False} | names


def _port(name: str, width: int, is_output: bool) -> str:
    kind = "output" if is_output else "input "
    return f"    {kind} logic [{width - 1}:0] {name}"


def wrapper_text(config: EngineConfig) -> str:
    """Return the SystemVerilog of the wrapper for an engine: its ports, `clk` and `rst_n` for its clock and reset."""
    lite = "s_axi_control_"
    ports, pins, ids = [], [], []
    for name in axi_lite_members():
        is_output = name in ("awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp", "rvalid")
        ports.append(_port(lite + name, _LITE_WIDTHS.get(name, 1), is_output))
        pins.append(lite + name)
    masters = [
        (stream_port(port), config.tile.port_bits, AxiReadSignature(config.tile.port_bits), ("arid", "rid"))
        for port in range(config.tile.ports)
    ]
    masters.append((SIDE_PORT, WRITE_BEAT_BITS, AxiReadSignature(WRITE_BEAT_BITS), ("arid", "rid")))
    masters.append((SIDE_PORT, WRITE_BEAT_BITS, AxiWriteSignature(WRITE_BEAT_BITS), ("awid", "bid")))
    for prefix, bits, signature, (request_id, answer_id) in masters:
        widths = _WIDTHS | {"rdata": bits, "wdata": bits, "wstrb": bits // 8}
        for name, is_output in _names(signature, (request_id, answer_id)).items():
            ports.append(_port(prefix + name, widths.get(name, 1), is_output))
            if name not in (request_id, answer_id):
                pins.append(prefix + name)
        ids.append(f"    assign {prefix}{request_id} = 1'b0;")
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
