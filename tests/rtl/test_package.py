"""The kernel package: every file agrees with the register map and the Verilog, the scripts run, and broken ones are caught."""

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hwsim.arch.board import board_names, load_board
from hwsim.arch.config import load_engine
from hwsim.arch.registers import CONTROL_REGISTERS, PORT_BASE_OFFSET, PORT_BASE_STRIDE
from hwsim.errors import ConfigError
from rtl.floorplan import floorplan
from rtl.matrix.region import tiles_of
from rtl.package import Estimates, floorplan_picture, package_files
from rtl.package.files import Target
from rtl.synthesis import Part, SlrShare, Timing, crossings
from rtl.synthesis.loads import LoadedNet
from rtl.synthesis.timing import TimingPath, UnitTiming
from rtl.verilog import generate, make
from testbenches.verilator import lint
from tests.reports.tiny_fit import u280_fit

ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).parent / "vendor_commands.tcl"
TARGET = Target(
    name="board",
    title="A board",
    platform="maker_board_xdma",
    part="xcpart-1",
    slrs=3,
    memory_slr=0,
    channels=32,
    channel_bytes=1 << 28,
    lines=5000,
    line_limit=3000,
)
# Enough tiles for three SLRs, and small.
ENGINE = load_engine("tiny").with_values({"name": "eight", "tile.ports": 8})
SPECIAL = {"control", "global_interrupt", "interrupt_enable", "interrupt_status"}


@pytest.fixture(scope="module")
def verilog():
    return generate(ENGINE)


@pytest.fixture(scope="module")
def wires():
    return crossings(ENGINE, slrs=TARGET.slrs, memory_slr=TARGET.memory_slr)


FREE = {"lut": 1000, "ff": 2000, "bram36": 10, "uram": 0, "dsp": 100}


@pytest.fixture(scope="module")
def estimates(wires):
    """What is said of the engine: its second SLR holds more look-up tables than it should, and UltraRAMs there are none."""
    used = [{"lut": lut, "ff": 100.0, "bram36": 2.5, "uram": 0.0, "dsp": 30.0} for lut in (500.0, 712.0, 700.0)]
    parts = [("matrix", "slice", 8, 0), ("matrix", "own", 1, 1), ("memories", "residual", 2, 2), ("fetch", "own", 1, 0)]
    return Estimates(
        tool="a model of runs",
        parts=tuple(Part(unit=unit, name=name, count=count, resources=used[at]) for unit, name, count, at in parts),
        slrs=tuple(SlrShare(name=f"SLR{slr}", tiles=3, used=each, free=FREE) for slr, each in enumerate(used)),
        fill={"lut": 0.7, "ff": 0.5, "bram36": 0.8, "uram": 0.8, "dsp": 0.8},
        wires=wires,
        most_w={"memory": 14.4, "on_chip_memory": 5.6},
        assumed_share=0.25,
    )


@pytest.fixture(scope="module")
def files(verilog, estimates):
    return package_files(ENGINE, TARGET, verilog, estimates)


def put(files, folder):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def ports_of(text, module):
    """Return the ports of a module of Verilog with their widths in bits; all are declared one a line."""
    body = re.search(rf"^module {module}\b.*?^endmodule", text, re.S | re.M).group()
    declared = re.findall(r"^ +(?:input|output) +(?:wire |reg )?(?:\[(\d+):0\] )?\\?(\w+) ?[;,\n]", body, re.M)
    return {name: int(high or 0) + 1 for high, name in declared}


