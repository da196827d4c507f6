"""The kernel's top module as Verilog: the engine with the ports that Vitis connects, without the trace outputs for benches."""

from amaranth.lib.wiring import In

from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import KERNEL
from rtl.engine import engine_members
from rtl.trace_ports import trace_ports
from rtl.verilog import TOP

__all__ = ["wrapper_verilog"]

_INTERRUPT = (
    '    (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 interrupt INTERRUPT" *)\n'
    '    (* X_INTERFACE_PARAMETER = "SENSITIVITY LEVEL_HIGH" *)\n'
)
"""Attributes that make a port an interrupt for the IP packager (UG994, X_INTERFACE_INFO)."""


def wrapper_verilog(config: EngineConfig) -> str:
    """Return the Verilog of the top module; the engine's trace outputs stay open and are left out by synthesis."""
    traces = {port.name for port in trace_ports(config)}
    declared, connected = [], []
    for name, member in engine_members(config).items():
        if name in traces:
            connected.append(f"        .{name}()")
            continue
        width = member.shape if isinstance(member.shape, int) else member.shape.width
        direction = "input " if member.flow is In else "output"
        bits = "" if width == 1 else f"[{width - 1}:0] "
        declared.append(f"{_INTERRUPT if name == 'interrupt' else ''}    {direction} wire {bits}{name}")
        connected.append(f"        .{name}({name})")
    ports, pins = ",\n".join(declared), ",\n".join(connected)
    return f"""// Generated for engine {config.name}: the engine as a Vitis kernel.
`default_nettype none
module {KERNEL} (
{ports}
);
    {TOP} {TOP} (
{pins}
    );
endmodule
`default_nettype wire
"""
