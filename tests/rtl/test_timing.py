"""Depth and fan-out of circuits with known paths and loads: through modules, with the names of registers, against the bars."""

import dataclasses

import pytest

from hwsim.arch.config import load_engine
from hwsim.errors import MachineError, SpecError
from rtl.arithmetic import ApplyScale, Normalizer, Reciprocal, SquareRoot
from rtl.synthesis import yosys
from rtl.synthesis.cell_arcs import arcs_of, begins_of, ends_of
from rtl.synthesis.delays import load_delays
from rtl.synthesis.loads import loaded_nets
from rtl.synthesis.mapped import Cell, Mapped, mapped_of
from rtl.synthesis.paths import Cost, paths_of
from rtl.synthesis.timing import timing, timing_of
from rtl.synthesis.yosys import modules_of
from rtl.verilog import PRIMITIVES, convert

DELAYS = load_delays()
PARITIES = 8
"""Modules that a planted path goes through, one look-up table in each."""
PARITY = """\
module \\{name} (\\{word} , \\{sum} );
  input [5:0] \\{word} ;
  output \\{sum} ;
  assign \\{sum} = ^\\{word} ;
endmodule
"""
COUNTERS = """\
module counters (clk, enable, in, out);
  input clk;
  input enable;
  input [299:0] in;
  output [299:0] out;
  reg [299:0] held = 300'h0;
  always @(posedge clk) if (enable) held <= in;
  assign out = held;
endmodule
"""
TOP = """\
module engine (ap_clk, ap_rst_n, in, out, seen, trace_seen);
  input ap_clk;
  input ap_rst_n;
  input [299:0] in;
  output [299:0] out;
  output [33:0] seen;
  output trace_seen;
{wires}  wire [299:0] copy;
  wire [31:0] word;
  reg [35:0] first = 36'h0;
  reg last = 1'h0;
  reg enable = 1'h0;
  reg reset = 1'h1;
  reg mixed = 1'h0;
  reg [31:0] read = 32'h0;
  always @(posedge ap_clk) begin
    first <= in[35:0];
    last <= \\sum[7] ;
    enable <= ^in[40:38];
    reset <= ~ap_rst_n;
    mixed <= (in[41] & ~reset) ^ first[3];
    read <= word;
    if (reset) last <= 1'h0;
  end
{parities}  counters counters_0 (
    .clk(ap_clk),
    .enable(enable),
    .in(in),
    .out(copy)
  );
  counters counters_1 (
    .clk(ap_clk),
    .enable(enable),
    .in(copy),
    .out(out)
  );
  ram #(
    .DEPTH(32'd2048),
    .ADDRESS_BITS(32'd11),
    .LANES(32'd1),
    .LANE_BITS(32'd32),
    .STYLE("block")
  ) memory (
    .clk(ap_clk),
    .write_enable(first[0]),
    .write_address(in[10:0]),
    .write_data(in[42:11]),
    .read_address(first[11:1]),
    .read_data(word)
  );
  assign seen = {mixed, last, read};
  assign trace_seen = ^{copy, first};
endmodule
"""


def texts() -> list[str]:
    kinds = (PARITY.format(name=f"parity.{each}", word=f"word.{each}", sum=f"sum.{each}") for each in "ab")
    wires = "".join(f"  wire \\sum[{number}] ;\n" for number in range(PARITIES))
    parities = ""
    for number in range(PARITIES):
        kind = "ab"[number % 2]
        below = f"\\sum[{number - 1}] " if number else "first[35]"
        parities += f"  \\parity.{kind}  parity_{number} (\n    .\\word.{kind} ({{first[4:0], {below}}}),\n"
        parities += f"    .\\sum.{kind} (\\sum[{number}] )\n  );\n"
    return [*kinds, COUNTERS, TOP.replace("{wires}", wires).replace("{parities}", parities), PRIMITIVES["ram.v"]]


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> dict[str, Mapped]:
    """The circuit above, mapped: by one run of Yosys, and then from what was kept."""
    folder = tmp_path_factory.mktemp("planted")
    modules = modules_of(texts())
    mapped_of(modules, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yosys, "run_yosys", lambda script, folder: pytest.fail("nothing may be mapped again"))
        return dict(mapped_of(modules, folder))


