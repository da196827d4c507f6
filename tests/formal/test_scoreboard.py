"""The dependency scoreboard: no token is lost or doubled, heads are granted with their tokens, overflow is told when it happens."""

from typing import Any

import pytest
from amaranth import Cat, Signal

from hwsim.arch.fields import Unit
from rtl.control.scoreboard import TOKEN_LIMIT, Scoreboard
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.passage import holds
from tests.formal.prover import prove

UNDER_WAY = 64
"""Instructions that one unit can have under way: what the masks hold.

The matrix unit has most: it issues every second cycle at most and retires 30 cycles after a drain.
"""
_COUNT_BITS = 8
LOW_LIMIT = 1


def scoreboard(kind: Any, limit: int = TOKEN_LIMIT) -> Laws:
    board = kind()
    laws = Laws(board)
    m = laws.m
    pairs = [(producer, consumer) for producer in Unit for consumer in Unit if producer != consumer]
    under_way = {}
    for unit in Unit:
        under_way[unit] = count = Signal(range(UNDER_WAY + 1), name=f"under_way_{unit.name.lower()}")
        m.d.sync += count.eq(count + board.issue[unit] - board.retire[unit])
        with m.If(board.clear):
            m.d.sync += count.eq(0)
        # Units issue what is granted and retire what they issued.
        laws.assume(~board.issue[unit] | (board.granted[unit] & (count < UNDER_WAY)))
        laws.assume(~board.retire[unit] | (count != 0))
    laws.law("idle_when_nothing_is_under_way", board.idle == Cat(count == 0 for count in under_way.values()).all())

    tokens, overflows, named = {}, [], []
    # From an overflow on the engine is stopped, until all is cleared.
    lost = Signal(name="lost")
    for producer, consumer in pairs:
        pair = f"{producer.name.lower()}_{consumer.name.lower()}"
        given, taken = Signal(_COUNT_BITS, name=f"given_{pair}"), Signal(_COUNT_BITS, name=f"taken_{pair}")
        mask = laws.state[f"masks_{producer.name.lower()}.head"]
        gives = board.retire[producer] & mask[consumer]
        takes = board.issue[consumer] & board.wait[consumer][producer]
        m.d.sync += [given.eq(given + gives), taken.eq(taken + takes)]
        with m.If(board.clear):
            m.d.sync += [given.eq(0), taken.eq(0)]
        tokens[producer, consumer] = there = Signal(_COUNT_BITS, name=f"there_{pair}")
        m.d.comb += there.eq(given - taken)
        laws.implies(f"tokens_{pair}_are_given_minus_taken", ~lost, laws.state[f"tokens_{pair}"] == there)
        laws.implies(f"taken_{pair}_was_there", ~lost & takes, there != 0)
        overflow = gives & ~takes & (there == limit)
        overflows.append(overflow)
        named.append(laws.past(overflow) & (board.overflow_pair == producer * len(Unit) + consumer))
        flags = {"given": gives & laws.state[f"most_tokens_{pair}"] & ~board.clear, "taken": takes}
        for name, flag in flags.items():
            laws.invariant(f"{name}_token_{pair}_was_{name}", laws.state[f"{name}_tokens_{pair}"] == laws.past(flag))
    for consumer in Unit:
        there = Cat(
            ~board.wait[consumer][producer] | (tokens[producer, consumer] != 0) for producer in Unit if producer != consumer
        ).all()
        laws.implies(f"{consumer.name.lower()}_is_granted_with_its_tokens", ~lost, board.granted[consumer] == there)
    overflows_now = Cat(overflows).any() & ~board.clear
    is_first = ~laws.past(lost)
    laws.implies("overflow_is_told_in_the_cycle_after", is_first, board.overflow == laws.past(overflows_now))
    laws.implies("overflow_names_a_pair_that_did", is_first & board.overflow, Cat(named).any())
    m.d.sync += lost.eq((lost | overflows_now) & ~board.clear)
    # Invariants.
    for unit in Unit:
        holds(laws, f"masks_{unit.name.lower()}.masks.", under_way[unit])
        laws.invariant(f"masks_of_{unit.name.lower()}_fit", under_way[unit] <= UNDER_WAY)
    for producer, consumer in pairs:
        count = f"tokens_{producer.name.lower()}_{consumer.name.lower()}"
        laws.invariant(f"some_{count}_means_some", laws.state[f"some_{count}"] == (laws.state[count] != 0))
        laws.invariant(f"most_{count}_means_the_limit", laws.state[f"most_{count}"] == (laws.state[count] == limit))
    return laws


