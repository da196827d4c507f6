"""The Verilog of engines: the same files every time, free of lint, with the ports that kernels of this kind have."""

import json
import re

import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.isa import isa_digest
from rtl.engine import trace_ports
from rtl.verilog import LINT_WAIVERS, PRIMITIVES, files_of, generate, make, write
from testbenches.verilator import lint

FILES = {"engine.v", "ram.v", "slice.v", "stream_port.v", "lint.vlt", "engine.json"}
READ = ["araddr", "arlen", "arsize", "arburst", "arvalid", "arready", "rdata", "rresp", "rlast", "rvalid", "rready"]
WRITE = [
    "awaddr",
    "awlen",
    "awsize",
    "awburst",
    "awvalid",
    "awready",
    "wdata",
    "wstrb",
    "wlast",
    "wvalid",
    "wready",
    "bresp",
    "bvalid",
    "bready",
]
LITE = [name for name in (*WRITE, *READ) if name[2:] not in ("len", "size", "burst") and not name.endswith("last")]


@pytest.fixture(scope="module")
def files():
    return {name: generate(load_engine(name)) for name in ("tiny", "small")}


def top_ports(text):
    """Return the ports of the top module with their widths in bits."""
    module = re.search(r"^module engine\(.*?^endmodule", text, re.S | re.M).group()
    declared = re.findall(r"^  (?:input|output)(?: reg)? (?:\[(\d+):0\] )?(\w+);", module, re.M)
    return {name: int(high or 0) + 1 for high, name in declared}


def test_equal_configurations_give_equal_files(files, tmp_path):
    assert make(load_engine("tiny")) == files["tiny"]
    paths = write(load_engine("tiny"), tmp_path)
    assert {path.name: path.read_text() for path in paths} == files["tiny"]
    assert {path.name for path in tmp_path.iterdir()} == set(files["tiny"]) >= FILES


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_the_top_has_the_ports_of_a_kernel(files, name):
    config = load_engine(name)
    ports = top_ports(files[name]["engine.v"])
    expected = {"ap_clk", "ap_rst_n", "interrupt"}
    expected |= {f"s_axi_control_{signal}" for signal in LITE}
    expected |= {f"m_axi_{port:02d}_{signal}" for port in range(config.tile.ports) for signal in READ}
    expected |= {f"m_axi_side_{signal}" for signal in (*READ, *WRITE)}
    traces = {port.name: port.width for port in trace_ports(config)}
    assert set(ports) == expected | set(traces)
    assert {trace: ports[trace] for trace in traces} == traces
    assert ports["m_axi_00_rdata"] == config.tile.port_bits
    assert (ports["s_axi_control_araddr"], ports["m_axi_side_wstrb"], ports["m_axi_side_awaddr"]) == (12, 16, 64)


def test_the_description_holds_parameters_digests_and_trace(files):
    config = load_engine("tiny")
    description = json.loads(files["tiny"]["engine.json"])
    assert description["top"] == "engine"
    assert description["parameters"] == config.to_dict()
    assert description["digests"] == {"instruction_set": isa_digest(), "engine": config.digest}
    assert [port["name"] for port in description["trace"]] == [port.name for port in trace_ports(config)]


def test_memories_are_instances_of_one_module(files):
    for name in ("engine_vector.v", "stream_port.v"):
        assert re.search(r"^  ram #\(", files["tiny"][name], re.M)
    # Larger memories would be written out word by word; tables and queues of a few words may be.
    text = "".join(text for name, text in files["small"].items() if name.startswith("engine"))
    depths = [int(last) + 1 for last in re.findall(r"^  reg \[\d+:0\] \S+ +\[(\d+):0\];", text, re.M)]
    assert depths and max(depths) <= 512


def test_files_are_small_and_say_what_makes_each_module(files):
    for text in (text for some in files.values() for name, text in some.items() if name.endswith(".v") and name not in PRIMITIVES):
        assert len(text) <= 1_000_000
        assert len(re.findall(r"^module ", text, re.M)) == len(re.findall(r"^// Made by rtl\.[\w.]+$", text, re.M))


def test_every_module_is_in_one_file():
    modules = ["top.a", "top.a.b", "top.a.c", "top", "top.d"]
    text = "\n".join(f"// Made by x\nmodule \\{name} (p);\n  input p;\nendmodule" for name in modules).replace("\\top (", "top (")
    files = files_of(text)
    assert {*files} == {"top.v"}
    assert sorted(re.findall(r"^module \\?(\S+)", "".join(files.values()), re.M)) == sorted(modules)
    large = text.replace("  input p;", f"  input p; // {'x' * 400_000}")
    files = files_of(large)
    assert {*files} == {"top.v", "top_a.v", "top_a_b.v", "top_a_c.v", "top_d.v"}
    assert all(file.count("module \\") + file.count("module top ") == 1 for file in files.values())


def put(files, folder):
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_the_verilog_has_no_lint(files, name, tmp_path):
    put(files[name], tmp_path)
    assert lint(tmp_path) == ""


@pytest.mark.long
def test_the_largest_engine_has_no_lint(tmp_path):
    put(generate(load_engine("u280")), tmp_path)
    assert lint(tmp_path) == ""


def test_lint_reports_what_is_wrong(files, tmp_path):
    put(files["tiny"], tmp_path)
    (tmp_path / "ram.v").write_text(files["tiny"]["ram.v"].replace("output wire [LANES*", "output wire [2*LANES*"))
    assert "UNDRIVEN" in lint(tmp_path)


def test_every_waiver_has_its_reason(files):
    lines = files["tiny"]["lint.vlt"].splitlines()
    assert {line.split()[2] for line in lines if line.startswith("lint_off")} == set(LINT_WAIVERS)
    assert all(f"// {reason}." in lines for reason in LINT_WAIVERS.values())