def cell(kind: str, inputs: dict[str, list[int | None]], outputs: dict[str, list[int | None]], **parameters: str) -> Cell:
    pins = [{pin: tuple(bits) for pin, bits in each.items()} for each in (inputs, outputs)]
    return Cell(kind=kind, name="u", parameters=parameters, inputs=pins[0], outputs=pins[1])


def register(data: int, output: int) -> Cell:
    return cell("FDRE", {"C": [1], "CE": [None], "D": [data], "R": [None]}, {"Q": [output]})


def module(*cells: Cell, names: dict[int, str] | None = None, **others) -> Mapped:
    own = [each for each in cells if each.kind[0].isupper()]
    children = [each for each in cells if not each.kind[0].isupper()]
    ports = {"inputs": {}, "outputs": {}} | others
    return Mapped(cells=tuple(own), children=tuple(children), names=names or {}, **ports)


def chain(length: int, first: int = 10) -> list[Cell]:
    """Return look-up tables in a row, from bit `first` on."""
    return [cell("LUT1", {"I0": [bit]}, {"O": [bit + 1]}) for bit in range(first, first + length)]


def test_a_planted_path_is_seen_through_the_modules_it_goes_through(planted) -> None:
    found = timing_of(planted, "engine", DELAYS, 225e6)
    assert found.levels == PARITIES
    deepest = max(found.paths, key=lambda path: path.levels)
    assert deepest in found.broken_paths
    assert (deepest.unit, deepest.module, deepest.end) == ("engine", "engine", "last")
    assert deepest.start.startswith("first[")
    assert deepest.cells_ns == pytest.approx((77 + PARITIES * 150 + 25) / 1000)
    assert deepest.delay_ns == pytest.approx(deepest.cells_ns + 0.33 * (PARITIES + 1))
    assert deepest.slack_ns == pytest.approx(1e9 / 225e6 - deepest.delay_ns, abs=1e-3)
    # At half the clock it is too deep all the same, and quick enough.
    slower = timing_of(planted, "engine", DELAYS, 112.5e6)
    assert [path.end for path in slower.broken_paths] == ["last"] and slower.broken_paths[0].slack_ns > 0


def test_a_planted_fan_out_is_seen_through_modules(planted) -> None:
    found = timing_of(planted, "engine", DELAYS, 225e6)
    assert [(net.driver, net.loads) for net in found.broken_nets] == [("enable", 600)]
    assert found.loads == 600
    # The path to an enable is told by its pin.
    assert any(path.start == "enable" and path.end.endswith(":CE") for path in found.paths)


def test_a_reset_in_data_is_told_and_a_clock_is_no_net(planted) -> None:
    found = timing_of(planted, "engine", DELAYS, 225e6)
    # One of its two loads is the reset pin of `last`.
    assert found.reset_data_loads == 1
    nets = {net.driver: net for net in loaded_nets(planted, "engine")}
    assert (nets["reset"].loads, nets["reset"].resets) == (2, 1)
    assert nets["ap_clk"].is_clock and nets["ap_clk"].loads > 600
    assert "ap_clk" not in {net.driver for net in found.nets}


def test_a_reset_may_go_through_tables_that_it_holds_and_that_drive_registers_alone() -> None:
    # Bits: 1 the clock, 2 the reset, 3 and 4 others. O of the OR is 1 while the reset is high, that of the AND behind it 0.
    or_, and_not, xor = "1110", "0010", "0110"

    def loads(first: str, second: str, *, out: int = 92, port: int | None = None) -> tuple[int, int]:
        circuit = module(
            cell("LUT2", {"I0": [2], "I1": [3]}, {"O": [90]}, INIT=first),
            cell("LUT2", {"I0": [4], "I1": [90]}, {"O": [91]}, INIT=second),
            cell("FDRE", {"C": [1], "R": [90], "D": [3]}, {"Q": [92]}),
            cell("FDRE", {"C": [1], "R": [2], "D": [91]}, {"Q": [93]}),
            inputs={"clk": (1,), "reset": (2,), "a": (3,), "b": (4,)},
            outputs={"out": (out,), "port": (port,)},
            names={2: "reset"},
        )
        net = next(net for net in loaded_nets({"top": circuit}, "top") if net.driver == "reset")
        return net.loads, net.resets

    assert loads(or_, and_not) == (2, 2)
    # Others decide while the reset is high, in the first table or in the second; a table is read outside.
    assert loads(xor, and_not) == loads(or_, xor) == loads(or_, and_not, out=91) == loads(or_, and_not, port=90) == (2, 1)