def test_scoreboard() -> None:
    verdict = prove(scoreboard(Scoreboard), depth=2, induction=True)
    assert verdict.is_proved, verdict.report


MUTANTS = [
    ("with m.Elif(take & ~give):", "with m.Elif(take):", "tokens_"),
    ("with m.If(give & ~take):", "with m.If(give & ~self.issue[consumer]):", "tokens"),
    ("is_given.eq(give & is_most & ~self.clear)", "is_given.eq(give & ~self.clear)", "overflow_is_told"),
    ("is_given.eq(give & is_most & ~self.clear)", "is_given.eq(give & is_most)", "overflow_is_told"),
    ("is_taken.eq(take)", "is_taken.eq(0)", "overflow_"),
    ("overflows.append(is_given & ~is_taken)", "overflows.append(is_given)", "overflow_is_told"),
    ("count.eq(count + 1)", "count.eq(count)", "tokens_"),
    ("~self.wait[consumer][producer] | is_some", "~self.wait[consumer][producer] | (count != 1)", "is_granted"),
    ("is_some.eq(1)", "is_some.eq(is_some)", "is_granted"),
    ("is_some.eq(count > 1)", "is_some.eq(1)", "is_granted"),
    ("count.eq(0), is_some.eq(0)", "count.eq(0)", "is_granted"),
    ("is_most.eq(count == TOKEN_LIMIT - 1)", "is_most.eq(is_most)", "overflow_is_told"),
    ("is_most.eq(count == TOKEN_LIMIT - 1)", "is_most.eq(count == TOKEN_LIMIT)", "overflow_is_told"),
    ("is_some.eq(count > 1), is_most.eq(0)", "is_some.eq(count > 1)", "overflow_"),
    ("is_some.eq(0), is_most.eq(0)", "is_some.eq(0)", "overflow_is_told"),
    ("fifo.push.eq(self.issue[unit])", "fifo.push.eq(self.issue[unit] & self.signal[unit].any())", "idle_when"),
    ("take = self.issue[consumer] & self.wait[consumer][producer]", "take = self.issue[consumer]", "tokens_"),
    ("m.d.sync += [count.eq(0), ", "m.d.sync += [", "tokens_"),
    ("producer * 4 + consumer", "consumer * 4 + producer", "overflow_names"),
    ("with m.If(overflows[-1]):", "with m.If(0):", "overflow_names"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_scoreboards_are_caught(number: int) -> None:
    """A counter fills in 64 retirements: in the copies its limit is lower, so that it overflows within the bound."""
    text, changed, law = MUTANTS[number]
    broken = mutant(Scoreboard, "TOKEN_LIMIT = 63", f"TOKEN_LIMIT = {LOW_LIMIT}", text, changed)
    verdict = prove(scoreboard(broken, LOW_LIMIT), depth=10, induction=False)
    assert not verdict.is_proved
    assert any(law in name for name in verdict.broken), verdict.broken


def test_a_lower_limit_changes_nothing_else() -> None:
    lowered = mutant(Scoreboard, "TOKEN_LIMIT = 63", f"TOKEN_LIMIT = {LOW_LIMIT}")
    verdict = prove(scoreboard(lowered, LOW_LIMIT), depth=2, induction=True)
    assert verdict.is_proved, verdict.report
