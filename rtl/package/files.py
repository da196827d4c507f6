"""The files of a kernel package, their contents, and the facts of the board that they depend on."""

import dataclasses
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Self

from hwsim.arch.board import RESOURCES, Board
from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import CONTROL_REGISTERS, KERNEL
from hwsim.errors import ConfigError
from rtl.floorplan import floorplan
from rtl.package.estimates import Estimates
from rtl.package.kernel import (
    COMPUTE_UNIT,
    CONTROL_BUS,
    CONTROL_PROTOCOL,
    MOST_MASTERS,
    PROTOCOL_REGISTERS,
    VLNV,
    arguments,
    buses,
    kernel_xml,
    shared_verilog,
    shares_master,
    side_bus,
    stream_bus,
    wrapper_verilog,
)
from rtl.package.picture import picture
from rtl.synthesis import LEVELS_LIMIT, LOADS_LIMIT
from rtl.verilog import TEMPLATES

__all__ = ["MANIFEST", "TOOLS", "Target", "floorplan_picture", "package_files"]

TOOLS = "2022.1 to 2023.x"
"""Versions of Vitis and Vivado the packages are written for: from those of the platforms to the last that know the U280."""
_TOOLS_PATTERN = r"2022[.][12]([.][0-9]+)?|2023[.][0-9]+([.][0-9]+)?"
"""The same as an extended regular expression of what the tools call themselves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A board, as the linker and the placer see it.

    Attributes:
        name, title: name of the board in files, and in texts.
        platform: Vitis platform to link against.
        part: Vivado's name of the device.
        slrs, memory_slr: SLRs in a row, and the one that the memory is at.
        channels, channel_bytes: pseudo channels of the memory, and the size of each.
        lines: super long lines over each boundary between SLRs; None where the board does not say.
        line_limit: how many of these may be used; None where the board does not say.
    """

    name: str
    title: str
    platform: str
    part: str
    slrs: int
    memory_slr: int
    channels: int
    channel_bytes: int
    lines: int | None = None
    line_limit: int | None = None

    @classmethod
    def of(cls, board: Board) -> Self:
        """Return the facts of a board that a package depends on."""
        return cls(
            name=board.name,
            title=board.title,
            platform=board.shells.value[0],
            part=board.part.value,
            slrs=len(board.slrs.value),
            memory_slr=board.memory_slr,
            channels=board.hbm.value.pseudo_channels,
            channel_bytes=board.hbm.value.channel_bytes,
            lines=None if board.slr_lines is None else board.slr_lines.value,
            line_limit=board.line_limit,
        )

    def check(self, engine: EngineConfig) -> None:
        """Raise ConfigError unless every stream port has a pseudo channel of its own, large enough."""
        if engine.tile.ports > self.channels:
            raise ConfigError(
                f"Engine {engine.name} must have at most {self.channels} ports for board {self.name}, not {engine.tile.ports}"
            )
        if engine.channel_bytes > self.channel_bytes:
            raise ConfigError(
                f"Engine {engine.name} must have at most {self.channel_bytes} bytes behind a port for board {self.name},"
                f" not {engine.channel_bytes}"
            )

    def is_made_for(self, engine: EngineConfig) -> bool:
        """Whether the engine has the board's memory exactly: a port for each pseudo channel, and its size."""
        return (engine.tile.ports, engine.channel_bytes) == (self.channels, self.channel_bytes)


_ROWS = 16
"""Most paths, and most nets, that the README lists."""

MANIFEST = "MANIFEST.sha256"
"""Name of the file with the digests of all others, as `sha256sum` reads it."""

_TEMPLATES = {
    "package.tcl": "package.tcl",
    "link.cfg": "link.cfg",
    "constraints.xdc": "constraints.xdc",
    "out_of_context.xdc": "out_of_context.xdc",
    "floorplan.tcl": "floorplan.tcl",
    "floorplan.svg": "floorplan.svg",
    "Makefile": "kernel.mk",
    "README.md": "readme.md",
}
"""Files that are rendered, by the name of their template."""