def expected_registers(config=ENGINE):
    """Return offset and bytes of every register from 0x10 on, by name, and whether it can be written, from the map itself."""
    found = {each.name: (each.offset, each.width // 8, each.writable) for each in CONTROL_REGISTERS if each.name not in SPECIAL}
    for port in range(config.tile.ports):
        found[f"base_{port:02d}"] = (PORT_BASE_OFFSET + PORT_BASE_STRIDE * port, 8, True)
    return found


def side_bus_of(config):
    """Return the bus of the side port: of its own, or the last stream's where there are 32 of these."""
    return "m_axi_31" if config.tile.ports == 32 else "m_axi_side"


def ports_of_kernel(verilog, config=ENGINE):
    """Return the ports that the kernel of an engine must have, from the ports of the engine's Verilog."""
    ports = {name: width for name, width in ports_of(verilog["engine.v"], "engine").items() if not name.startswith("trace_")}
    bus, bits = side_bus_of(config), config.tile.port_bits
    if bus == "m_axi_side":
        return ports
    side = {name.removeprefix("m_axi_side_"): width for name, width in ports.items() if name.startswith("m_axi_side_")}
    written = {f"{bus}_{name}": width for name, width in side.items() if name.startswith(("aw", "w", "b"))}
    written |= {f"{bus}_wdata": bits, f"{bus}_wstrb": bits // 8}
    ids = {f"{bus}_{channel}id": 1 for channel in ("ar", "r", "aw", "b")}
    return {name: width for name, width in ports.items() if not name.startswith("m_axi_side_")} | written | ids


def faults_of_xml(text, verilog, config=ENGINE):
    """Return what in a kernel.xml contradicts the register map or the engine's Verilog."""
    kernel = ElementTree.fromstring(text).find("kernel")
    ports = ports_of_kernel(verilog, config)
    faults = []
    named = {port.get("name") for port in kernel.iter("port")}
    buses = {re.sub(r"_(ar|r|aw|w|b)\w+$", "", name) for name in ports if name.startswith(("m_axi_", "s_axi_"))}
    if named != buses:
        faults.append(f"ports {named ^ buses}")
    for port in kernel.iter("port"):
        name = port.get("name")
        if int(port.get("dataWidth")) != ports.get(f"{name}_rdata"):
            faults.append(f"width of {name}")
        mode = "slave" if name.startswith("s_") else "master"
        limit = 1 << ports.get(f"{name}_araddr", 0)
        if port.get("mode") != mode or int(port.get("range"), 16) != (limit if mode == "slave" else limit - 1):
            faults.append(f"range of {name}")
    written = {name: place for name, (*place, writable) in expected_registers(config).items() if writable}
    args = {arg.get("name"): arg for arg in kernel.iter("arg")}
    if args.keys() != written.keys():
        faults.append(f"arguments {args.keys() ^ written.keys()}")
    if [int(arg.get("id")) for arg in args.values()] != list(range(len(args))):
        faults.append("numbers of the arguments")
    used = set()
    for name, arg in args.items():
        place = [int(arg.get("offset"), 16), int(arg.get("size"), 16)]
        if place != written.get(name) or arg.get("hostSize") != arg.get("size"):
            faults.append(f"offset or size of {name}")
        span = set(range(place[0], sum(place)))
        if used & span:
            faults.append(f"{name} overlaps")
        used |= span
        side = side_bus_of(config)
        port = {"side": side, "program": side}.get(name, f"m_axi_{name[5:]}" if name.startswith("base_") else None)
        if (arg.get("port"), arg.get("addressQualifier")) != ((port, "1") if port else ("s_axi_control", "0")):
            faults.append(f"port of {name}")
    return faults


def test_kernel_xml_agrees_with_the_registers_and_the_verilog(files, verilog):
    assert faults_of_xml(files["kernel.xml"], verilog) == []
    kernel = ElementTree.fromstring(files["kernel.xml"]).find("kernel")
    assert (kernel.get("name"), kernel.get("hwControlProtocol"), kernel.get("interrupt")) == ("lamforge", "user_managed", "true")


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('offset="0x01C"', 'offset="0x018"', "offset or size of program"),
        ('offset="0x08C"', 'offset="0x080"', "base_01 overlaps"),
        ('name="m_axi_03" mode="master"', 'name="m_axi_03" mode="slave"', "range of m_axi_03"),
        ('port="m_axi_05" size', 'port="m_axi_04" size', "port of base_05"),
        ('dataWidth="32"', 'dataWidth="64"', "width of s_axi_control"),
        ('name="slot"', 'name="slots"', "arguments {"),
    ],
)
def test_a_broken_kernel_xml_is_caught(files, verilog, before, after, fault):
    assert before in files["kernel.xml"]
    broken = files["kernel.xml"].replace(before, after, 1)
    assert any(found.startswith(fault) for found in faults_of_xml(broken, verilog))


def faults_of_top(files, verilog, folder, config=ENGINE):
    """Return what Verilator's lint and the engine's ports have against the top module."""
    faults = [] if ports_of(files["kernel.v"], "lamforge") == ports_of_kernel(verilog, config) else ["ports"]
    put(verilog | {name: text for name, text in files.items() if name in ("kernel.v", "shared_port.v")}, folder)
    # Trace outputs stay open, the interrupt is called as Vitis has it, and the file is not called after its module.
    waived = ("PINCONNECTEMPTY", "SYMRSVDWORD", "DECLFILENAME")
    waivers = [f'lint_off -rule {rule} -file "*kernel.v"\n' for rule in waived]
    # It is generated as engine.v is.
    lines = verilog["lint.vlt"].splitlines(keepends=True)
    waivers += [line.replace("*engine.v", "*shared_port.v") for line in lines if '"*engine.v"' in line]
    (folder / "kernel.vlt").write_text("`verilator_config\n" + "".join(waivers))
    complaints = lint(folder, top="lamforge")
    return faults + ([complaints] if complaints else [])


def test_the_top_module_has_the_kernels_ports_and_no_lint(files, verilog, tmp_path):
    assert faults_of_top(files, verilog, tmp_path) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [("input  wire m_axi_03_rvalid,\n", "", "ports"), (".m_axi_02_rdata(m_axi_02_rdata)", ".m_axi_02_rdata(m_axi_02_rresp)", "%")],
)
def test_a_broken_top_module_is_caught(files, verilog, tmp_path, before, after, fault):
    assert before in files["kernel.v"]
    broken = files | {"kernel.v": files["kernel.v"].replace(before, after, 1)}
    assert any(found.startswith(fault) for found in faults_of_top(broken, verilog, tmp_path))


