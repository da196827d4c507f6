"""Wires between SLRs: every one is counted, once, in small circuits and in an engine."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from amaranth import Shape
from amaranth.hdl import Fragment
from amaranth.lib.wiring import Out

from hwsim.arch.board import load_board
from hwsim.arch.config import load_engine
from rtl.floorplan import Floorplan
from rtl.matrix.region import Region, tiles_of
from rtl.ram import VerilogPlatform
from rtl.regions import FAR, NEAR, SHARED
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


def test_beyond_the_shared_slr_only_ports_of_the_far_region_cross(tmp_path: Path) -> None:
    """Farther from the memory than what serves all tiles there is a region of tiles alone: its ports, and the reset."""
    config = load_engine("small").with_values({"tile.ports": 8})
    near, far = crossings(config, slrs=3, memory_slr=0, cache=tmp_path)
    tiles = tiles_of(config)
    assert set(tiles) == {NEAR, SHARED, FAR} and sorted(sum(tiles.values(), ())) == list(range(8))
    region = Region(config, tiles[FAR], hops=1, inline=False)
    # Amaranth complains of a component that was never elaborated.
    Fragment.get(region, VerilogPlatform())
    widths = {name: Shape.cast(member.shape).width for name, member in region.signature.members.items()}
    outputs = sum(widths[name] for name, member in region.signature.members.items() if member.flow is Out)
    assert far.by_driver["engine/matrix/far"] == outputs
    assert far.wires == sum(widths.values()) + len("r")
    # Nearer, the words of two regions cross, and what is loaded, stored and commanded.
    assert near.by_driver["engine/fetch"] == config.tile.port_bits * (8 - len(tiles[NEAR]))
    assert sum(near.by_kind.values()) == near.wires
    assert crossings(config, slrs=3, memory_slr=0, cache=tmp_path) == (near, far)
    # From the other end the same wires cross.
    assert [each.wires for each in crossings(config, slrs=3, memory_slr=2)] == [far.wires, near.wires]


@pytest.mark.long
@pytest.mark.parametrize("name", ["u280", "u55c"])
def test_shipped_engines_leave_lines_to_others(name: str) -> None:
    """A boundary has lines for the shell too, and placement needs room: three fifths at most are the engine's."""
    board = load_board(name)
    assert board.slr_lines is not None
    found = crossings(load_engine(name), slrs=len(board.slrs.value), memory_slr=board.memory_slr)
    for boundary in found:
        print(boundary.lower, boundary.wires, boundary.by_driver)
        assert 0 < boundary.wires <= 0.6 * board.slr_lines.value


def test_an_engine_in_one_slr_crosses_nothing_and_needs_no_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("rtl.synthesis.crossings"), "run_yosys", lambda *_: pytest.fail("Yosys ran"))
    found = crossings(load_engine("tiny"), slrs=3, memory_slr=0)
    assert [(each.lower, each.wires, each.by_kind) for each in found] == [(0, 0, {}), (1, 0, {})]
