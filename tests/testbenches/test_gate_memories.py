"""Memories of every kind and shape that synthesis maps to cells are themselves once they are mapped."""

from pathlib import Path

from rtl.synthesis.netlists import mapped
from rtl.synthesis.yosys import modules_of
from rtl.verilog import PRIMITIVES
from testbenches.gate_faults import planted
from testbenches.gate_streams import random_stimuli
from testbenches.gates import GateBench, ports_of

CACHE = Path("build/synthesis")

OWN_PORTS = """\
module {name}(clk, address, enable, write, data, q);
  input clk;
  input [{address}:0] address;
  input enable;
  input [{lanes}:0] write;
  input [{width}:0] data;
  output [{width}:0] q;
  (* ram_style = "block" *) reg [{width}:0] words [0:{last}];
  reg [{width}:0] q;
  integer i;
  initial begin
    q = {bits}'d{first};
    for (i = 0; i <= {last}; i = i + 1) words[i] = i * {step};
  end
  always @(posedge clk) if (enable) begin
{body}
  end
endmodule
"""
READ_FIRST = """\
    q <= words[address];
    for (i = 0; i <= {lanes}; i = i + 1)
      if (write[i]) words[address][i*{lane} +: {lane}] <= data[i*{lane} +: {lane}];"""
NO_CHANGE = "    if (write) words[address] <= data; else q <= words[address];"
WRITE_FIRST = "    if (write) begin words[address] <= data; q <= data; end else q <= words[address];"
TWO_PORTS = """\
module two_ports(clk, a, b, write_a, write_b, data_a, data_b, q_a, q_b);
  input clk;
  input [10:0] a;
  input [10:0] b;
  input write_a;
  input write_b;
  input [8:0] data_a;
  input [8:0] data_b;
  output [8:0] q_a;
  output [8:0] q_b;
  (* ram_style = "block" *) reg [8:0] words [0:2047];
  reg [8:0] q_a;
  reg [8:0] q_b;
  integer i;
  initial begin
    q_a = 0;
    q_b = 0;
    for (i = 0; i < 2048; i = i + 1) words[i] = 0;
  end
  always @(posedge clk) begin
    q_a <= words[a];
    if (write_a) words[a] <= data_a;
  end
  always @(posedge clk) begin
    q_b <= words[b];
    if (write_b && !(write_a && a == b)) words[b] <= data_b;
  end
endmodule
"""


def own_ports(name: str, body: str, *, depth: int, lanes: int = 1, lane: int, step: int = 0, first: int = 0) -> str:
    """Return a memory that reads and writes at one address, in lanes."""
    values = {
        "name": name,
        "bits": lanes * lane,
        "width": lanes * lane - 1,
        "lanes": lanes - 1,
        "lane": lane,
        "last": depth - 1,
        "address": depth.bit_length() - 2,
    }
    return OWN_PORTS.format(body=body.format(**values), step=step, first=first, **values)


def shared(name: str, depth: int, lanes: int, lane_bits: int, style: str) -> str:
    """Return a memory of the engine: a port that writes lanes and one that reads."""
    bits, width = (depth - 1).bit_length() - 1, lanes * lane_bits - 1
    return (
        f"module {name}(clk, enable, into, data, from, q);\n  input clk;\n"
        f"  input [{lanes - 1}:0] enable;\n  input [{bits}:0] into;\n  input [{width}:0] data;\n  input [{bits}:0] from;\n"
        f"  output [{width}:0] q;\n  ram #(\n    .DEPTH({depth}),\n    .ADDRESS_BITS({bits + 1}),\n    .LANES({lanes}),\n"
        f'    .LANE_BITS({lane_bits}),\n    .STYLE("{style}")\n  ) array (\n    .clk(clk),'
        " .write_enable(enable), .write_address(into),\n"
        "    .write_data(data), .read_address(from), .read_data(q)\n  );\nendmodule\n"
    )


MEMORIES = (
    shared("whole_words", 512, 1, 72, "block"),
    shared("half_words", 512, 1, 36, "block"),
    shared("lanes", 512, 4, 20, "block"),
    shared("deep", 8192, 1, 5, "block"),
    shared("ultra", 4096, 1, 144, "ultra"),
    shared("distributed", 32, 2, 9, "distributed"),
    own_ports("old_words", READ_FIRST, depth=1024, lanes=2, lane=9, step=0x1357, first=0x2A5C3),
    own_ports("old_bits", READ_FIRST, depth=4096, lane=1, step=5),
    own_ports("new_words", WRITE_FIRST, depth=2048, lane=9, step=0x9D, first=0x155),
    own_ports("kept_outputs", NO_CHANGE, depth=1024, lane=36, step=0x1020304, first=0x123456789),
    TWO_PORTS,
)
FAULTS = {
    "whole_words": ("RAMB36E2", "WRITE_MODE_B", lambda mode: '"NO_CHANGE"'),
    "half_words": ("RAMB18E2", "READ_WIDTH_A", lambda width: "18"),
    "lanes": ("RAMB18E2", "WEBWE", lambda pins: f"{pins} & 4'h2"),
    "old_words": ("RAMB18E2", "INIT_1A", lambda constant: "256'h0"),
    "new_words": ("RAMB18E2", "WRITE_MODE_A", lambda mode: '"READ_FIRST"'),
    "kept_outputs": ("RAMB36E2", "WRITE_MODE_A", lambda mode: '"WRITE_FIRST"'),
    "ultra": ("URAM288", "ADDR_A", lambda pins: f"{pins} ^ 23'h1"),
}
"""What is wrong in other netlists: in a memory, of a kind of cell, an attribute or a pin."""


def together(texts: tuple[str, ...]) -> str:
    """Return a module that has all of some memories, with ports named after them."""
    declared, instances = [], []
    for name, module in modules_of(texts).items():
        ports = ports_of(module)
        declared += [(f"{name}_{port.name}", port) for port in ports]
        pins = ", ".join(f".{port.name}({name}_{port.name})" for port in ports)
        instances.append(f"  {name} memory_{name} (.clk(clk), {pins});\n")
    lines = "".join(f"  {'input' if port.is_input else 'output'} [{port.width - 1}:0] {name};\n" for name, port in declared)
    names = ", ".join(["clk", *(name for name, _ in declared)])
    return f"module memories({names});\n  input clk;\n{lines}{''.join(instances)}endmodule\n"


def test_memories_are_themselves_once_they_are_mapped() -> None:
    modules = modules_of([*MEMORIES, together(MEMORIES), PRIMITIVES["ram.v"]])
    netlist = mapped(modules, "memories", CACHE)
    for kind in ("RAMB18E2", "RAMB36E2", "URAM288", "RAM32M16"):
        assert f"  {kind} " in netlist
    netlists = {"mapped": netlist} | {name: planted(netlist, *fault, inside=f"memory_{name}.") for name, fault in FAULTS.items()}
    bench = GateBench(modules, "memories", netlists)
    verdicts = bench.run(random_stimuli(bench.inputs, 12_000, seed=1))
    assert verdicts["mapped"].first is None
    assert [name for name in FAULTS if verdicts[name].different == 0] == []