def run_tcl(folder, script, *arguments, stubs=STUBS, **variables):
    """Run a package's script under tclsh with the vendor's commands stubbed; return the calls, each a list of words."""
    tclsh = shutil.which("tclsh")
    assert tclsh, "Tool tclsh must be installed to check the scripts (Debian and Ubuntu: apt install tcl)"
    record = folder / "record.txt"
    command = [tclsh, str(stubs), str(record), str(folder / script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=variables or None, check=False)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return [line.split("\t") for line in record.read_text().splitlines()]


ORDER = [
    "create_project",
    "add_files",
    "update_compile_order",
    "ipx::package_project",
    "ipx::unload_core",
    "ipx::edit_ip_in_project",
    "ipx::associate_bus_interfaces",
    "ipx::add_bus_parameter",
    "ipx::add_memory_map",
    "ipx::add_address_block",
    "ipx::add_register",
    "ipx::add_register_parameter",
    "ipx::create_xgui_files",
    "ipx::update_checksums",
    "ipx::check_integrity",
    "ipx::save_core",
    "close_project",
    "package_xo",
]
"""Packaging steps as UG1393 and AMD's rtl_vadd example have them, by their first call."""


BURSTS = ("READ_WRITE_MODE", "MAX_BURST_LENGTH", "NUM_READ_OUTSTANDING", "NUM_WRITE_OUTSTANDING")


def expected_bursts(bus, config):
    """Return what the interconnect must know of a master, as BURSTS; a burst of the side port is a kilobyte."""
    fetch = config.fetch
    if bus == "m_axi_side":
        return "READ_WRITE", 64, 2, 32
    bursts = fetch.fifo_beats // fetch.burst_beats
    if bus == side_bus_of(config):
        return "READ_WRITE", max(fetch.burst_beats, 8192 // config.tile.port_bits), min(bursts + 4, 32), 32
    return "READ_ONLY", fetch.burst_beats, min(bursts, 32), 0


def faults_of_packaging(calls, verilog, config=ENGINE):
    """Return what is wrong with recorded packaging calls: their order, and what they say of buses and registers."""
    faults = []
    first = {}
    for place, call in enumerate(calls):
        first.setdefault(call[0], place)
    found = [name for name in first if name in ORDER]
    if found != ORDER:
        faults.append(f"order {found}")
    properties = [call[1:] for call in calls if call[0] == "set_property"]
    values = {(name, object): value for name, value, object in properties if name != "USED_IN"}
    saved = first.get("ipx::save_core", 0)
    for name, value in (("sdx_kernel", "true"), ("sdx_kernel_type", "rtl")):
        if values.get((name, "core")) != value or calls.index(["set_property", name, value, "core"]) > saved:
            faults.append(f"{name} must be set before the core is saved")
    if values.get(("slave_memory_map_ref", "bus:s_axi_control")) != "s_axi_control":
        faults.append("the memory map belongs to no bus")
    buses = {name.removesuffix("_araddr") for name in ports_of_kernel(verilog, config) if name.endswith("_araddr")}
    clocked = [call[2] for call in calls if call[0] == "ipx::associate_bus_interfaces" and call[3:5] == ["-clock", "ap_clk"]]
    if sorted(clocked) != sorted(buses):
        faults.append("every bus must have the clock once")
    if values.get(("value", "parameter:FREQ_HZ@bus:ap_clk")) != str(round(config.clock_hz)):
        faults.append("frequency")
    for bus in sorted(buses - {"s_axi_control"}):
        told = tuple(values.get(("value", f"parameter:{name}@bus:{bus}")) for name in BURSTS)
        if told != tuple(map(str, expected_bursts(bus, config))):
            faults.append(f"bursts of {bus}: {told}")
    registers = {call[2]: call for call in calls if call[0] == "ipx::add_register"}
    expected = expected_registers(config) | {name: (4 * n, 4, True) for n, name in enumerate(("CTRL", "GIER", "IP_IER", "IP_ISR"))}
    if registers.keys() != expected.keys():
        faults.append(f"registers {registers.keys() ^ expected.keys()}")
    for name, (offset, size, writable) in expected.items():
        made = f"register:{name}@block:reg0@map:s_axi_control@core"
        if int(values.get(("address_offset", made), "-1"), 16) != offset or values.get(("size", made)) != str(8 * size):
            faults.append(f"offset or size of {name}")
        if values.get(("access", made)) != ("read-write" if writable else "read-only"):
            faults.append(f"access of {name}")
        side = side_bus_of(config)
        bus = {"side": side, "program": side}.get(name, f"m_axi_{name[5:]}" if name.startswith("base_") else None)
        if values.get(("value", f"register_parameter:ASSOCIATED_BUSIF@{made}")) != bus:
            faults.append(f"bus of {name}")
    return faults


def test_packaging_runs_in_the_documented_order(files, verilog, tmp_path):
    put(files, tmp_path / "vitis")
    calls = run_tcl(tmp_path / "vitis", "package.tcl", "out/kernel.xo", "work")
    assert faults_of_packaging(calls, verilog) == []
    sources = next(call for call in calls if call[0] == "add_files")[2]
    assert {Path(name).name for name in sources.split()} == {name for name in verilog if name.endswith(".v")} | {"kernel.v"}
    assert calls[-1] == [
        "package_xo",
        *("-force", "-xo_path", str(tmp_path / "vitis/out/kernel.xo"), "-kernel_name", "lamforge"),
        *("-ip_directory", str(tmp_path / "vitis/work/ip"), "-kernel_xml", str(tmp_path / "vitis/kernel.xml")),
    ]


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("program 0x01c 64", "program 0x018 64", "offset or size of program"),
        ("base_02 0x098 64 read-write m_axi_02", "base_02 0x098 64 read-write m_axi_01", "bus of base_02"),
        ("error 0x040 32 read-only", "error 0x040 32 read-write", "access of error"),
        ("m_axi_side READ_WRITE 64 2 32", "m_axi_side READ_WRITE 64 2 1", "bursts of m_axi_side"),
        ("    m_axi_07\n", "", "every bus must have the clock once"),
        ("set_property sdx_kernel true $core\n", "", "sdx_kernel must be set"),
        ("ipx::update_checksums $core\n", "", "order"),
    ],
)
def test_broken_packaging_is_caught(files, verilog, tmp_path, before, after, fault):
    assert before in files["package.tcl"]
    put(files | {"package.tcl": files["package.tcl"].replace(before, after, 1)}, tmp_path)
    calls = run_tcl(tmp_path, "package.tcl", "out/kernel.xo", "work")
    assert any(found.startswith(fault) for found in faults_of_packaging(calls, verilog))