def test_memories_have_names_and_their_own_delay(planted) -> None:
    found = timing_of(planted, "engine", DELAYS, 225e6)
    (path,) = (path for path in found.paths if path.end.startswith("read["))
    assert path.start.startswith("word[") and path.cells_ns == pytest.approx((1003 + 25) / 1000)


def test_modules_that_share_a_netlist_keep_their_names(planted) -> None:
    assert set(planted["\\parity.a"].inputs) == {"word.a"} and set(planted["\\parity.b"].inputs) == {"word.b"}
    assert planted["\\parity.a"].cells == planted["\\parity.b"].cells
    assert {child.kind for child in planted["engine"].children} == {"\\parity.a", "\\parity.b", "counters"}
    assert {name.rpartition("[")[0] for name in planted["engine"].names.values()} >= {"sum", "first"}


def test_what_only_benches_look_at_counts_for_nothing(planted) -> None:
    assert "trace_seen" not in planted["engine"].outputs
    assert not any(path.end.startswith("trace") for path in timing_of(planted, "engine", DELAYS, 225e6).paths)


@pytest.mark.parametrize("length", [1, 6, 7])
def test_levels_are_counted_one_by_one(length: int) -> None:
    circuit = module(register(2, 10), *chain(length), register(10 + length, 90), names={10: "start", 90: "end"})
    found = timing_of({"top": circuit}, "top", DELAYS, 225e6)
    assert found.levels == length
    assert [path.levels for path in found.broken_paths] == ([length] if length > 6 else [])
    assert (found.paths[0].start, found.paths[0].end) == ("start", "end")


def test_a_path_closes_where_both_ends_are() -> None:
    """From a register in one child, out of it, through another child and the parent, into a third."""
    source = module(register(2, 10), *chain(1), names={10: "held"}, inputs={"d": (2,)}, outputs={"q": (11,)})
    middle = module(*chain(2), inputs={"i": (10,)}, outputs={"o": (12,)})
    target = module(*chain(3), register(13, 20), names={20: "kept"}, inputs={"d": (10,)})
    links = [cell("source", {"d": [None]}, {"q": [10]}), cell("middle", {"i": [11]}, {"o": [12]}), cell("target", {"d": [12]}, {})]
    named = [dataclasses.replace(link, name=link.kind) for link in links]
    top = module(*named, cell("LUT1", {"I0": [10]}, {"O": [11]}))
    found = timing_of({"top": top, "source": source, "middle": middle, "target": target}, "top", DELAYS, 225e6)
    path = max(found.paths, key=lambda path: path.levels)
    assert (path.levels, path.start, path.end, path.module) == (1 + 1 + 2 + 3, "source/held", "target/kept", "top")


def test_ports_are_ends_too() -> None:
    circuit = module(*chain(7), inputs={"in": (10,)}, outputs={"out": (17,)})
    found = timing_of({"top": circuit}, "top", DELAYS, 225e6)
    assert found.units["ports"].levels == 7
    assert (found.paths[0].start, found.paths[0].end) == ("in[0]", "out[0]")


def test_the_longest_path_by_delay_need_not_be_the_deepest() -> None:
    product = cell("DSP48E2", {"A": [10]}, {"P": [30]}, AREG="0", BREG="0", CREG="0", MREG="0", PREG="0")
    circuit = module(
        register(2, 10), product, cell("LUT1", {"I0": [30]}, {"O": [31]}), *chain(2), register(12, 90), register(31, 91)
    )
    circuit = dataclasses.replace(circuit, names={10: "start", 90: "deep", 91: "long"})
    found = timing_of({"top": circuit}, "top", DELAYS, 225e6)
    assert found.levels == 2
    longest = max(found.paths, key=lambda path: path.delay_ns)
    assert (longest.end, longest.levels, longest.cells_ns) == ("long", 1, pytest.approx((77 + 1558 + 150 + 25) / 1000))
    # Wires get no less than their share.
    assert longest.delay_ns == pytest.approx(longest.cells_ns / 0.6, abs=1e-3)


