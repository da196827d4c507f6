"""Control: every run starts clean, an error stops and clears, the watchdogs end what stands still; for runs of any length."""

from typing import Any

import pytest
from amaranth import Cat, Mux, Signal

from hwsim.arch.config import load_engine
from hwsim.arch.fields import Unit
from rtl.control.unit import CLEAR_CYCLES, Control
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import prove

MEMORIES = ("t:$mem_v2", "t:$mul")
"""What a program, a queue and a scalar register hold does not matter: it may be anything, in every cycle anew."""
WATCHDOG = 256
SMALL = load_engine("tiny").with_values(
    {"control.watchdog_cycles": WATCHDOG, "control.program_words": 64, "control.queue_depth": 2}
)


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
        under_way = Signal(6, name=f"under_way_{unit.name.lower()}")
        m.d.sync += under_way.eq(under_way + units[unit].issue - units[unit].retire)
        with m.If(control.clear):
            m.d.sync += under_way.eq(0)
        laws.assume(~units[unit].issue | (units[unit].command_valid & (under_way < 31)))
        laws.assume(~units[unit].retire | (under_way != 0))
        masks = f"masks_{unit.name.lower()}"
        difference = state[f"scoreboard.{masks}.write_index"] - state[f"scoreboard.{masks}.read_index"]
        laws.invariant(f"{masks}_count", (difference[:5] == under_way[:5]) & (under_way < 32))
    running, stop, clear, done = control.trace_running, control.stop, control.clear, control.done
    begins = control.trace_cycle_start
    is_stopping = stop & ~clear

    # A run starts clean.
    queues = [state[f"queue_{unit.name.lower()}.level"] for unit in Unit]
    tokens = [signal for name, signal in state.signals.items() if name.startswith("scoreboard.tokens_")]
    clean = Cat(*[each == 0 for each in [*queues, *tokens]]).all() & state["scoreboard.idle"]
    waits = ~Cat(state[f"sequencer.{stage}"] for stage in ("fetching", "decoding", "executing")).any()
    laws.implies("every_run_starts_clean", begins, clean & waits)
    laws.implies("every_run_starts_without_error", begins, control.error == 0)
    laws.implies("a_run_starts_from_quiet", begins, laws.past(control.quiet))
    laws.implies("nothing_is_offered_while_stopped", stop, ~Cat(units[unit].command_valid for unit in Unit).any())
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
    laws.implies("an_error_is_told", laws.past(running & error), control.error != 0)
    laws.implies("clear_follows_stop_and_quiet", clear & ~laws.past(clear), laws.past(is_stopping & control.quiet))
    laws.implies("quiet_ends_the_stop", laws.past(is_stopping & control.quiet), clear)
    laws.implies("stop_stays_until_quiet", laws.past(is_stopping & ~control.quiet), is_stopping)
    laws.implies("idle_only_between_runs", control.idle, ~running & ~stop & ~control.start)
    cleared = Signal(range(clear_cycles + 1), name="cleared")
    m.d.sync += cleared.eq(Mux(clear, cleared + 1, 0))
    laws.implies("clear_ends", clear, cleared < clear_cycles)
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
    laws.implies("still_is_watchdog_error", laws.past(still == watchdog - 1) & (still == watchdog), stop & (control.error != 0))
    with m.If(~is_stopping):
        m.d.sync += stopped.eq(0)
    with m.Elif(stopped != watchdog + 1):
        m.d.sync += stopped.eq(stopped + 1)
    laws.implies("a_stop_that_does_not_end_is_told", is_stopping & (stopped >= watchdog), is_done)

    # Invariants.
    is_idle = ~running & ~stop
    laws.invariant("states_are_five", state["run_state"] <= 4)
    laws.invariant("idle_is_clean", is_idle | (clear & laws.past(clear)), clean)
    laws.invariant("halted_sequencer_waits", is_idle | clear | laws.past(is_stopping), waits)
    laws.invariant("loading_waits", is_loading & ~stop, waits & (state["run_state"] == 1))
    laws.invariant("loading_ends", stop & laws.past(stop), ~is_loading)
    laws.invariant("nothing_is_loaded_idly", is_idle, ~is_loading)
    laws.invariant("a_load_has_a_begin", begins, running & waits & clean)
    laws.invariant("load_is_clean", running & (state["run_state"] == 1), clean & waits)
    laws.invariant("run_states_are_the_outputs", running == ((state["run_state"] == 1) | (state["run_state"] == 2)))
    laws.invariant("stop_states_are_the_outputs", (is_stopping == (state["run_state"] == 3)) & (clear == (state["run_state"] == 4)))
    laws.invariant("clear_counts", clear, state["clear_left"] + cleared <= clear_cycles - 1)
    laws.invariant("clear_starts_at_zero", running | is_stopping, cleared == 0)
    laws.invariant("clear_left_is_in_range", state["clear_left"] <= clear_cycles - 1)
    laws.invariant("still_is_counted", running, state["watchdog.quiet_cycles"] == still)
    laws.invariant("still_stops", still == watchdog, is_stopping)
    laws.invariant("watchdog_rests", laws.past(~running) & ~running, (state["watchdog.quiet_cycles"] == 0) & (still == 0))
    laws.invariant("watchdog_starts_anew", begins, state["watchdog.quiet_cycles"] == 0)
    laws.invariant("stopped_is_counted", is_stopping & ~is_done, state["stop_watchdog.quiet_cycles"] == stopped)
    laws.invariant("stop_watchdog_rests", ~is_stopping & ~laws.past(is_stopping), state["stop_watchdog.quiet_cycles"] == 0)
    laws.invariant("reported_is_done", stop, state["reported"] == is_done)
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
    ("m.d.comb += [stopping.eq(1), self.stop.eq(1)]", "m.d.comb += stopping.eq(1)", "an_error_stops"),
    ("scoreboard.granted[unit] & running", "scoreboard.granted[unit]", "nothing_is_offered_while_stopped"),
    ("with m.If(self.start & self.quiet):", "with m.If(self.start):", "a_run_starts_from_quiet"),
    ("errors.read_response.eq(self.read_error)", "errors.read_response.eq(0)", "an_error_stops"),
    ("errors.watchdog.eq(watchdog.expired)", "errors.watchdog.eq(0)", "still_is_watchdog_error"),
]
DEEP_RUN_MUTANTS = [
    ("queue.clear.eq(self.clear)", "queue.clear.eq(0)", "idle_is_clean"),
    ("scoreboard.clear.eq(self.clear)", "scoreboard.clear.eq(0)", "idle_is_clean"),
    ("sequencer.halt.eq(~running)", "sequencer.halt.eq(0)", "halted_sequencer_waits"),
    ("with m.Elif(stop_watchdog.expired & ~reported):", "with m.Elif(0):", "a_stop_that_does_not_end_is_told"),
    ("self.done.eq(~reported)", "self.done.eq(1)", "done_once"),
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