@pytest.mark.parametrize(
    ("text", "error"), [("ipx::invent $core", 'invalid command name "ipx::invent"'), ("foreach a {b", "missing close-brace")]
)
def test_a_script_that_does_not_run_is_caught(files, tmp_path, text, error):
    put(files | {"package.tcl": files["package.tcl"] + text}, tmp_path)
    with pytest.raises(AssertionError, match=error):
        run_tcl(tmp_path, "package.tcl", "out/kernel.xo", "work")


def faults_of_linking(text, verilog, config=ENGINE):
    """Return what in a link configuration contradicts the Verilog's ports."""
    lines = text.splitlines()
    spans = re.findall(r"^sp=lamforge_1\.(\w+):HBM\[(\d+)(?::(\d+))?\]$", text, re.M)
    faults = [] if len(spans) == sum(line.startswith("sp=") for line in lines) else ["syntax"]
    ports = [name.removesuffix("_araddr") for name in ports_of_kernel(verilog, config) if name.endswith("_araddr")]
    masters = sorted(name for name in ports if name.startswith("m_"))
    if sorted(bus for bus, _, _ in spans) != masters:
        faults.append("every port exactly once")
    channels = {bus: range(int(low), int(high or low) + 1) for bus, low, high in spans}
    side = channels.get(side_bus_of(config), ())
    streams = [channels.get(f"m_axi_{port:02d}") for port in range(config.tile.ports)]
    if [span for span in streams if span is not side] != [range(port, port + 1) for port in range(min(config.tile.ports, 31))]:
        faults.append("a channel for each stream")
    if any(channel not in side for span in streams for channel in span or ()):
        faults.append("the side port must reach every stream's channel")
    if "nk=lamforge:1:lamforge_1" not in lines or "slr=lamforge_1:SLR0" not in lines:
        faults.append("instance or SLR")
    if f"kernel_frequency={config.clock_hz / 1e6:g}" not in lines:
        faults.append("frequency")
    return faults


def test_linking_names_every_port_once(files, verilog):
    assert faults_of_linking(files["link.cfg"], verilog) == []
    assert "sp=lamforge_1.m_axi_side:HBM[0:31]" in files["link.cfg"]


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("m_axi_04:HBM[4]\n", "m_axi_04:HBM[4]\nsp=lamforge_1.m_axi_04:HBM[5]\n", "every port exactly once"),
        ("sp=lamforge_1.m_axi_06:HBM[6]\n", "", "every port exactly once"),
        ("m_axi_01:HBM[1]", "m_axi_01:HBM[2]", "a channel for each stream"),
        ("HBM[0:31]", "HBM[0:6]", "the side port must reach"),
        ("m_axi_00:HBM[0]", "m_axi_00:HBM(0)", "syntax"),
    ],
)
def test_broken_linking_is_caught(files, verilog, before, after, fault):
    assert before in files["link.cfg"]
    assert any(found.startswith(fault) for found in faults_of_linking(files["link.cfg"].replace(before, after, 1), verilog))


def instance_names(verilog):
    """Return every cell of the engine by its path, with the text of its module."""
    pattern = re.compile(r"^module \\?(\S+?) ?\((.*?)^endmodule", re.S | re.M)
    modules = {name: body for text in verilog.values() for name, body in pattern.findall(text)}
    found = {}

    def walk(path, module):
        found[path] = modules[module]
        for kind, name in re.findall(r"^  \\?(\S+) +(?:#\(.*?\) )?\\?(\S+?) ?\($", modules[module], re.M):
            if kind in modules:
                walk(f"{path}/{name}", kind)

    walk("engine", "engine")
    return found


