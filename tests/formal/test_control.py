"""Control: every run starts clean, an error stops and clears, the watchdogs end what stands still; for runs of any length."""

from typing import Any

import pytest
from amaranth import Cat, Mux, Signal

from hwsim.arch.config import load_engine
from hwsim.arch.fields import Unit
from rtl.control.unit import CLEAR_CYCLES, Control
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.passage import holds
from tests.formal.prover import prove

MEMORIES = ("t:$mem_v2", "t:$mul")
"""What a program, a queue and a scalar register hold does not matter: it may be anything, in every cycle anew."""
WATCHDOG = 256
SMALL = load_engine("tiny").with_values(
    {"control.watchdog_cycles": WATCHDOG, "control.program_words": 64, "control.queue_depth": 2}
)


UNDER_WAY = 64
"""Instructions that one unit can have under way (test_scoreboard.py)."""


def runs(kind: Any, *, watchdog: int = WATCHDOG, clear_cycles: int = CLEAR_CYCLES) -> Laws:
    """The laws of runs, for units and buses that do anything and a program of anything."""
    control = kind(SMALL)
    laws = Laws(control)
    m, state = laws.m, laws.state
    units = control.units
    is_done = Signal(name="is_done", init=1)

    # The registers hold the arguments, and start until done; units issue what is offered, and retire what they issued.
    laws.drive("program_words", laws.constant("words", 32))
    laws.assume(~(laws.past(control.start & ~control.done) & ~control.start))
    for unit in Unit:
        under_way = Signal(range(UNDER_WAY + 1), name=f"under_way_{unit.name.lower()}")
        m.d.sync += under_way.eq(under_way + units[unit].issue - units[unit].retire)
        with m.If(control.clear):
            m.d.sync += under_way.eq(0)
        laws.assume(~units[unit].issue | (units[unit].command_valid & (under_way < UNDER_WAY)))
        laws.assume(~units[unit].retire | (under_way != 0))
        holds(laws, f"scoreboard.masks_{unit.name.lower()}.masks.", under_way)
        laws.invariant(f"masks_of_{unit.name.lower()}_fit", under_way <= UNDER_WAY)
        queue = f"queue_{unit.name.lower()}."
        holds(laws, queue, state[f"{queue}level"])
        laws.invariant(f"{queue}level_fits", state[f"{queue}level"] <= SMALL.control.queue_depth)
    running, stop, clear, done = control.trace_running, control.stop, control.clear, control.done
    begins = control.trace_cycle_start
    is_stopping = stop & ~clear
    # The bus masters stay quiet where nothing starts them (test_masters.py).
    laws.assume(~(laws.past(control.quiet & ~running) & ~running & ~control.quiet))

    # A run starts clean.
    flags = ("level", "full", "head_valid", "has_second")
    queues = [state[f"queue_{unit.name.lower()}.{flag}"] for unit in Unit for flag in flags]
    counts = tuple(f"scoreboard.{name}" for name in ("tokens_", "some_", "most_"))
    tokens = [signal for name, signal in state.signals.items() if name.startswith(counts)]
    clean = Cat(*[each == 0 for each in [*queues, *tokens]]).all() & state["scoreboard.idle"]
    waits = ~Cat(state[f"sequencer.{stage}"] for stage in ("fetching", "decoding", "executing")).any()
    laws.implies("every_run_starts_clean", begins, clean & waits)
    laws.implies("every_run_starts_without_error", begins, control.error == 0)
    laws.implies("a_run_starts_from_quiet", begins, laws.past(control.quiet))
    laws.implies("nothing_is_offered_while_stopped", stop, ~Cat(units[unit].command_valid for unit in Unit).any())
    most, words = SMALL.control.program_words, control.program_words
    # The registers were written cycles before the start.
    laws.implies("asks_for_words_that_fit", control.load_start & laws.started, control.load_beats == Mux(words > most, most, words))
    is_loading = Signal(name="is_loading")
    with m.If(control.load_start):
        m.d.sync += is_loading.eq(1)
    with m.Elif(stop | (control.load_valid & control.load_last)):
        m.d.sync += is_loading.eq(0)
    laws.implies("nothing_is_offered_while_loading", is_loading, ~Cat(units[unit].command_valid for unit in Unit).any())

    # An error stops, stopping ends in quiet, then all is cleared; done comes once.
    error = control.read_error | control.write_error
    laws.implies("an_error_stops", laws.past(running & error), is_stopping)
    laws.implies("an_error_is_kept", laws.past(control.error != 0) & ~begins, control.error == laws.past(control.error))
    # The search for the lowest code takes a cycle of its own.
    laws.implies("an_error_is_told", laws.past(laws.past(running & error)), control.error != 0)
    laws.implies("clear_follows_stop_and_quiet", clear & ~laws.past(clear), laws.past(is_stopping & control.quiet))
    laws.implies("quiet_ends_the_stop", laws.past(is_stopping & control.quiet), clear)
    laws.implies("stop_stays_until_quiet", laws.past(is_stopping & ~control.quiet), is_stopping)
    laws.implies("idle_only_between_runs", control.idle, ~running & ~stop & ~control.start)
    cleared = Signal(range(clear_cycles + 1), name="cleared")
    m.d.sync += cleared.eq(Mux(clear, cleared + 1, 0))
    laws.implies("clear_ends", clear, cleared < clear_cycles)
    has_failed = Signal(name="has_failed")
    m.d.sync += has_failed.eq(Mux(begins, 0, has_failed) | (running & error))
    laws.implies("an_error_clears_all_cycles", laws.past(clear) & ~clear & has_failed, cleared == clear_cycles)
    with m.If(begins):
        m.d.sync += is_done.eq(0)
    with m.Elif(done):
        m.d.sync += is_done.eq(1)
    laws.implies("done_once", done, ~is_done & ~running)
    laws.implies("done_by_the_end", laws.past(clear) & ~clear, is_done)
    laws.implies("cleared_between_runs", ~running & ~stop, is_done)

    # The watchdogs: a run that stands still stops, a stop that does not end is told.
    event = control.trace_dispatch | control.trace_retire.any() | control.drained
    still, stopped = Signal(range(watchdog + 2), name="still"), Signal(range(watchdog + 2), name="stopped")
    m.d.sync += still.eq(Mux(running & ~event, still + 1, 0))
    laws.law("a_run_does_not_stand_still", still <= watchdog)
    expired = laws.past(still == watchdog - 1) & (still == watchdog)
    laws.implies("still_stops_the_run", expired, is_stopping)
    laws.implies("still_is_watchdog_error", laws.past(expired), stop & (control.error != 0))
    with m.If(~is_stopping):
        m.d.sync += stopped.eq(0)
    with m.Elif(stopped != watchdog + 1):
        m.d.sync += stopped.eq(stopped + 1)
    laws.implies("a_stop_that_does_not_end_is_told", is_stopping & (stopped >= watchdog), is_done)

    # Invariants. An error ends the run in the cycle after it, in which the states still say that it runs.
    happened = [signal for name, signal in state.signals.items() if name.startswith("errors.happened_")]
    is_idle, failed = ~running & ~stop, state["failed"]
    in_load, in_stop, in_clear, in_run = (state.is_in("run_state", name) for name in ("LOAD", "STOP", "CLEAR", "RUN"))
    laws.invariant("states_are_five", state.is_in("run_state", "IDLE") | in_load | in_run | in_stop | in_clear)
    laws.invariant("idle_is_clean", is_idle | (clear & laws.past(clear)), clean)
    laws.invariant("halted_sequencer_waits", is_idle | clear | laws.past(is_stopping), waits)
    laws.invariant("loading_waits", is_loading & ~stop, waits & in_load)
    laws.invariant("loading_ends", stop & laws.past(stop), ~is_loading)
    laws.invariant("nothing_is_loaded_idly", is_idle, ~is_loading)
    laws.invariant("a_load_has_a_begin", begins, running & waits & clean)
    laws.invariant("load_is_clean", in_load, clean & waits)
    laws.invariant("failed_was_running", failed, laws.past(running) & (in_load | in_run | in_stop))
    laws.invariant("run_states_are_the_outputs", running == ((in_load | in_run) & ~failed))
    laws.invariant("stop_states_are_the_outputs", (is_stopping == (in_stop | failed)) & (clear == in_clear))
    laws.invariant("is_running_says_the_states", state["is_running"] == (in_load | in_run))
    laws.invariant("is_stopped_says_the_states", state["is_stopped"] == (in_stop | in_clear))
    laws.invariant("was_quiet_says_quiet", state["was_quiet"] == laws.past(control.quiet))
    laws.invariant("error_registers_say_errors", laws.past(running & error), failed)
    laws.invariant("an_error_happens_a_cycle_later", laws.past(running & error), Cat(happened).any())
    laws.invariant("clear_counts", clear, state["clear_left"] + cleared <= clear_cycles - 1)
    laws.invariant("clear_after_an_error_counts", clear & has_failed, state["clear_left"] + cleared == clear_cycles - 1)
    laws.invariant("cleared_after_an_error", is_idle & laws.past(clear) & has_failed, cleared == clear_cycles)
    laws.invariant("stop_after_an_error", is_stopping & has_failed, failed | (state["clear_left"] == clear_cycles - 1))
    laws.invariant("runs_have_not_failed", running, ~has_failed | begins)
    laws.invariant("clear_starts_at_zero", running | is_stopping, cleared == 0)
    laws.invariant("clear_left_is_in_range", state["clear_left"] <= clear_cycles - 1)
    laws.invariant("still_is_counted", running, state["watchdog.quiet_cycles"] == still)
    laws.invariant("still_stops", still == watchdog, is_stopping)
    laws.invariant("watchdog_rests", laws.past(~running) & ~running, (state["watchdog.quiet_cycles"] == 0) & (still == 0))
    laws.invariant("watchdog_starts_anew", begins, state["watchdog.quiet_cycles"] == 0)
    laws.invariant("stopped_is_counted", is_stopping & ~is_done, state["stop_watchdog.quiet_cycles"] == stopped)
    laws.invariant("stop_watchdog_rests", ~is_stopping & ~laws.past(is_stopping), state["stop_watchdog.quiet_cycles"] == 0)
    for name in ("watchdog", "stop_watchdog"):
        is_last = state[f"{name}.quiet_cycles"] == watchdog - 1
        laws.invariant(f"{name}_is_last_in_the_last_cycle", state[f"{name}.is_last"] == is_last)
    laws.invariant("reported_is_done", stop, state["reported"] == is_done)
    laws.invariant("a_run_is_not_reported", running, ~state["reported"])
    laws.invariant("run_is_not_done", running & ~begins, ~is_done)
    return laws


