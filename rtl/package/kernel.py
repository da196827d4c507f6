"""The engine as a Vitis kernel: its buses and arguments, kernel.xml that describes them, and the top module in Verilog."""

import dataclasses
from xml.etree import ElementTree

from amaranth.hdl import Shape
from amaranth.lib.wiring import In, Member

from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import CONTROL_REGISTERS, KERNEL, port_base_offset
from hwsim.arch.timing import SIDE_BURST_BEATS
from rtl.control.axi_lite import CONTROL_ADDRESS_BITS
from rtl.engine import BURST_INCR, SIDE_PORT, axi_members, engine_members, stream_port, trace_ports
from rtl.interfaces import ADDRESS_BITS, WRITE_BEAT_BITS
from rtl.shared_port import SLOTS, SharedPort, shared_members
from rtl.verilog import TOP, convert

__all__ = [
    "COMPUTE_UNIT",
    "CONTROL_BUS",
    "CONTROL_PROTOCOL",
    "MOST_MASTERS",
    "PROTOCOL_REGISTERS",
    "VLNV",
    "Argument",
    "Bus",
    "arguments",
    "buses",
    "kernel_xml",
    "shared_verilog",
    "shares_master",
    "side_bus",
    "stream_bus",
    "wrapper_verilog",
]

COMPUTE_UNIT = f"{KERNEL}_1"
"""Name of its one instance in a linked design."""
VLNV = f"lamforge:kernel:{KERNEL}:1.0"
"""Vendor, library, name and version of the packaged core."""
CONTROL_BUS = "s_axi_control"

MOST_MASTERS = 32
"""Masters of kernels that the memory subsystem takes where a platform prohibits no port (docs/decisions/0036 has the sources)."""

_OUTSTANDING = 32
"""Most bursts asked of the interconnect: 512 beats of a full burst's 16, several times the latency of HBM behind a switch.

Of writes too, which are one beat each: the side port sends the next without waiting for the response of the last.
"""

PROTOCOL_REGISTERS = {"control": "CTRL", "global_interrupt": "GIER", "interrupt_enable": "IP_IER", "interrupt_status": "IP_ISR"}
"""Registers every kernel has below 0x10, by our name, and what Vitis calls them (UG1393, Control Requirements)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bus:
    """A bus interface of the kernel.

    Attributes:
        name: prefix of its ports, without the underscore before the signal.
        is_master: whether the engine starts the transfers.
        data_bits: width of a beat.
        address_bytes: bytes of the address space seen through it.
        burst_beats: beats of its longest burst.
        reads: read bursts that the interconnect is to keep outstanding.
        writes: the same of writes; none where it only reads.
    """

    name: str
    is_master: bool = True
    data_bits: int
    address_bytes: int = 1 << ADDRESS_BITS
    burst_beats: int
    reads: int
    writes: int

    @property
    def is_writing(self) -> bool:
        """Whether it writes; streams only read."""
        return self.writes > 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Argument:
    """A register from 0x10 on: an address for `bus`, or a plain value where `bus` is the control bus.

    `is_writable` is false for what the engine reports: such a register is in the map but is no kernel argument.
    """

    name: str
    offset: int
    bits: int
    bus: str
    is_writable: bool
    doc: str

    @property
    def is_address(self) -> bool:
        """Whether the register holds the address of a buffer."""
        return self.bus != CONTROL_BUS


def shares_master(config: EngineConfig) -> bool:
    """Return whether the side port is behind the master of the last stream port: a master of its own would be one too many."""
    return config.tile.ports + 1 > MOST_MASTERS


def side_bus(config: EngineConfig) -> str:
    """Return the name of the bus interface that the side port is behind."""
    return stream_bus(config.tile.ports - 1) if shares_master(config) else SIDE_PORT.rstrip("_")


def stream_bus(port: int) -> str:
    """Return the name of a stream port's bus interface."""
    return stream_port(port).rstrip("_")