def package_files(
    config: EngineConfig, target: Target, verilog: Mapping[str, str], estimates: Estimates | None = None
) -> dict[str, str]:
    """Return the package of an engine for a board, text by name; equal arguments give equal text.

    verilog: the engine's own files, which lie in the folder above the package's.
    estimates: what the engine takes of the board; without them the package says nothing of it.

    Raises:
        ConfigError: the board does not have the memory that the engine expects.
    """
    target.check(config)
    sources = sorted(name for name in verilog if name.endswith(".v"))
    values = _values(config, target, estimates) | {"verilog": sources}
    files = {name: _rendered(template, values) for name, template in _TEMPLATES.items()}
    files |= {
        "kernel.xml": kernel_xml(config),
        "kernel.v": wrapper_verilog(config),
        **({"shared_port.v": shared_verilog(config)} if shares_master(config) else {}),
        "host/xrt_ip.cpp": (resources.files("rtl.package") / "host" / "xrt_ip.cpp").read_text(),
    }
    digested = {f"../{name}": verilog[name] for name in sources} | files
    lines = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(digested.items())]
    files[MANIFEST] = "".join(lines)
    return dict(sorted(files.items()))


def floorplan_picture(config: EngineConfig, target: Target, estimates: Estimates | None = None) -> str:
    """Return the package's picture of the floorplan as it stands in a page of HTML, whose colours it takes.

    Raises:
        ConfigError: the memory lies between SLRs.
    """
    return _rendered("floorplan.svg", _values(config, target, estimates) | {"is_inline": True})


def _rendered(template: str, values: Mapping[str, object]) -> str:
    return TEMPLATES.from_string((resources.files("rtl.package") / "templates" / template).read_text()).render(values)


def _values(config: EngineConfig, target: Target, estimates: Estimates | None) -> dict[str, object]:
    """Return the values that the templates name: those of the target and of the floorplan by their own names, and more."""
    plan = floorplan(config, slrs=target.slrs, memory_slr=target.memory_slr)
    wires = () if estimates is None else estimates.wires
    vendor, library, _, _ = VLNV.split(":")
    tile = config.tile
    protocol = [
        {"name": PROTOCOL_REGISTERS[register.name], "offset": register.offset, "doc": register.doc}
        for register in CONTROL_REGISTERS
        if register.name in PROTOCOL_REGISTERS
    ]
    return {
        **vars(target),
        **vars(plan),
        "engine": config.name,
        "engine_digest": config.digest,
        "board": target.title,
        "tools": TOOLS,
        "tools_pattern": _TOOLS_PATTERN,
        "kernel": KERNEL,
        "unit": COMPUTE_UNIT,
        "vendor": vendor,
        "library": library,
        "buses": buses(config),
        "control": CONTROL_BUS,
        "control_bytes": buses(config)[0].address_bytes,
        "side": side_bus(config),
        "protocol": protocol,
        "protocol_name": CONTROL_PROTOCOL,
        "arguments": arguments(config),
        "clock_hz": round(config.clock_hz),
        "mhz": f"{config.clock_hz / 1e6:g}",
        "period_ns": 1e9 / config.clock_hz,
        "streams": [{"bus": stream_bus(port), "channel": port} for port in range(tile.ports)],
        "ports": tile.ports,
        "is_shared": shares_master(config),
        "most_masters": MOST_MASTERS,
        "port_bits": tile.port_bits,
        "last_channel": target.channels - 1,
        "moved": plan.moved or ("engine",),
        "tiles": [(slr, plan.tiles.count(slr)) for slr in range(target.slrs)],
        "estimates": estimates,
        "resources": RESOURCES,
        "levels_limit": LEVELS_LIMIT,
        "loads_limit": LOADS_LIMIT,
        "rows": _ROWS,
        "picture": picture(
            plan,
            slrs=target.slrs,
            memory_slr=target.memory_slr,
            channels=target.channels,
            lines=target.lines,
            line_limit=target.line_limit,
            estimates=estimates,
        ),
        "is_inline": False,
        "number": "{:.6g}".format,
        "wires": wires,
        "drivers": dict.fromkeys(kind for each in wires for kind in each.by_kind),
    }