def test_the_floorplan_names_cells_and_registers_of_the_verilog(files, verilog, tmp_path):
    put(files, tmp_path)
    calls = run_tcl(tmp_path, "floorplan.tcl")
    cells = instance_names(verilog)
    assert len(cells) > 50
    placed = {}
    for command, *words in calls:
        name = words[1 if command == "add_cells_to_pblock" else 2].removeprefix("*lamforge_1/inst/")
        if name.endswith("_reg*"):
            owner, register = name.removesuffix("_reg*").rsplit("/", 1)
            assert re.search(rf"^  reg (\[\d+:0\] )?\\?{register} ", cells[owner], re.M), name
        else:
            assert name in cells, name
        if command == "add_cells_to_pblock":
            assert words[2] == "-clear_locs"
            placed[name] = words[0]
        else:
            assert words[:2] == ["USER_SLL_REG", "true"]
    places = [placed[f"engine/matrix{path}"] for path in ("/near", "", "/far", "/front", "/broadcast_near")]
    assert places == [f"pblock_dynamic_SLR{slr}" for slr in (0, 1, 2, 0, 0)]
    tiles = tiles_of(ENGINE)
    ways = {
        "shared": {"beat": 0},
        # Words of tiles two SLRs away stop over in the one between.
        "far": {"beat": 0, "beat_2": 1},
    }
    words = {
        f"engine/matrix/{region}/tile_{port}/{name}_reg*": f"pblock_dynamic_SLR{slr}"
        for region, way in ways.items()
        for port in tiles[region]
        for name, slr in way.items()
    }
    assert {name: where for name, where in placed.items() if "beat" in name} == words
    pairs = {words[2].removeprefix("*lamforge_1/inst/") for command, *words in calls if command == "set_property"}
    last = {"shared": "beat_2", "far": "beat_3"}
    assert pairs == {*words} | {
        f"engine/matrix/{region}/tile_{port}/{last[region]}_reg*" for region in ways for port in tiles[region]
    }


def test_a_cell_that_is_not_there_stops_the_placement(files, tmp_path):
    put(files, tmp_path)
    with pytest.raises(AssertionError, match="Cell engine/matrix/far must be in the design, not flattened"):
        run_tcl(tmp_path, "floorplan.tcl", MISSING_CELLS="*/matrix/far")


@pytest.mark.parametrize("boundary", [0, 1])
def test_too_many_wires_stop_the_placement(files, wires, tmp_path, boundary):
    put(files, tmp_path)
    most = max(each.wires for each in wires)
    run_tcl(tmp_path, "floorplan.tcl", SLLS=str(most))
    # The device has enough everywhere but at this boundary.
    needed = wires[boundary].wires
    with pytest.raises(AssertionError, match=f"Wires from SLR{boundary} upwards must be at most {needed - 1}, not {needed}"):
        run_tcl(tmp_path, "floorplan.tcl", SLLS=str(most), SLLS_AT=f"SLR{boundary}", SLLS_THERE=str(needed - 1))


def test_the_readme_says_every_wire_over_each_boundary(wires, verilog, estimates):
    # As many as may be used are not too many.
    fewer, more = sorted(wires, key=lambda each: each.wires)
    text = package_files(ENGINE, dataclasses.replace(TARGET, line_limit=fewer.wires), verilog, estimates)["README.md"]
    for each, mark in ((fewer, ""), (more, "**")):
        place = f"SLR{each.lower} to SLR{each.lower + 1}"
        assert f"| {place} | {each.wires:,} | 5,000 | {mark}{each.wires / 50:.1f} %{mark} | {fewer.wires:,} |" in text
    rows = re.findall(r"^\| (engine\S*) \| ([\d,]+) \| ([\d,]+) \|$", text, re.M)
    sums = [sum(int(row[column].replace(",", "")) for row in rows) for column in (1, 2)]
    assert sums == [each.wires for each in wires]
    # Copies of a part, of which there are several on each side, are one line.
    assert sorted(name for name, _, _ in rows) == sorted({kind for each in wires for kind in each.by_kind})
    # A board that says no number of lines gets no share of them, and what was not counted is left out.
    unknown = package_files(ENGINE, dataclasses.replace(TARGET, lines=None, line_limit=None), verilog, estimates)["README.md"]
    assert f"| SLR0 to SLR1 | {wires[0].wires:,} |\n" in unknown
    assert "driven by" not in package_files(ENGINE, TARGET, verilog)["README.md"]


def test_the_readme_says_what_each_slr_and_part_holds(files, verilog, estimates):
    text = files["README.md"]
    assert "| SLR | tiles | LUT | FF | BRAM36 | URAM | DSP |" in text
    assert "| SLR0 | 3 | 500 (50.0 %) | 100 (5.0 %) | 2.5 (25.0 %) | 0 (none there) | 30 (30.0 %) |" in text
    # More than the fill of the board is bold, as much is not.
    assert "| SLR1 | 3 | 712 (**71.2 %**) | " in text
    assert "| SLR2 | 3 | 700 (70.0 %) | " in text
    assert "| fill of the board | | 70 % | 50 % | 80 % | 80 % | 80 % |" in text
    assert "| matrix.slice | 8 | 500 | 100 | 2.5 | 0 | 30 |" in text
    assert "estimates: a model of runs, not a synthesis" in text
    assert "Power: at most 20 W of the card (memory 14.4, on chip memory 5.6),\n" in text
    assert "; 25 % of it\nrests on assumed numbers." in text
    without = package_files(ENGINE, TARGET, verilog, dataclasses.replace(estimates, most_w=None))["README.md"]
    assert "Power" not in without
    assert "What it takes" not in package_files(ENGINE, TARGET, verilog)["README.md"]


