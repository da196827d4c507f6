"""Retirement of the mover: no instruction is lost, none retires early, late or out of order, and no more are in flight than fit."""

from typing import Any

import pytest
from amaranth import Mux, Signal

from hwsim.arch.timing import MOVER_WRITES
from rtl.mover.unit import Retirement
from tests.formal.in_flight import InFlight
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import prove


def retirement(kind: Any) -> Laws:
    circuit = kind()
    laws = Laws(circuit)
    flight = InFlight.follow(
        laws, issue=circuit.issue, beats=circuit.beats, end=circuit.ends, retire=circuit.retire, clear=circuit.clear
    )
    laws.assume(~(circuit.issue & ((flight.total >= MOVER_WRITES) | circuit.clear)))
    laws.assume(~circuit.issue | (circuit.beats != 0) | (flight.total == 0))
    laws.assume(~(circuit.ends & (flight.owed == 0)))
    laws.law("busy_while_one_has_not_retired", circuit.busy == (flight.total != 0))
    laws.law("has_room_for_all_that_fit", circuit.has_room == (flight.total < MOVER_WRITES))
    laws.law("retires_only_what_was_issued", ~(circuit.retire & (flight.total == 0)))
    laws.law("no_more_in_flight_than_fit", flight.total <= MOVER_WRITES)
    laws.law("retires_in_the_cycle_after_its_last_end", flight.is_on_time(circuit.retire))
    # Invariants: what the counts say of each place is what is owed up to it.
    state = laws.state
    oldest, newest = state["oldest"], state["newest"]
    up_to = [Signal.like(flight.owed, name=f"up_to_{place}") for place in range(MOVER_WRITES)]
    marked = (oldest + flight.ahead)[: len(oldest)]
    for place in range(MOVER_WRITES):
        before, count = up_to[place - 1], state[f"count_{place}"]
        is_asked = circuit.issue & (newest == place)
        laws.m.d.sync += up_to[place].eq(Mux(is_asked, flight.owed + circuit.beats, up_to[place]) - circuit.ends)
        is_oldest = (flight.total != 0) & (oldest == place)
        is_behind = ((place - oldest)[: len(oldest)] < flight.total) & (oldest != place)
        is_newest = (flight.total != 0) & ((newest - 1)[: len(newest)] == place)
        laws.invariant(f"oldest_in_{place}_waits_for_what_is_left", is_oldest, up_to[place] == state["left"])
        laws.invariant(f"place_{place}_waits_for_more", is_behind, (count != 0) & (up_to[place] == before + count))
        laws.invariant(f"place_{place}_follows", is_behind, up_to[place] > before)
        laws.invariant(f"newest_in_{place}_waits_for_all", is_newest, up_to[place] == flight.owed)
        laws.invariant(f"marked_in_{place}", flight.is_inside & (marked == place), up_to[place] == flight.to_end)
    laws.invariant("second_is_behind_the_oldest", state["second"] == (oldest + 1)[: len(oldest)])
    laws.invariant("one_when_one_is_in_flight", state["is_one"] == (flight.total == 1))
    laws.invariant("full_when_all_places_are_taken", state["is_full"] == (flight.total == MOVER_WRITES))
    laws.invariant("done_when_nothing_is_left", state["is_done"] == (state["left"] == 0))
    laws.invariant("marked_is_counted", flight.is_inside, flight.ahead < flight.total)
    laws.invariant("nothing_is_owed_to_none", (flight.total != 0) | (flight.owed == 0))
    laws.invariant("in_flight_counts", state["in_flight"] == flight.total)
    laws.invariant("places_enclose_them", (newest - oldest)[: len(oldest)] == flight.total[: len(oldest)])
    return laws


def test_retirement() -> None:
    verdict = prove(retirement(Retirement), depth=2, induction=True)
    assert verdict.is_proved, verdict.report


MUTANTS = [
    ("self.retire.eq(self.busy & is_done)", "self.retire.eq(self.busy & (left <= 1))", "retires_in_the_cycle"),
    ("left.eq(following - self.ends)", "left.eq(following)", "retires_in_the_cycle"),
    ("with m.If(~self.busy | (is_one & is_done)):", "with m.If(~self.busy):", "retires_in_the_cycle"),
    ("counts[second]", "counts[second + 1]", "retires_in_the_cycle"),
    ("is_full.eq(in_flight == MOVER_WRITES - 1)", "is_full.eq(in_flight == MOVER_WRITES - 2)", "has_room"),
    ("self.busy.eq(~is_one)", "self.busy.eq(0)", "busy_while"),
    ("[in_flight.eq(0), self.busy.eq(0)", "[in_flight.eq(0)", "busy_while"),
    ("is_done.eq(left == 1)", "is_done.eq(left <= 2)", "retires_in_the_cycle"),
    ("Mux(self.ends, following == 1, following == 0)", "following == 0", "retires_in_the_cycle"),
    ("is_one.eq(~self.busy)", "is_one.eq(1)", "busy_while"),
    ("is_one.eq(in_flight == 2)", "is_one.eq(0)", "retires_in_the_cycle"),
    ("is_one.eq(0), is_full.eq(0)", "is_one.eq(0)", "has_room"),
    ("second.eq(second + 1)", "second.eq(second)", "retires_in_the_cycle"),
    ("oldest.eq(0), second.eq(1)", "oldest.eq(0)", "retires_in_the_cycle"),
    ("is_done.eq(self.beats == 0)", "is_done.eq(self.beats <= 1)", "retires_in_the_cycle"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_retirements_are_caught(number: int) -> None:
    text, changed, law = MUTANTS[number]
    verdict = prove(retirement(mutant(Retirement, text, changed)), depth=12, induction=False)
    assert not verdict.is_proved
    assert any(law in name for name in verdict.broken), verdict.broken