@pytest.mark.parametrize(
    ("registers", "ends", "begins", "ways"),
    [
        ({"AREG": "1", "BREG": "1", "MREG": "1", "PREG": "1"}, {"A": 300, "PCIN": 550}, 280, 0),
        ({"AREG": "0", "BREG": "0", "MREG": "1", "PREG": "1"}, {"A": 820, "PCIN": 550}, 280, 0),
        ({"AREG": "0", "BREG": "0", "MREG": "0", "PREG": "1"}, {"A": 1450, "PCIN": 550}, 280, 0),
        ({"AREG": "0", "BREG": "0", "MREG": "1", "PREG": "0"}, {"A": 820}, 843, 1),
        ({"AREG": "1", "BREG": "1", "MREG": "0", "PREG": "0", "CREG": "0"}, {"A": 300}, 1838, 1),
        ({"AREG": "0", "BREG": "0", "CREG": "0", "DREG": "0", "CARRYINREG": "0", "MREG": "0", "PREG": "0"}, {}, None, 2),
    ],
)
def test_a_dsp_is_as_long_as_its_registers_leave_it(registers, ends, begins, ways) -> None:
    dsp = cell("DSP48E2", {"A": [2], "PCIN": [3], "CLK": [1]}, {"P": [4]}, **registers)
    assert {end.pin: end.delay_ps for end in ends_of(dsp, DELAYS)} == ends
    assert [begin.delay_ps for begin in begins_of(dsp, DELAYS)] == ([] if begins is None else [begins])
    assert len(list(arcs_of(dsp, DELAYS))) == ways


def test_carry_chains_take_no_levels_and_a_step_every_four_bits() -> None:
    low = cell("CARRY4", {"CI": [None], "CYINIT": [None], "S": [10, None, None, None], "DI": [None] * 4}, carry_outputs(20))
    high = cell("CARRY4", {"CI": [27], "CYINIT": [None], "S": [None] * 4, "DI": [None] * 4}, carry_outputs(30))
    circuit = module(register(2, 10), low, high, register(33, 90))
    found = timing_of({"top": circuit}, "top", DELAYS, 225e6)
    (path,) = found.paths
    assert (path.levels, path.carries, path.cells_ns) == (0, 2, pytest.approx((77 + 199 + 141 + 25) / 1000))


def carry_outputs(first: int) -> dict[str, list[int | None]]:
    return {"O": [first, first + 1, first + 2, first + 3], "CO": [first + 4, first + 5, first + 6, first + 7]}


def test_distributed_memories_are_read_through_a_table_and_written_at_a_clock() -> None:
    memory = cell("RAM32M16", {"ADDRA": [10], "ADDRH": [11], "DIA": [12], "WE": [13], "WCLK": [1]}, {"DOA": [20], "DOH": [21]})
    assert {(arc.start, arc.end, arc.levels) for arc in arcs_of(memory, DELAYS)} == {(10, 20, 1), (11, 21, 1)}
    assert {end.pin for end in ends_of(memory, DELAYS)} == {"ADDRH", "DIA", "WE"}
    assert {begin.delay_ps for begin in begins_of(memory, DELAYS)} == {312}


def test_memories_with_an_output_register_are_quicker() -> None:
    for kind, pin, parameter, slow, quick in (
        ("RAMB36E2", "DOUTADOUT", "DOA_REG", ("0", 1003), ("1", 220)),
        ("URAM288", "DOUT_A", "OREG_A", ("FALSE", 1292), ("TRUE", 767)),
        ("URAM288", "DOUT_B", "OREG_B", ("FALSE", 2059), ("TRUE", 767)),
    ):
        for value, delay in (slow, quick):
            (begin,) = begins_of(cell(kind, {}, {pin: [5]}, **{parameter: value}), DELAYS)
            assert begin.delay_ps == delay