def test_the_readme_says_depth_and_fan_out_where_they_are_known(files, verilog, estimates):
    assert "Depth and fan-out" not in files["README.md"]
    paths = [
        TimingPath(
            unit="vector",
            module="vector",
            start=f"engine/vector/from_{levels}",
            end="engine/vector/to",
            levels=levels,
            carries=0,
            cells_ns=1.0,
            delay_ns=levels / 2,
            slack_ns=5 - levels / 2,
        )
        for levels in range(30, 0, -1)
    ]
    nets = [
        LoadedNet(driver=f"engine/net_{loads}", copies=2, loads=loads, resets=0, is_clock=False) for loads in range(3000, 0, -100)
    ]
    timing = Timing(
        clock_hz=200e6,
        part="some part",
        units={
            "vector": UnitTiming(levels=30, delay_ns=15.0, slack_ns=-10.0),
            "fetch": UnitTiming(levels=2, delay_ns=1.0, slack_ns=4.0),
        },
        paths=tuple(paths),
        nets=tuple(nets),
        reset_data_loads=3,
    )
    text = package_files(ENGINE, TARGET, verilog, dataclasses.replace(estimates, timing=timing))["README.md"]
    assert "with the delays of\nsome part at 200 MHz" in text
    assert "The deepest path goes through 30 look-up tables (at most 6 are wanted)" in text
    assert "but clock and reset has 3,000 loads (at most 512). " in text
    assert f"are {30 - 6} paths\nand {30 - 5} nets. A reset drives 3 pins" in text
    assert "| fetch | 2 | 1.00 | +4.00 |\n| vector | 30 | 15.00 | -10.00 |\n" in text
    assert "| engine/vector/from_30 | engine/vector/to | 30 | 15.00 | -10.00 |\n" in text
    # Those that are deepest, and most loaded, are enough.
    assert (text.count("| engine/vector/from_"), text.count("| engine/net_")) == (16, 16)
    assert "| engine/net_3000 | 3,000 | 2 |\n" in text


