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
    running, stop, clear, done = control.running, control.stop, control.clear, control.done
    begins = control.trace_cycle_start
    is_stopping = stop & ~clear
    # The bus masters stay quiet where nothing starts them (test_masters.py).
    laws.assume(~(laws.past(control.quiet) & ~running & ~control.quiet))
    # An error comes at most two cycles after the last beat (test_masters.py).
    error = control.read_error | control.write_error
    was_busy = laws.past(~control.quiet)
    laws.assume(~error | ~control.quiet | was_busy | laws.past(was_busy))
    # A host starts a run when it has seen the end of the one before.
    laws.assume(~(control.start & (laws.past(done) | laws.past(laws.past(done)))))
    # Nothing was asked for before the first run.
    has_run = Signal(name="has_run")
    m.d.sync += has_run.eq(has_run | running)
    laws.assume(~error | has_run | running)

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
    # It is looked at in the cycle after it, ends the run in the next one, and stops the units in the one after that.
    strikes = control.trace_running & error
    struck = laws.past(laws.past(strikes))
    laws.implies("an_error_ends_the_trace", laws.past(strikes) | struck, ~control.trace_running)
    laws.implies("an_error_stops", laws.past(struck), stop)
    laws.implies("an_error_is_kept", laws.past(control.error != 0) & ~begins, control.error == laws.past(control.error))
    laws.implies("an_error_is_told", struck, control.error != 0)
    laws.implies("clear_follows_stop_and_quiet", clear & ~laws.past(clear), laws.past(is_stopping & control.quiet))
    laws.implies("quiet_ends_the_stop", laws.past(laws.past(is_stopping & control.quiet)), ~is_stopping)
    laws.implies("stop_stays_until_quiet", laws.past(is_stopping & ~control.quiet), is_stopping)
    laws.implies("idle_only_between_runs", control.idle, ~running & ~stop & ~control.start)
    # Errors of beats that came last may be looked at when clearing has begun, which then begins again.
    most_cleared = clear_cycles + 2
    cleared = Signal(range(most_cleared + 1), name="cleared")
    m.d.sync += cleared.eq(Mux(clear, cleared + 1, 0))
    laws.implies("clear_ends", clear, cleared < most_cleared)
    has_failed = Signal(name="has_failed")
    m.d.sync += has_failed.eq(Mux(begins, 0, has_failed) | strikes)
    laws.implies("an_error_clears_all_cycles", laws.past(clear) & ~clear & has_failed, cleared >= clear_cycles)
    with m.If(begins):
        m.d.sync += is_done.eq(0)
    with m.Elif(done):
        m.d.sync += is_done.eq(1)
    laws.implies("done_once", done, ~is_done & ~running)
    laws.implies("done_by_the_end", laws.past(clear) & ~clear, is_done)
    laws.implies("cleared_between_runs", ~running & ~stop, is_done)

    # The watchdogs: a run that stands still stops, a stop that does not end is told.
    event = control.trace_dispatch | control.trace_retire.any() | control.drained
    most_still = watchdog + 3
    still, stopped = Signal(range(most_still + 2), name="still"), Signal(range(watchdog + 3), name="stopped")
    m.d.sync += still.eq(Mux(running & ~event, still + 1, 0))
    laws.law("a_run_does_not_stand_still", still <= most_still)
    expired = laws.past(still == watchdog - 1) & (still == watchdog)
    laws.implies("still_ends_the_run", laws.past(laws.past(laws.past(expired))), ~running)
    laws.implies("still_is_watchdog_error", laws.past(laws.past(expired)), control.error != 0)
    with m.If(~is_stopping):
        m.d.sync += stopped.eq(0)
    with m.Elif(stopped != watchdog + 2):
        m.d.sync += stopped.eq(stopped + 1)
    laws.implies("a_stop_that_does_not_end_is_told", is_stopping & (stopped >= watchdog + 1), is_done)

    # Invariants. An error is looked at in the cycle after it, ends the run in the next one, and stops in the one after that.
    happened = Cat(signal for name, signal in state.signals.items() if name.startswith("errors.happened_"))
    is_idle, failed, finished = ~control.running & ~stop, state["failed"], state["finished"]
    in_load, in_stop, in_clear, in_run = (state.is_in("run_state", name) for name in ("LOAD", "STOP", "CLEAR", "RUN"))
    laws.invariant("states_are_five", state.is_in("run_state", "IDLE") | in_load | in_run | in_stop | in_clear)
    laws.invariant("states_are_the_outputs", (control.running == (in_load | in_run)) & (stop == (in_stop | in_clear)))
    laws.invariant("clear_is_a_state", clear == in_clear)
    laws.invariant("idle_is_clean", is_idle | (clear & laws.past(clear)), clean)
    laws.invariant("halted_sequencer_waits", is_idle | clear | laws.past(is_stopping), waits)
    laws.invariant("loading_waits", is_loading & ~stop, waits & in_load)
    laws.invariant("loading_ends", stop & laws.past(stop), ~is_loading)
    laws.invariant("nothing_is_loaded_idly", is_idle, ~is_loading)
    laws.invariant("a_load_has_a_begin", begins, in_load & waits & clean)
    laws.invariant("load_is_clean", in_load, clean & waits)
    laws.invariant("nothing_has_finished_before_a_run", is_idle | in_load, ~finished)
    laws.invariant("finished_waits", finished, waits)
    laws.invariant("was_quiet_says_quiet", state["was_quiet"] == laws.past(control.quiet))
    laws.invariant("an_error_happens_a_cycle_later", laws.past(error & ~state["begin"]), happened.any())
    laws.invariant("an_error_fails_two_cycles_later", failed == laws.past(happened.any()))
    laws.invariant("was_running_says_running", state["was_running"] == laws.past(running))
    laws.invariant("has_program_says_words", state["has_program"] == (laws.started & (words != 0)))
    laws.invariant("nothing_comes_before_reset", laws.started | ~state["was_quiet"])
    laws.invariant("stopped_has_run", stop, has_run)
    laws.invariant("clear_is_calm", clear | (is_idle & has_run), control.quiet & ~was_busy & ~laws.past(was_busy))
    laws.invariant("nothing_happens_idly", is_idle | begins, ~happened.any())
    laws.invariant("a_run_begins_well", begins, ~failed)
    laws.invariant("late_errors_happen_as_clear_begins", clear & happened.any(), cleared == 0)
    laws.invariant("late_errors_fail_as_clear_begins", clear & failed, cleared <= 1)
    laws.invariant("struck_is_failed", struck, failed)
    laws.invariant("struck_is_not_cleared", laws.past(strikes) | struck, ~clear)
    is_counted = Mux(clear, state["clear_left"] + cleared >= clear_cycles - 1, state["clear_left"] == clear_cycles - 1)
    laws.invariant("clear_is_counted_after_an_error", stop & has_failed, laws.past(strikes) | struck | is_counted)
    laws.invariant("runs_have_not_failed", running & has_failed, laws.past(strikes) | struck | begins)
    laws.invariant("cleared_after_an_error", is_idle & laws.past(clear) & has_failed, cleared >= clear_cycles)
    laws.invariant("clear_counts", clear, state["clear_left"] + cleared <= clear_cycles + 1)
    laws.invariant("clear_starts_at_zero", control.running | is_stopping, cleared == 0)
    laws.invariant("clear_left_is_in_range", state["clear_left"] <= clear_cycles - 1)
    watched, moved = state["watchdog.active"], state["watchdog.event"]
    laws.invariant("watched_is_running", (watched == laws.past(running)) & (moved == laws.past(event)))
    past_still = laws.past(still)
    quiet_cycles = state["watchdog.quiet_cycles"]
    laws.invariant("expired_happens", laws.past(expired), happened.any())
    laws.invariant("expired_fails", laws.past(laws.past(expired)), failed)
    laws.invariant("still_counts", still == Mux(watched & ~moved, laws.past(still) + 1, 0))
    laws.invariant("still_happens", still > watchdog, happened.any())
    laws.invariant("still_fails", still > watchdog + 1, failed)
    laws.invariant("still_ends", still > watchdog + 2, ~running)
    is_late = laws.past(done) | laws.past(laws.past(done))
    is_expiring = expired | laws.past(expired) | laws.past(laws.past(expired))
    laws.invariant("late_errors_come_before_a_run", is_idle & is_expiring, is_late)
    laws.invariant("late_errors_come_before_a_report", stop & is_expiring, ~state["reported"] & (stopped <= 2))
    laws.invariant("stopping_begins_at_zero", laws.past(running), stopped == 0)
    laws.invariant("expired_watched", expired, watched & (stopped == 0))
    laws.invariant("just_expired", laws.past(expired), stopped <= 1)
    laws.invariant("still_is_counted", watched, quiet_cycles == Mux(past_still > watchdog - 1, watchdog - 1, past_still))
    laws.invariant("watchdog_rests", ~watched & laws.past(~watched), quiet_cycles == 0)
    laws.invariant("watchdog_starts_anew", running & ~watched, (quiet_cycles == 0) & (still == 0))
    laws.invariant("stopping_is_watched", state["stop_watchdog.active"] == laws.past(in_stop))
    past_stopped = laws.past(stopped)
    stop_cycles = state["stop_watchdog.quiet_cycles"]
    laws.invariant("stopped_is_counted", is_stopping & laws.past(is_stopping) & ~is_done, stop_cycles == past_stopped)
    laws.invariant("stop_watchdog_rests", is_stopping & ~laws.past(is_stopping), stop_cycles == 0)
    laws.invariant("still_rests", ~running & ~laws.past(running), still == 0)
    for name in ("watchdog", "stop_watchdog"):
        is_last = state[f"{name}.quiet_cycles"] == watchdog - 1
        laws.invariant(f"{name}_is_last_in_the_last_cycle", state[f"{name}.is_last"] == is_last)
    laws.invariant("reported_is_done", stop, state["reported"] == is_done)
    laws.invariant("a_run_is_not_reported", control.running, ~state["reported"])
    laws.invariant("run_is_not_done", control.running & ~begins, ~is_done)
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
    ("running.eq(0), self.stop.eq(1)", "running.eq(0)", "cleared_between_runs"),
    ("running.eq(0), self.stop.eq(1)", "self.stop.eq(1)", "clear_follows_stop_and_quiet"),
    ("with m.If(failed | finished):", "with m.If(finished):", "an_error_stops"),
    ("running & ~finished & ~errors.raised & ~failed", "running & ~finished & ~failed", "an_error_ends_the_trace"),
    ("failed.eq(errors.raised)", "failed.eq(errors.raised & failed)", "an_error_"),
    ("scoreboard.granted[unit] & running", "scoreboard.granted[unit]", "nothing_is_offered_while_stopped"),
    ("with m.If(self.start & was_quiet):", "with m.If(self.start):", "a_run_starts_from_quiet"),
    ("was_quiet.eq(self.quiet)", "was_quiet.eq(1)", "a_run_starts_from_quiet"),
    ("errors.read_response.eq(self.read_error)", "errors.read_response.eq(0)", "an_error_"),
    ("errors.watchdog.eq(watchdog.expired)", "errors.watchdog.eq(0)", "still_"),
    ("Mux(self.program_words > limits.program_words, limits.program_words,", "Mux(0, 0,", "asks_for_words_that_fit"),
]
DEEP_RUN_MUTANTS = [
    ("errors.start.eq(begin)", "errors.start.eq(self.clear)", "an_error_is_kept"),
    ("queue.clear.eq(self.clear)", "queue.clear.eq(0)", "idle_is_clean"),
    ("scoreboard.clear.eq(self.clear)", "scoreboard.clear.eq(0)", "idle_is_clean"),
    ("sequencer.halt.eq(~running)", "sequencer.halt.eq(0)", "halted_sequencer_waits"),
    ("with m.Elif(stop_watchdog.expired & ~reported):", "with m.Elif(0):", "a_stop_that_does_not_end_is_told"),
    ("self.done.eq(~reported)", "self.done.eq(1)", "done_once"),
    ("m.d.sync += clear_left.eq(CLEAR_CYCLES - 1)", "m.d.sync += clear_left.eq(0)", "clear_is_counted_after_an_error"),
    ("m.d.sync += self.stop.eq(0)", "m.d.sync += self.stop.eq(self.stop)", "states_are_the_outputs"),
    ("running.eq(1), reported.eq(0)", "running.eq(1)", "a_run_is_not_reported"),
]