def test_runs() -> None:
    verdict = prove(runs(Control), depth=2, induction=True, cuts=MEMORIES)
    assert verdict.is_proved, verdict.report


SHORT = {"watchdog": 5, "clear_cycles": 2}
SHORTENED = (
    "CLEAR_CYCLES = 64",
    f"CLEAR_CYCLES = {SHORT['clear_cycles']}",
    "m.submodules.watchdog = watchdog = Watchdog(cycles=limits.watchdog_cycles)",
    f"m.submodules.watchdog = watchdog = Watchdog(cycles={SHORT['watchdog']})",
    "m.submodules.stop_watchdog = stop_watchdog = Watchdog(cycles=limits.watchdog_cycles)",
    f"m.submodules.stop_watchdog = stop_watchdog = Watchdog(cycles={SHORT['watchdog']})",
)
"""Copies of control that clear and wait for a few cycles, so that their bugs show within the bound."""

RUN_MUTANTS = [
    ("errors.start.eq(begin)", "errors.start.eq(self.clear)", "every_run_starts_without_error"),
    ("self.stop.eq(is_stopped | failed)", "self.stop.eq(is_stopped)", "an_error_stops"),
    ("self.stop.eq(is_stopped | failed)", "self.stop.eq(failed)", "cleared_between_runs"),
    ("running.eq(is_running & ~failed)", "running.eq(is_running)", "an_error_stops"),
    ("scoreboard.granted[unit] & running", "scoreboard.granted[unit]", "nothing_is_offered_while_stopped"),
    ("with m.If(self.start & was_quiet):", "with m.If(self.start):", "a_run_starts_from_quiet"),
    ("was_quiet.eq(self.quiet)", "was_quiet.eq(1)", "a_run_starts_from_quiet"),
    ("errors.read_response.eq(self.read_error)", "errors.read_response.eq(0)", "an_error_stops"),
    ("errors.watchdog.eq(watchdog.expired)", "errors.watchdog.eq(0)", "still_is_watchdog_error"),
    ("late = Cat(watchdog.expired, overflow)", "late = Cat(overflow, overflow)", "still_stops_the_run"),
    ("Mux(self.program_words > limits.program_words, limits.program_words,", "Mux(0, 0,", "asks_for_words_that_fit"),
]
DEEP_RUN_MUTANTS = [
    ("queue.clear.eq(self.clear)", "queue.clear.eq(0)", "idle_is_clean"),
    ("scoreboard.clear.eq(self.clear)", "scoreboard.clear.eq(0)", "idle_is_clean"),
    ("sequencer.halt.eq(~running)", "sequencer.halt.eq(0)", "halted_sequencer_waits"),
    ("with m.If(~self.quiet & stop_watchdog.expired & ~reported):", "with m.If(0):", "a_stop_that_does_not_end_is_told"),
    ("self.done.eq(~reported)", "self.done.eq(1)", "done_once"),
    ("m.d.sync += clear_left.eq(CLEAR_CYCLES - 1)", "m.d.sync += clear_left.eq(0)", "stop_after_an_error"),
    ("m.d.sync += is_stopped.eq(0)", "m.d.sync += is_stopped.eq(is_stopped)", "is_stopped_says_the_states"),
    ("is_running.eq(1), reported.eq(0)", "is_running.eq(1)", "a_run_is_not_reported"),
]


@pytest.mark.parametrize("number", range(len(RUN_MUTANTS)))
def test_broken_runs_are_caught(number: int) -> None:
    text, changed, law = RUN_MUTANTS[number]
    verdict = prove(runs(mutant(Control, *SHORTENED, text, changed), **SHORT), depth=16, induction=False, cuts=MEMORIES)
    assert not verdict.is_proved
    assert law in verdict.broken, verdict.broken


@pytest.mark.parametrize("number", range(len(DEEP_RUN_MUTANTS)))
def test_deeply_broken_runs_are_caught(number: int) -> None:
    """Bugs that take a whole run to show: the step of the induction, which holds without them, finds the state they come from."""
    text, changed, law = DEEP_RUN_MUTANTS[number]
    verdict = prove(runs(mutant(Control, *SHORTENED, text, changed), **SHORT), depth=2, induction=True, cuts=MEMORIES)
    assert not verdict.is_proved
    assert verdict.is_inductive
    assert law in verdict.broken, verdict.broken


def test_shortened_runs_keep_the_laws() -> None:
    verdict = prove(runs(mutant(Control, *SHORTENED), **SHORT), depth=2, induction=True, cuts=MEMORIES)
    assert verdict.is_proved, verdict.report