def test_loads_are_those_of_all_copies_and_of_nets_that_modules_join() -> None:
    sink = module(register(10, 11), register(10, 12), inputs={"i": (10,)}, outputs={"o": (10,)})
    instances = [dataclasses.replace(cell("sink", {"i": [bit]}, {"o": [bit + 1]}), name=f"sink_{bit}") for bit in (10, 11)]
    inner = module(register(2, 10), *instances, register(12, 80), names={10: "spread"}, outputs={"out": (12,)})
    copies = [dataclasses.replace(cell("inner", {}, {"out": [bit]}), name=f"inner_{bit}") for bit in (10, 20)]
    top = module(*copies, register(10, 90), register(20, 91), register(20, 92))
    nets = {net.driver: net for net in loaded_nets({"top": top, "inner": inner, "sink": sink}, "top")}
    # Two in each sink, one behind them, and one or two outside.
    assert (nets["inner_20/spread"].loads, nets["inner_20/spread"].copies) == (2 * 2 + 1 + 2, 2)
    assert len([name for name in nets if "spread" in name]) == 1


def test_nets_without_a_name_are_told_by_what_they_are_made_of() -> None:
    circuit = module(register(2, 10), cell("LUT1", {"I0": [10]}, {"O": [11]}), *chain(1, 11), register(12, 90), names={10: "word"})
    assert "logic of word" in {net.driver for net in loaded_nets({"top": circuit}, "top")}


def test_costs_add_and_compare_as_their_numbers() -> None:
    costs = [Cost(3, 1, 4, 900), Cost(2, 9, 3, 1200)]
    for order in (0, 1):
        assert [Cost.of(cost.packed(order), order) for cost in costs] == costs
        total = sum(cost.packed(order) for cost in costs)
        assert Cost.of(total, order) == Cost(5, 10, 7, 2100)
    assert costs[0].packed(0) > costs[1].packed(0) and costs[0].packed(1) < costs[1].packed(1)


def test_a_loop_without_a_register_is_refused() -> None:
    circuit = module(*chain(2), cell("LUT1", {"I0": [12]}, {"O": [10]}), names={10: "round", 11: "round", 12: "round"})
    with pytest.raises(MachineError, match=r"^Circuit must have a register in every loop, but has none at round$"):
        paths_of({"top": circuit}, "top", DELAYS)


def test_cells_whose_delays_nobody_knows_are_refused() -> None:
    with pytest.raises(MachineError, match=r"^Synthesized cell must be one whose delays are known, not 'PLL'$"):
        paths_of({"top": module(cell("PLL", {}, {"O": [2]}))}, "top", DELAYS)


def test_every_delay_has_its_source_and_its_limits(tmp_path) -> None:
    for field in dataclasses.fields(DELAYS):
        fact = getattr(DELAYS, field.name)
        assert isinstance(fact, str) or len(fact.source) > 20
    with pytest.raises(SpecError, match="Delays must be one of ultrascale-plus-2 or a YAML file, not 'fast'"):
        load_delays("fast")


def test_arithmetic_stays_within_the_bars(tmp_path) -> None:
    units = {"apply": ApplyScale(0), "reciprocal": Reciprocal(), "root": SquareRoot(), "normalizer": Normalizer(64)}
    mapped = mapped_of(modules_of(convert(unit, name) for name, unit in units.items()), tmp_path)
    for name in units:
        found = timing_of(mapped, name, DELAYS, 225e6)
        assert found.broken_paths == (), name
        assert found.levels > 0


@pytest.mark.long
def test_an_engine_has_a_longest_path_in_every_unit(tmp_path) -> None:
    engine = load_engine("small")
    found = timing(engine, tmp_path)
    assert {"control", "fetch", "matrix", "vector", "mover", "engine", "ports"} <= set(found.units)
    assert found.clock_hz == engine.clock_hz
    assert timing(engine, tmp_path) == found
    # All but a few ends are registers with a name of our source.
    named = [path for path in found.paths if "$" not in path.start.rpartition("/")[2]]
    assert len(named) > 0.9 * len(found.paths)