def test_the_picture_is_of_the_floorplan_and_the_estimates(files, wires):
    root = ElementTree.fromstring(files["floorplan.svg"])
    space = "{http://www.w3.org/2000/svg}"
    width, height = (float(value) for value in root.get("viewBox").split()[2:])
    for box in root.iter(f"{space}rect"):
        x, y, wide, high = (float(box.get(name)) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    words = [(word.text, float(word.get("y"))) for word in root.iter(f"{space}text")]
    places = dict(words)
    # Every tile once, within its SLR; the memory is beside SLR0, at the bottom.
    tops = {slr: places[f"SLR{slr}"] for slr in range(3)}
    assert tops[2] < tops[1] < tops[0] < places["HBM: 32 pseudo channels"]
    plan = floorplan(ENGINE, slrs=3, memory_slr=0)
    for port, slr in enumerate(plan.tiles):
        ((_, y),) = (word for word in words if word[0] == str(port))
        assert slr == max((each for each in tops if tops[each] <= y + 20), key=lambda each: tops[each])
    units = {cell.removeprefix("engine/"): slr for slr, cells in plan.regions for cell in cells if "tile_" not in cell}
    assert units
    # What the floorplan does not name is by the memory.
    for unit, slr in (units | {"fetch": 0}).items():
        assert -20 < places[unit] - tops[slr] < 140
    for each in wires:
        text = f"{each.wires:,} wires, {each.wires / 5000:.1%} of 5,000 lines, of which 3,000 may be used"
        assert tops[each.lower + 1] < places[text] < tops[each.lower]
    assert [text for text, _ in words if text == "none there"] == ["none there"] * 3
    kinds = [box.get("class") for box in root.iter(f"{space}rect")]
    # Look-up tables of SLR1 are more than may be, and wires perhaps.
    assert (kinds.count("tile"), kinds.count("over")) == (8, 1 + sum(each.wires > 3000 for each in wires))


def test_the_picture_for_a_page_is_the_same_without_an_address(files, estimates):
    inline = floorplan_picture(ENGINE, TARGET, estimates)
    assert "://" not in inline
    assert inline == files["floorplan.svg"].replace('xmlns="http://www.w3.org/2000/svg" ', "", 1)


def test_a_picture_without_estimates_has_the_tiles_alone(verilog):
    flipped = dataclasses.replace(TARGET, memory_slr=2)
    root = ElementTree.fromstring(package_files(ENGINE, flipped, verilog)["floorplan.svg"])
    words = [word.text for word in root.iter("{http://www.w3.org/2000/svg}text")]
    # The memory is at the top, beside SLR2.
    assert words[:2] == ["HBM: 32 pseudo channels", "SLR2"]
    assert not [word for word in words if "%" in word or "wires" in word]


def test_constraints_run_and_name_what_is_placed(files, tmp_path):
    put(files, tmp_path)
    calls = run_tcl(tmp_path, "constraints.xdc")
    assert calls[0][:2] == ["set_property", "KEEP_HIERARCHY"]
    plan = floorplan(ENGINE, slrs=3, memory_slr=0)
    assert calls[0][3].split() == list(plan.moved)
    assert run_tcl(tmp_path, "out_of_context.xdc") == [["create_clock", "-name", "ap_clk", "-period", "5.000", "port:ap_clk"]]


def test_an_engine_of_few_tiles_stays_in_one_slr(verilog, tmp_path):
    config = load_engine("tiny")
    files = package_files(config, TARGET, {"engine.v": ""})
    put(files, tmp_path)
    assert run_tcl(tmp_path, "floorplan.tcl") == []
    assert "The engine lies in SLR0 as a whole." in files["README.md"]


def test_the_manifest_and_the_make_targets(files, verilog, tmp_path):
    folder = tmp_path / "vitis"
    put(verilog, tmp_path)
    put(files, folder)
    for line in files["MANIFEST.sha256"].splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest

    def make(*arguments):
        return subprocess.run(["make", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)

    assert make("files").returncode == 0
    dry = make("--dry-run", "xclbin").stdout
    steps = ["vivado -mode batch", "v++ --link --target hw", f"TCL.PRE={folder}/floorplan.tcl", "v++ --package"]
    places = [dry.index(step) for step in steps]
    assert places == sorted(places)
    assert "floorplan.tcl" not in make("--dry-run", "xclbin", "TARGET=hw_emu").stdout
    for target in ("xo", "emconfig", "clean"):
        assert make("--dry-run", target).returncode == 0
    assert "TARGET must be hw or hw_emu, not sw_emu" in make("xclbin", "TARGET=sw_emu").stderr
    (tmp_path / "ram.v").write_text(verilog["ram.v"] + "\n")
    assert "ram.v: FAILED" in make("files").stdout


VERSIONS = [
    *((version, True) for version in ("2022.1", "2022.1.1", "2022.2", "2023.1", "2023.2", "2023.2.2")),
    *((version, False) for version in ("2021.2", "2022.3", "2022.10", "2024.1", "2023", "2023.x", "2022.1x", "v2023.1", "it's")),
]


@pytest.fixture(scope="module")
def tools(files, verilog, tmp_path_factory):
    """A function that runs make in the package with tools on PATH that call themselves a version."""
    folder = tmp_path_factory.mktemp("tools")
    put(verilog, folder)
    put({f"vitis/{name}": text for name, text in files.items()}, folder)
    (folder / "bin").mkdir()

    def run(found, *arguments):
        # As v++ prints it, after empty lines.
        says = f"\n****** v++ v{found} (64-bit)\n  **** SW Build 3526262 on Mon Apr 18 15:47:01 MDT 2022"
        for tool in ("v++", "vivado", "emconfigutil", "platforminfo"):
            (folder / "bin" / tool).write_text(f"#!/bin/sh\ncat << 'END'\n{says}\nEND\n")
            (folder / "bin" / tool).chmod(0o755)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        command = ["make", "--silent", "-C", str(folder / "vitis"), *arguments]
        return subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(("version", "is_taken"), VERSIONS)
def test_versions_of_the_tools(files, tools, tmp_path, version, is_taken):
    put(files, tmp_path)
    asked = tools("2023.1" if not is_taken else version, "tools", f"VITIS_VERSION={version}")
    assert (asked.returncode == 0) == is_taken
    assert is_taken or f"VITIS_VERSION must be 2022.1 to 2023.x, not {version}." in asked.stderr
    if is_taken:
        assert tools(version, "tools").returncode == 0
        assert run_tcl(tmp_path, "package.tcl", "kernel.xo", "work", VIVADO=version)[-1][0] == "package_xo"
    else:
        with pytest.raises(AssertionError, match=re.escape(f"Vivado must be 2022.1 to 2023.x, not {version}.")):
            run_tcl(tmp_path, "package.tcl", "kernel.xo", "work", VIVADO=version)


def test_other_versions_on_the_path_are_refused_before_anything_is_built(tools):
    # The last where the kernel was packaged before.
    for target in (["tools"], ["xo"], ["xclbin"], ["xclbin", "-o", "build/lamforge.xo"]):
        other = tools("2024.1", *target)
        assert other.returncode != 0
        assert "Vitis must be 2022.1 to 2023.x, not: ****** v++ v2024.1 (64-bit)\n" in other.stderr
    for version in ("2021.2", "2022.3", "2022.10", "12022.1"):
        assert "Vitis must be 2022.1 to 2023.x" in tools(version, "tools").stderr
    wanted = tools("2023.1", "tools", "VITIS_VERSION=2022.2")
    assert "Vitis on PATH must be VITIS_VERSION 2022.2, not 2023.1\n" in wanted.stderr
    assert wanted.returncode != 0
    assert tools("2022.1.1", "tools", "VITIS_VERSION=2022.1").returncode == 0
    assert tools("2023.11", "tools", "VITIS_VERSION=2023.1").returncode != 0


def faults_of_package(config, verilog, tmp_path):
    """Return what the checks of single files have against the package of an engine."""
    files = package_files(config, dataclasses.replace(TARGET, channel_bytes=config.channel_bytes), verilog)
    put(verilog, tmp_path / "top")
    return [
        *faults_of_xml(files["kernel.xml"], verilog, config),
        *faults_of_linking(files["link.cfg"], verilog, config),
        *faults_of_top(files, verilog, tmp_path / "top", config),
    ]


def test_the_memory_takes_no_more_than_32_masters(tmp_path):
    """With 32 stream ports the side port is behind the last of them, so that there is no 33rd master."""
    config = load_engine("tiny").with_values({"tile.ports": 32})
    verilog = generate(config)
    assert faults_of_package(config, verilog, tmp_path) == []
    files = package_files(config, TARGET, verilog)
    assert len(re.findall(r"^sp=", files["link.cfg"], re.M)) == 32
    assert "sp=lamforge_1.m_axi_31:HBM[0:31]\n" in files["link.cfg"]
    assert "shared_port.v" in files["README.md"]
    put(verilog, tmp_path)
    put(files, tmp_path / "package")
    calls = run_tcl(tmp_path / "package", "package.tcl", "out/kernel.xo", "work")
    assert any(words[0] == "add_files" and "shared_port.v" in " ".join(words) for words in calls)
    # tiny's bursts are of 8 beats, a kilobyte of its 16-byte beats is 64.
    assert faults_of_packaging(calls, verilog, config) == []
    few = package_files(ENGINE, TARGET, {"engine.v": ""})
    assert "shared_port.v" not in few and "shared_port.v" not in few["README.md"]


def test_equal_arguments_give_equal_bytes(files, verilog, estimates):
    assert package_files(ENGINE, TARGET, verilog, estimates) == files


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tile.ports": 64}, "Engine tiny must have at most 32 ports for board board, not 64"),
        ({"channel_bytes": 1 << 29}, "Engine tiny must have at most 268435456 bytes behind a port for board board, not 536870912"),
    ],
)
def test_an_engine_that_does_not_fit_is_refused(changes, text):
    with pytest.raises(ConfigError, match=text):
        package_files(load_engine("tiny").with_values(changes), TARGET, {})


