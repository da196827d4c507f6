"""No deadlock: control with units that retire within a few cycles ends every small well-formed program within a bound."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth import Cat, Const, Mux, Signal, Value

from hwsim.arch.config import load_engine
from hwsim.arch.fields import CHECK_VALUE, HEADER, WORD_BITS, Unit
from hwsim.arch.isa import Dot, End, Fetch, Load, Quant
from rtl.control import scoreboard
from rtl.control.sequencer import Sequencer
from rtl.control.unit import Control
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import Verdict, prove

INSTRUCTIONS = 2
"""Unit instructions of a program, before End."""
SLOWEST = 3
"""Most cycles from issue to retirement: longer than from one dispatch to the next, so that instructions wait for each other."""
CUTS = ("t:$mul", "c:circuit.sequencer.program.array")
SMALL = load_engine("tiny").with_values({"control.program_words": 64, "control.queue_depth": 2})
OPCODES = {Unit.FETCH: Fetch.opcode, Unit.MATRIX: Dot.opcode, Unit.VECTOR: Quant.opcode, Unit.MOVER: Load.opcode}


def word_of(opcode: Value, wait: Value, signal: Value) -> Value:
    """Return an instruction word with zeros in all fields but these, and a right check byte."""
    low_bits = Cat(opcode, wait, signal)
    assert HEADER["wait"][0] == len(opcode)
    assert HEADER["signal"][0] == len(opcode) + len(wait)
    check = low_bits[:8] ^ low_bits[8:] ^ CHECK_VALUE
    return Cat(low_bits, Const(0, HEADER["check"][0] - len(low_bits)), check)


def bound_of(slowest: int) -> int:
    """Return the cycles from the request for the program until done, the least that all programs keep.

    Each word is loaded, each instruction waits for the one before; then the way of the first to its unit, End and the cycle
    after it, stop and clear.
    """
    return INSTRUCTIONS * (slowest + 1) + INSTRUCTIONS + 7


def programs(kind: Any, slowest: int, bound: int, *, has_loads: bool = False) -> Laws:
    """Every program of INSTRUCTIONS unit instructions in which the n-th wait for a unit follows its n-th signal.

    With `has_loads` its words come over the bus, and it is a law that they are written as they are assumed to be read.
    """
    control = kind(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        # No unit has more than one instruction under way here.
        patch.setattr(scoreboard, "_IN_FLIGHT", 4)
        laws = Laws(control)
    m = laws.m
    for name, value in {"start": 1, "program_words": INSTRUCTIONS + 1, "position": 0, "slot": 0, "quiet": 1}.items():
        laws.drive(name, Const(value, len(laws.input(name))))
    for name in ("read_error", "write_error", "read_error_port", "drained"):
        laws.drive(name, Const(0, len(laws.input(name))))

    # The program.
    unit = [laws.constant(f"unit_{number}", 2) for number in range(INSTRUCTIONS)]
    wait = [laws.constant(f"wait_{number}", 4) for number in range(INSTRUCTIONS)]
    signal = [laws.constant(f"signal_{number}", 4) for number in range(INSTRUCTIONS)]
    for producer in Unit:
        for consumer in Unit:
            if producer == consumer:
                continue
            for last in range(INSTRUCTIONS):
                gives = [(unit[i] == producer) & signal[i][consumer] for i in range(last)]
                takes = [(unit[i] == consumer) & wait[i][producer] for i in range(last + 1)]
                laws.assume(sum(takes, Const(0, 1)) <= sum(gives, Const(0, 1)))
    words = []
    for number in range(INSTRUCTIONS):
        opcode = Signal(5, name=f"opcode_{number}")
        with m.Switch(unit[number]):
            for each in Unit:
                with m.Case(each):
                    m.d.comb += opcode.eq(OPCODES[each])
        words.append(word_of(opcode, wait[number], signal[number]))
    words.append(Const(End().encode(), WORD_BITS))
    # What the program memory reads is the word at the address of the cycle before, with what was found of it as it was loaded.
    read, loaded = Signal(WORD_BITS, name="read"), Signal(WORD_BITS, name="loaded")
    is_checked, is_known, opens_loop = Const(1, 1), Const(1, 1), Const(0, 1)
    with m.Switch(laws.past(laws.state["sequencer.read_address"])):
        for number, word in enumerate(words):
            with m.Case(number):
                m.d.comb += read.eq(word)
        with m.Default():
            m.d.comb += read.eq(words[-1])
    laws.assume(laws.state["sequencer.program.read_data"] == Cat(read, is_checked, is_known, opens_loop))
    place, is_loading = Signal(range(INSTRUCTIONS + 2), name="place"), Signal(name="is_loading")
    is_last = place == INSTRUCTIONS
    with m.If(control.load_start):
        m.d.sync += [is_loading.eq(1), place.eq(0)]
    with m.Elif(is_loading):
        m.d.sync += place.eq(place + 1)
        with m.If(is_last):
            m.d.sync += is_loading.eq(0)
    laws.drive("load_valid", is_loading)
    if has_loads:
        with m.Switch(place):
            for number, word in enumerate(words):
                with m.Case(number):
                    m.d.comb += loaded.eq(word)
        written = laws.state["sequencer.write_data"] == Cat(loaded, is_checked, is_known, opens_loop)
        where = laws.state["sequencer.write_address"] == place
        laws.implies("words_are_written_as_they_are_read", is_loading, laws.state["sequencer.write_enable"] & where & written)
    laws.drive("load_data", loaded)
    laws.drive("load_last", is_last)

    # Units that take one instruction at a time and retire it when they like, but not too late.
    for each in Unit:
        port, name = control.units[each], each.name.lower()
        is_busy, age = Signal(name=f"{name}_is_busy"), Signal(range(slowest + 1), name=f"{name}_age")
        likes = laws.free(f"{name}_retires")
        retires = is_busy & (likes | (age == slowest - 1))
        issues = port.command_valid & ~is_busy
        laws.drive(f"units__{each.value}__issue", issues)
        laws.drive(f"units__{each.value}__retire", retires)
        m.d.sync += age.eq(Mux(is_busy, age + 1, 0))
        with m.If(issues):
            m.d.sync += [is_busy.eq(1), age.eq(0)]
        with m.Elif(retires):
            m.d.sync += is_busy.eq(0)

    # From the request on, done comes within the bound, without an error; every instruction retires.
    elapsed, is_under_way, is_over = Signal(range(bound + 2), name="elapsed"), Signal(name="is_under_way"), Signal(name="is_over")
    retired = Signal(range(INSTRUCTIONS + 2), name="retired")
    m.d.sync += retired.eq(retired + sum((control.trace_retire[each] for each in Unit), Const(0, 1)))
    with m.If(control.load_start):
        m.d.sync += is_under_way.eq(1)
    with m.If(is_under_way & ~is_over):
        m.d.sync += elapsed.eq(elapsed + 1)
    with m.If(control.done):
        m.d.sync += is_over.eq(1)
    laws.implies("done_within_the_bound", is_under_way & ~is_over & ~control.done, elapsed < bound)
    laws.implies("done_without_error", control.done, control.error == 0)
    laws.implies("done_with_all_retired", control.done & ~is_over, retired == INSTRUCTIONS)
    return laws


def verdict_on(kind: Any, slowest: int, bound: int) -> Verdict:
    # The run begins in the second cycle.
    depth = bound_of(slowest) + 3
    return prove(programs(kind, slowest, bound), depth=depth, induction=False, cuts=CUTS, has_arrays=False)


def verdict_on_loads(kind: Any) -> Verdict:
    laws = programs(kind, 1, bound_of(1), has_loads=True)
    return prove(laws, depth=INSTRUCTIONS + 4, induction=False, cuts=CUTS, has_arrays=False)


@pytest.mark.parametrize("slowest", [SLOWEST, pytest.param(SLOWEST + 1, marks=pytest.mark.long)])
def test_every_small_program_ends(slowest: int) -> None:
    verdict = verdict_on(Control, slowest, bound_of(slowest))
    assert verdict.is_proved, verdict.report


def test_words_are_written_as_they_are_read() -> None:
    verdict = verdict_on_loads(Control)
    assert verdict.is_proved, verdict.report


MUTANTS = [
    ("scoreboard.retire[unit].eq(port.retire)", "scoreboard.retire[unit].eq(port.retire & ~scoreboard.issue.any())"),
    ("queue.pop.eq(port.issue)", "queue.pop.eq(port.issue & port.retire)"),
    ("~queue.head_valid)", "queue.head_valid)"),
    ("sequencer.full[unit].eq(queue.full)", "sequencer.full[unit].eq(~queue.head_valid)"),
]


LOAD_MUTANTS = [
    ("check == CHECK_VALUE, known", "check != CHECK_VALUE, known"),
    ("for kind in INSTRUCTIONS).any()\n        m.d.comb", "for kind in INSTRUCTIONS[1:]).any()\n        m.d.comb"),
    ("known, is_kind(loaded, Loop)", "known, is_kind(loaded, End)"),
]
SEQUENCER_MUTANTS = [
    ("inside.eq(fetch_pc < words)", "inside.eq(fetch_pc + 1 < words)"),
    ("flag.eq(is_kind(fetched, kind))", "flag.eq(is_kind(command, kind))"),
    ("Cat(is_kind(fetched, kind) for kind in", "Cat(is_kind(command, kind) for kind in"),
]


@pytest.fixture
def with_sequencer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """Give control another sequencer."""

    def change(text: str, changed: str) -> Any:
        monkeypatch.setitem(Control.elaborate.__globals__, "Sequencer", mutant(Sequencer, text, changed))
        return Control

    return change


@pytest.mark.parametrize("number", range(len(LOAD_MUTANTS)))
def test_broken_loads_are_caught(number: int, with_sequencer: Callable[[str, str], Any]) -> None:
    verdict = verdict_on_loads(with_sequencer(*LOAD_MUTANTS[number]))
    assert not verdict.is_proved
    assert verdict.broken == ("words_are_written_as_they_are_read",)


@pytest.mark.parametrize("number", range(len(SEQUENCER_MUTANTS)))
def test_broken_sequencers_are_caught(number: int, with_sequencer: Callable[[str, str], Any]) -> None:
    verdict = verdict_on(with_sequencer(*SEQUENCER_MUTANTS[number]), 1, bound_of(1))
    assert not verdict.is_proved
    assert verdict.broken[0].startswith("done_")


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_control_is_caught(number: int) -> None:
    verdict = verdict_on(mutant(Control, *MUTANTS[number]), 2, bound_of(2))
    assert not verdict.is_proved
    assert verdict.broken[0].startswith("done_")


def test_no_lower_bound_holds() -> None:
    verdict = verdict_on(Control, 2, bound_of(2) - 1)
    assert verdict.broken == ("done_within_the_bound",)