def buses(config: EngineConfig) -> tuple[Bus, ...]:
    """Return the bus interfaces: control, the stream ports, and the side port where it has a master of its own."""
    control = Bus(
        name=CONTROL_BUS, is_master=False, data_bits=32, address_bytes=1 << CONTROL_ADDRESS_BITS, burst_beats=1, reads=1, writes=1
    )
    fetch = config.fetch
    bursts = fetch.fifo_beats // fetch.burst_beats
    streams = [
        Bus(
            name=stream_bus(port),
            data_bits=config.tile.port_bits,
            burst_beats=fetch.burst_beats,
            reads=min(bursts, _OUTSTANDING),
            writes=0,
        )
        for port in range(config.tile.ports)
    ]
    if shares_master(config):
        shared = dataclasses.replace(
            streams[-1],
            burst_beats=max(fetch.burst_beats, SIDE_BURST_BEATS * WRITE_BEAT_BITS // config.tile.port_bits),
            reads=min(bursts + SLOTS, _OUTSTANDING),
            writes=_OUTSTANDING,
        )
        return (control, *streams[:-1], shared)
    side = Bus(name=side_bus(config), data_bits=WRITE_BEAT_BITS, burst_beats=SIDE_BURST_BEATS, reads=2, writes=_OUTSTANDING)
    return (control, *streams, side)


def arguments(config: EngineConfig) -> tuple[Argument, ...]:
    """Return the registers from 0x10 on, by offset; `side` and `program` are addresses on the side port."""
    found = [
        Argument(
            name=register.name,
            offset=register.offset,
            bits=register.width,
            bus=side_bus(config) if register.name in ("side", "program") else CONTROL_BUS,
            is_writable=register.writable,
            doc=register.doc,
        )
        for register in CONTROL_REGISTERS
        if register.name not in PROTOCOL_REGISTERS
    ]
    found += [
        Argument(
            name=f"base_{port:02d}",
            offset=port_base_offset(port),
            bits=ADDRESS_BITS,
            bus=stream_bus(port),
            is_writable=True,
            doc="Byte address of the port's memory, 4 KiB aligned.",
        )
        for port in range(config.tile.ports)
    ]
    return tuple(sorted(found, key=lambda argument: argument.offset))


CONTROL_PROTOCOL = "user_managed"
"""XRT leaves the control registers to our host code, which reads the error register and the digests too."""
_SCALAR, _GLOBAL = "0", "1"
"""Values of addressQualifier."""


def kernel_xml(config: EngineConfig) -> str:
    """Return the text of kernel.xml for an engine."""
    root = ElementTree.Element("root", versionMajor="1", versionMinor="6")
    kernel = ElementTree.SubElement(
        root,
        "kernel",
        name=KERNEL,
        language="ip",
        vlnv=VLNV,
        attributes="",
        preferredWorkGroupSizeMultiple="0",
        workGroupSize="1",
        interrupt="true",
        hwControlProtocol=CONTROL_PROTOCOL,
    )
    ports = ElementTree.SubElement(kernel, "ports")
    for bus in buses(config):
        ElementTree.SubElement(
            ports,
            "port",
            name=bus.name,
            mode="master" if bus.is_master else "slave",
            range=f"0x{bus.address_bytes - 1:X}" if bus.is_master else f"0x{bus.address_bytes:X}",
            dataWidth=str(bus.data_bits),
            portType="addressable",
            base="0x0",
        )
    args = ElementTree.SubElement(kernel, "args")
    for number, argument in enumerate(each for each in arguments(config) if each.is_writable):
        size = f"0x{argument.bits // 8:X}"
        ElementTree.SubElement(
            args,
            "arg",
            name=argument.name,
            addressQualifier=_GLOBAL if argument.is_address else _SCALAR,
            id=str(number),
            port=argument.bus,
            size=size,
            offset=f"0x{argument.offset:03X}",
            hostOffset="0x0",
            hostSize=size,
            type="void*" if argument.is_address else "uint",
        )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


_INTERRUPT = (
    '    (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 interrupt INTERRUPT" *)\n'
    '    (* X_INTERFACE_PARAMETER = "SENSITIVITY LEVEL_HIGH" *)\n'
)
"""Attributes that make a port an interrupt for the IP packager (UG994, X_INTERFACE_INFO)."""


_SHARED = "shared_port"
"""Name of the module and of its one instance that puts two ports behind one master."""


def wrapper_verilog(config: EngineConfig) -> str:
    """Return the Verilog of the top module; the engine's trace outputs stay open and are left out by synthesis."""
    traces = {port.name for port in trace_ports(config)}
    engine = engine_members(config)
    outside = {name: member for name, member in engine.items() if name not in traces}
    shared = _shared_prefixes(config)
    behind = {name: member for name, member in outside.items() if name.startswith(tuple(shared.values()))}
    if shared:
        master = shared_members(config.tile.port_bits)["axi"].signature
        outside = {name: member for name, member in outside.items() if name not in behind} | axi_members(shared["stream"], master)
    # Beats and bursts behind one master are of one kind.
    is_open = {name for name in behind if name.endswith(("size", "burst"))} | traces
    wires = {name: "" if name in is_open else _inner(name) if name in behind else name for name in engine}
    declared = [f"{_INTERRUPT if name == 'interrupt' else ''}{_declaration(name, member)}" for name, member in outside.items()]
    inner = [f"    wire {_bits(member)}{wires[name]};\n" for name, member in behind.items() if name not in is_open]
    connected = [f"        .{name}({wire})" for name, wire in wires.items()]
    ports, pins = ",\n".join(declared), ",\n".join(connected)
    return f"""// Generated for engine {config.name}: the engine as a Vitis kernel.
`default_nettype none
module {KERNEL} (
{ports}
);
{"".join(inner)}    {TOP} {TOP} (
{pins}
    );
{_shared_instance(config, shared)}endmodule
`default_nettype wire
"""


def shared_verilog(config: EngineConfig) -> str:
    """Return the Verilog of the module that puts a stream port and the side port behind one master."""
    return convert(SharedPort(config.tile.port_bits), _SHARED)


def _shared_prefixes(config: EngineConfig) -> dict[str, str]:
    """Return what the names of the engine's ports behind a shared master begin with, by member of SharedPort; none without one."""
    return {"stream": f"{side_bus(config)}_", "side": SIDE_PORT} if shares_master(config) else {}


def _inner(name: str) -> str:
    """Return the wire inside the kernel for a port of the engine, or for all that begin so."""
    return f"inner_{name.removeprefix('m_axi_')}"


def _shared_instance(config: EngineConfig, prefixes: dict[str, str]) -> str:
    if not prefixes:
        return ""
    outer = prefixes["stream"]
    pins = ["        .clk(ap_clk)", "        .rst(reset)"]
    for side, member in shared_members(config.tile.port_bits).items():
        wires = outer if side == "axi" else _inner(prefixes[side])
        pins += [f"        .{side}__{name}({wires}{name})" for name in member.signature.members]
    size = config.tile.port_bytes.bit_length() - 1
    ties = "".join(
        f"    assign {outer}{way}size = 3'd{size};\n    assign {outer}{way}burst = 2'd{BURST_INCR};\n" for way in ("ar", "aw")
    )
    text = ",\n".join(pins)
    return f"""    // A beat is as wide as the master, and bursts count up (INCR).
{ties}    // It is reset in the cycles in which the engine is.
    reg reset;
    always @(posedge ap_clk) reset <= ~ap_rst_n;
    {_SHARED} {_SHARED} (
{text}
    );
"""


def _declaration(name: str, member: Member) -> str:
    return f"    {'input ' if member.flow is In else 'output'} wire {_bits(member)}{name}"


def _bits(member: Member) -> str:
    width = Shape.cast(member.shape).width
    return "" if width == 1 else f"[{width - 1}:0] "
