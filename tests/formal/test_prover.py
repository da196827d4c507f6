"""The prover itself: a law that does not hold is named and shown, what was proved is remembered, mistakes are sentences."""

import time

import pytest
from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.control.queue import CommandQueue
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import prove


class Counter(wiring.Component):
    """Counts to nine and starts again, while `counts`."""

    counts: In(1)
    value: Out(4)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        number = Signal(4)
        m.d.comb += self.value.eq(number)
        m.d.sync += number.eq(Mux(number == 9, 0, number + self.counts))
        return m


def counter(limit: int) -> Laws:
    laws = Laws(Counter())
    laws.law("stays_below", laws.circuit.value < limit)
    return laws


def test_a_law_that_holds_is_proved_once_and_remembered() -> None:
    verdict = prove(counter(10), depth=2, induction=True)
    assert (verdict.is_proved, verdict.is_inductive, verdict.broken, verdict.trace) == (True, True, (), "")
    began = time.perf_counter()
    assert prove(counter(10), depth=2, induction=True) == verdict
    assert time.perf_counter() - began < verdict.seconds


def test_a_law_that_breaks_is_shown() -> None:
    verdict = prove(counter(3), depth=9, induction=False)
    assert not verdict.is_proved
    assert verdict.broken == ("stays_below",)
    assert verdict.report.startswith("Laws must hold from reset on, not break stays_below:\n")
    rows = {line.split()[0]: line.split()[1:] for line in verdict.trace.splitlines()}
    assert rows["cycle"] == ["0", "1", "2", "3"]
    assert rows["law_stays_below"] == ["1", ".", ".", "0"]


def test_a_law_beyond_the_bound_is_not_found_without_induction() -> None:
    assert prove(counter(3), depth=2, induction=False).is_proved
    verdict = prove(counter(3), depth=2, induction=True)
    assert verdict.is_inductive
    assert verdict.report.startswith("Laws must hold in the step of the induction, not break stays_below:\n")


def test_unknown_state_is_refused() -> None:
    laws = Laws(CommandQueue(depth=4))
    with pytest.raises(KeyError, match="levels must be one of "):
        laws.state["levels"]
    with pytest.raises(KeyError, match="words must be one of entries"):
        laws.state.word("words", laws.state["second_index"])
    prove(laws, depth=1, induction=False)


def test_a_mutant_must_change_something_once() -> None:
    with pytest.raises(ValueError, match=r"Text to change must occur once in rtl.control.queue, not 0 times: 'nowhere'"):
        mutant(CommandQueue, "nowhere", "")
    with pytest.raises(ValueError, match=r"Text to change must occur once in rtl.control.queue, not \d+ times: 'level'"):
        mutant(CommandQueue, "level", "")
