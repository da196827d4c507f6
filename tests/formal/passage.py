"""The law of a first-in first-out store: one element, any, is followed from its entry to its exit."""

from __future__ import annotations

import dataclasses

from amaranth import Mux, Signal, Value

from tests.formal.laws import Laws

__all__ = ["Passage", "holds"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Passage:
    """What a follower of one element knows.

    Attributes:
        total: elements inside, counted by what went in and out.
        is_inside: whether the marked element is.
        ahead: elements that leave before it.
        content: what it was when it entered.
    """

    total: Signal
    is_inside: Signal
    ahead: Signal
    content: Signal

    @classmethod
    def follow(
        cls,
        laws: Laws,
        *,
        depth: int,
        push: Value,
        pop: Value,
        entered: Value,
        left: Value,
        clear: Value,
        pops_by_itself: bool = False,
    ) -> Passage:
        """Add the follower and the law: an element leaves after those before it, once, as it entered.

        Assumed are the store's own rules: no push when `depth` elements are inside, no pop when none is; of a store that
        `pops_by_itself`, that it pops only what is inside is a law.
        """
        m = laws.m
        total, ahead = Signal(range(depth + 1), name="total"), Signal(range(depth + 1), name="ahead")
        is_inside, content = Signal(name="is_inside"), Signal(Value.cast(entered).shape(), name="content")
        mark = laws.free("mark")
        m.d.sync += total.eq(total + push - pop)
        with m.If(is_inside & pop):
            m.d.sync += ahead.eq(ahead - 1)
            with m.If(ahead == 0):
                m.d.sync += is_inside.eq(0)
        with m.Elif(~is_inside & push & mark):
            m.d.sync += [is_inside.eq(1), content.eq(entered), ahead.eq(total - pop)]
        with m.If(clear):
            m.d.sync += [total.eq(0), is_inside.eq(0)]
        laws.assume(~(push & (total == depth)))
        if pops_by_itself:
            laws.law("only_what_is_inside_leaves", ~(pop & (total == 0)))
        else:
            laws.assume(~(pop & (total == 0)))
        laws.implies("comes_out_as_it_went_in", is_inside & (ahead == 0) & pop, left == content)
        laws.invariant("no_more_inside_than_fit", total <= depth)
        laws.invariant("marked_is_counted", is_inside, ahead < total)
        return cls(total=total, is_inside=is_inside, ahead=ahead, content=content)

    def lies(self, laws: Laws, memory: str, read_index: Value, write_index: Value) -> None:
        """Add the invariant of a ring of a power of two words: where the marked element lies, and how full the ring is."""
        width = len(read_index)
        place = Signal(width, name="place")
        laws.m.d.comb += place.eq(read_index + self.ahead)
        laws.invariant("marked_lies_in_place", self.is_inside, laws.state.word(memory, place) == self.content)
        laws.invariant("indices_enclose_what_is_inside", (write_index - read_index)[:width] == self.total[:width])

    def lies_behind_head(self, laws: Laws, queue: str = "") -> None:
        """Add the invariants of a `HeadQueue` at a path, as `masks.`: the first element is its head, the others lie in its ring."""
        state = laws.state
        second_index = state[f"{queue}second_index"]
        place = Signal(len(second_index), name="place")
        laws.m.d.comb += place.eq(second_index + self.ahead - 1)
        lies = Mux(self.ahead == 0, state[f"{queue}head"], state.word(f"{queue}entries", place)) == self.content
        laws.invariant("marked_lies_in_place", self.is_inside, lies)
        holds(laws, queue, self.total)


def holds(laws: Laws, queue: str, total: Value) -> None:
    """Add the invariants that a `HeadQueue` at a path holds `total` elements: its level, its flags and its indices all say so."""
    state = laws.state
    level, second_index = state[f"{queue}level"], state[f"{queue}second_index"]
    width = len(second_index)
    difference = (state[f"{queue}write_index"] - second_index + 1)[:width]
    name = queue.replace(".", "_")
    laws.invariant(f"{name}level_counts", level == total)
    laws.invariant(f"{name}head_is_valid_when_something_is_inside", state[f"{queue}head_valid"] == (total != 0))
    laws.invariant(f"{name}second_is_there_when_two_are_inside", state[f"{queue}has_second"] == (total > 1))
    laws.invariant(f"{name}full_when_the_ring_is", state[f"{queue}full"] == (total == 1 << width))
    laws.invariant(f"{name}indices_enclose_what_is_inside", difference == total[:width])
