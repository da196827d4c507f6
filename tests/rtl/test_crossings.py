"""Wires between SLRs: every one is counted, once, in small circuits and in an engine."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from amaranth import Shape
from amaranth.lib.wiring import Out

from hwsim.arch.config import load_engine
from rtl.floorplan import Floorplan, floorplan
from rtl.matrix.slice import Tile
from rtl.synthesis.crossings import crossings, netlist_of, nets_of
from rtl.synthesis.yosys import modules_of

TOP = """\
module engine (ap_clk, in, out, seen);
  input ap_clk;
  input [7:0] in;
  output [3:0] out;
  output [7:0] seen;
  wire [3:0] sum;
  wire [15:0] wide;
  matrix matrix (
    .clk(ap_clk),
    .in(in),
    .sum(sum),
    .wide(wide),
    .same(seen)
  );
  assign out = sum;
endmodule
"""
MATRIX = """\
module matrix (clk, in, sum, wide, same);
  input clk;
  input [7:0] in;
  output [3:0] sum;
  output [15:0] wide;
  output [7:0] same;
  wire [3:0] part;
  reg [1:0] both;
  always @(posedge clk) both <= in[1:0] ^ in[3:2];
  tile tile_0 (
    .clk(clk),
    .in({both, 2'h0}),
    .out(sum)
  );
  tile tile_1 (
    .clk(clk),
    .in({both, 2'h1}),
    .out(part)
  );
  assign wide = {part, 12'h0};
  assign same = in;
endmodule
"""
TILE = """\
module tile (clk, in, out);
  input clk;
  input [3:0] in;
  output [3:0] out;
  assign out = ~in;
endmodule
"""
PLAN = Floorplan(
    regions=((1, ("engine/matrix",)), (1, ("engine/matrix/tile_0",)), (2, ("engine/matrix/tile_1",))),
    waypoints=(),
    registers=(),
    tiles=(1, 2),
)


def wires(*texts: str) -> Mapping[int, int]:
    """Return the wires over each boundary above an SLR."""
    nets = nets_of(netlist_of(modules_of(texts), PLAN), PLAN, memory_slr=0)
    return {lower: sum(min(net.slrs) <= lower < max(net.slrs) for net in nets) for lower in (0, 1)}


def test_each_wire_counts_once_and_neither_clock_nor_constants_do() -> None:
    # Upwards 4 bits of the input, for the other 4 are passed back where they came from and nobody else takes them; 2 registers for
    # the far tile. Downwards the sum, which leaves the engine.
    assert wires(TOP, MATRIX, TILE) == {0: 4 + 4, 1: 2}
    assert wires(re.sub(r"\bout\b", "trace_out", TOP), MATRIX, TILE) == {0: 4, 1: 2}


def test_a_wire_more_is_counted() -> None:
    more = MATRIX.replace("assign wide = {part, 12'h0}", "assign wide = 16'h0").replace(
        "assign same = in", "assign same = {part, 4'h0}"
    )
    assert wires(TOP, more, TILE) == {0: 4 + 4 + 4, 1: 2 + 4}
    shared = MATRIX.replace("{both, 2'h1}", "{both, in[7:6]}")
    assert wires(TOP, shared, TILE) == {0: 4 + 2 + 4, 1: 2 + 2}


def test_beyond_the_shared_slr_only_ports_of_tiles_cross(tmp_path: Path) -> None:
    """Farther from the memory than what serves all tiles there are tiles alone: their ports, and the reset."""
    config = load_engine("small").with_values({"tile.ports": 8})
    plan = floorplan(config, slrs=3, memory_slr=0)
    near, far = crossings(config, slrs=3, memory_slr=0, cache=tmp_path)
    count = plan.tiles.count(2)
    assert count > 0
    ports = {name: Shape.cast(member.shape).width for name, member in Tile.ports(config).items()}
    outputs = sum(ports[name] for name, member in Tile.ports(config).items() if member.flow is Out)
    assert far.by_kind["engine/matrix/tile_*"] == count * outputs
    assert (
        sum(wires for driver, wires in far.by_driver.items() if re.fullmatch(r"engine/matrix/tile_\d+", driver)) == count * outputs
    )
    # A word of its own and coefficients to each tile, and one copy of all else that comes in.
    own = ports["head"] + ports["coefficients"]
    common = sum(ports.values()) - outputs - own
    assert far.wires == count * (own + outputs) + common + len("r")
    # Nearer, the vector unit's wires cross as well.
    assert near.wires > far.wires
    assert sum(near.by_kind.values()) == near.wires
    assert crossings(config, slrs=3, memory_slr=0, cache=tmp_path) == (near, far)
    # From the other end the same wires cross.
    assert [each.wires for each in crossings(config, slrs=3, memory_slr=2)] == [far.wires, near.wires]


def test_an_engine_in_one_slr_crosses_nothing_and_needs_no_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("rtl.synthesis.crossings"), "run_yosys", lambda *_: pytest.fail("Yosys ran"))
    found = crossings(load_engine("tiny"), slrs=3, memory_slr=0)
    assert [(each.lower, each.wires, each.by_kind) for each in found] == [(0, 0, {}), (1, 0, {})]