def test_a_memory_between_slrs_is_refused():
    with pytest.raises(ConfigError, match="Memory must be at the first or the last of 3 SLRs, not at SLR1"):
        floorplan(ENGINE, slrs=3, memory_slr=1)


@pytest.mark.parametrize("name", board_names())
def test_each_boards_package_is_made_of_its_file_alone(name, tmp_path):
    board, config = load_board(name), load_engine(name)
    target = Target.of(board)
    files = package_files(config, target, {"engine.v": ""}, u280_fit().estimates)
    put(files, tmp_path)
    others = {other for other in board_names() if other != name}
    for file, text in files.items():
        assert not [other for other in others if other in text.lower()], file
    assert f"Engine {name} for {board.title}" in files["README.md"]
    assert f"PLATFORM ?= {board.shells.value[0]}\n" in files["Makefile"]
    assert run_tcl(tmp_path, "package.tcl", "kernel.xo", "work")[0][:3] == ["create_project", "-force", "package"]
    assert f"-part {board.part.value}\n" in files["package.tcl"]
    assert f"Floorplan of engine {name} on {board.title}" in files["floorplan.svg"]
    assert (
        f"| SLR0 to SLR1 | 14,000 | {board.slr_lines.value:,} | **{1.4e6 / board.slr_lines.value:.1f} %** | {board.line_limit:,} |"
        in files["README.md"]
    )
    regions = {words[0] for command, *words in run_tcl(tmp_path, "floorplan.tcl") if command == "add_cells_to_pblock"}
    assert regions == {f"pblock_dynamic_{slr.name}" for slr in board.slrs.value}
    assert len(re.findall(r"^sp=\w+\.m_axi_\d+:HBM\[[\d:]+\]$", files["link.cfg"], re.M)) == board.hbm.value.pseudo_channels


def test_no_file_of_the_packages_names_a_board():
    """What is of one board is in its own file."""
    for path in (ROOT / "rtl" / "package" / "templates").iterdir():
        assert not [name for name in board_names() if name in path.read_text().lower()], path.name


@pytest.mark.long
@pytest.mark.parametrize("name", ["u280", "u55c"])
def test_the_packages_of_the_largest_engines(name, tmp_path):
    config = load_engine(name)
    verilog = generate(config)
    target = dataclasses.replace(TARGET, channel_bytes=config.channel_bytes)
    files = package_files(config, target, verilog)
    assert faults_of_xml(files["kernel.xml"], verilog, config) == []
    assert faults_of_linking(files["link.cfg"], verilog, config) == []
    assert faults_of_top(files, verilog, tmp_path / "top", config) == []
    put(files, tmp_path / "vitis")
    assert faults_of_packaging(run_tcl(tmp_path / "vitis", "package.tcl", "kernel.xo", "work"), verilog, config) == []
    cells = instance_names(verilog)
    assert set(floorplan(config, slrs=3, memory_slr=0).moved) <= cells.keys()
    assert len(run_tcl(tmp_path / "vitis", "floorplan.tcl")) > 70
    assert package_files(config, target, make(config)) == files