@pytest.mark.parametrize("number", range(len(RUN_MUTANTS)))
def test_broken_runs_are_caught(number: int) -> None:
    text, changed, law = RUN_MUTANTS[number]
    verdict = prove(runs(mutant(Control, *SHORTENED, text, changed), **SHORT), depth=16, induction=False, cuts=MEMORIES)
    assert not verdict.is_proved
    assert any(name.startswith(law) for name in verdict.broken), verdict.broken


@pytest.mark.parametrize("number", range(len(DEEP_RUN_MUTANTS)))
def test_deeply_broken_runs_are_caught(number: int) -> None:
    """Bugs that take a whole run to show: the step of the induction, which holds without them, finds the state they come from."""
    text, changed, law = DEEP_RUN_MUTANTS[number]
    verdict = prove(runs(mutant(Control, *SHORTENED, text, changed), **SHORT), depth=2, induction=True, cuts=MEMORIES)
    assert not verdict.is_proved
    assert verdict.is_inductive
    assert law in verdict.broken, verdict.broken


FLAG_MUTANTS = [
    ("has_program.eq(self.program_words != 0)", "has_program.eq(1)", "has_program_says_words"),
    ("was_running.eq(running)", "was_running.eq(1)", "was_running_says_running"),
]


@pytest.mark.parametrize("number", range(len(FLAG_MUTANTS)))
def test_broken_flags_are_caught(number: int) -> None:
    text, changed, law = FLAG_MUTANTS[number]
    verdict = prove(runs(mutant(Control, *SHORTENED, text, changed), **SHORT), depth=2, induction=True, cuts=MEMORIES)
    assert not verdict.is_proved
    assert law in verdict.broken, verdict.broken


def test_shortened_runs_keep_the_laws() -> None:
    verdict = prove(runs(mutant(Control, *SHORTENED), **SHORT), depth=2, induction=True, cuts=MEMORIES)
    assert verdict.is_proved, verdict.report
