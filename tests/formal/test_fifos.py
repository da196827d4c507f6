"""The stores between units: no element is lost, doubled, changed or overtaken, and levels are right; for runs of any length."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth import Module, Mux, Signal

from hwsim.arch.config import load_engine
from hwsim.arch.timing import FIFO_LATENCY
from rtl.control.queue import CommandQueue
from rtl.control.scoreboard import SignalMasks
from rtl.fetch import StreamFifo
from rtl.ram import Ram
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.passage import Passage
from tests.formal.prover import prove

MASKS = 64
WIDTH = 4
"""Bits of a followed beat: the FIFO moves them without looking."""


def command_queue(kind: Any, depth: int) -> Laws:
    queue = kind(depth=depth)
    laws = Laws(queue)
    passage = Passage.follow(
        laws,
        depth=depth,
        push=queue.push,
        pop=queue.pop,
        entered=queue.entry.as_value(),
        left=queue.head.as_value(),
        clear=queue.clear,
    )
    laws.law("head_is_valid_when_something_is_inside", queue.head_valid == (passage.total != 0))
    laws.law("full_when_depth_are_inside", queue.full == (passage.total == depth))
    passage.lies_behind_head(laws)
    return laws


def signal_masks(kind: Any, depth: int) -> Laws:
    masks = kind(depth=depth)
    laws = Laws(masks)
    passage = Passage.follow(
        laws, depth=depth, push=masks.push, pop=masks.pop, entered=masks.mask, left=masks.head, clear=masks.clear
    )
    laws.law("empty_when_nothing_is_inside", masks.empty == (passage.total == 0))
    passage.lies_behind_head(laws, "masks.")
    return laws


class AnyOnCollision(Ram):
    """A memory that gives any word where it is read and written in one cycle, as an UltraRAM may."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        self.any, collides = Signal(len(self.read_data), name="any"), Signal(name="collides")
        m.d.sync += collides.eq(self.write_enable.any() & (self.write_address == self.read_address))
        with m.If(collides):
            m.d.comb += self.read_data.eq(self.any)
        return m


def stream_fifo(kind: Any, depth: int) -> Laws:
    fifo = kind(depth=depth, width=WIDTH)
    memories: list[AnyOnCollision] = []

    def memory(**settings: Any) -> AnyOnCollision:
        memories.append(AnyOnCollision(**settings))
        return memories[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kind.elaborate.__globals__, "Ram", memory)
        laws = Laws(fifo)
    for each in memories:
        laws.m.d.comb += each.any.eq(laws.free("any_word", WIDTH))
    clear = fifo.clear
    laws.assume(~(fifo.pop & ~fifo.ready))
    # Control clears when the buses are quiet.
    laws.assume(~(fifo.push & clear))
    passage = Passage.follow(laws, depth=depth, push=fifo.push, pop=fifo.pop, entered=fifo.push_data, left=fifo.head, clear=clear)
    arrived = fifo.push
    for _ in range(FIFO_LATENCY - 1):
        arrived = laws.past(arrived & ~clear)
    m = laws.m
    poppable = laws.counter("poppable", len(passage.total), arrived, fifo.pop)
    with m.If(clear):
        m.d.sync += poppable.eq(0)
    laws.law("ready_from_the_latency_on", fifo.ready == (poppable != 0))
    laws.implies(
        "follows_and_stays_tell_what_comes", laws.started, fifo.ready == laws.past(Mux(fifo.pop, fifo.follows, fifo.stays) & ~clear)
    )
    laws.invariant("has_two_when_two_can_be_popped", laws.state["has_two"] == (poppable > 1))
    passage.lies(laws, "memory.array", laws.state["read_index"], laws.state["write_index"])
    laws.invariant("level_counts", laws.state["level"] == poppable)
    laws.invariant("what_is_inside_arrived_or_arrives", passage.total == poppable + arrived)
    head = laws.state.word("memory.array", laws.state["read_index"])
    laws.invariant("head_is_read", fifo.ready, fifo.head == head)
    return laws


def test_command_queues() -> None:
    """Of every depth that a shipped engine has."""
    for depth in sorted({load_engine(name).control.queue_depth for name in ("tiny", "small", "u280")}):
        verdict = prove(command_queue(CommandQueue, depth), depth=2, induction=True)
        assert verdict.is_proved, verdict.report


def test_signal_masks() -> None:
    verdict = prove(signal_masks(SignalMasks, MASKS), depth=2, induction=True)
    assert verdict.is_proved, verdict.report


def test_stream_fifo() -> None:
    verdict = prove(stream_fifo(StreamFifo, load_engine("tiny").fetch.fifo_beats), depth=3, induction=True)
    assert verdict.is_proved, verdict.report


HEAD = ("comes_out", "head_is_valid")
"""A wrong flag of what is behind the head makes a wrong head, or none: the solver says which of the two it found."""
MUTANTS: list[tuple[Callable[[Any, int], Laws], Any, str, str, str | tuple[str, ...]]] = [
    (command_queue, CommandQueue, "level.eq(level - 1)", "level.eq(level - 2)", "full_when_depth"),
    (command_queue, CommandQueue, "level.eq(level + 1)", "level.eq(level + 2)", "full_when_depth"),
    (command_queue, CommandQueue, "second_index.eq(second_index + 1)", "second_index.eq(second_index + 2)", "comes_out"),
    (command_queue, CommandQueue, "write.en.eq(self.push)", "write.en.eq(self.push & ~self.pop)", "comes_out"),
    (command_queue, CommandQueue, "write_index.eq(0),\n", "\n", "comes_out"),
    (command_queue, CommandQueue, "second_index.eq(1),\n", "\n", "comes_out"),
    (command_queue, CommandQueue, "init=1", "init=0", "comes_out"),
    (command_queue, CommandQueue, "level == self.depth - 1", "level == self.depth - 2", "full_when_depth"),
    (command_queue, CommandQueue, "level == self.depth - 1", "level == self.depth", "full_when_depth"),
    (command_queue, CommandQueue, "level.eq(level - 1), self.full.eq(0)", "level.eq(level - 1)", "full_when_depth"),
    (command_queue, CommandQueue, "self.full.eq(0),\n", "\n", "full_when_depth"),
    (command_queue, CommandQueue, "has_second.eq(self.head_valid)", "has_second.eq(level > 1)", HEAD),
    (command_queue, CommandQueue, "has_second.eq(level > 2)", "has_second.eq(level > 1)", HEAD),
    (command_queue, CommandQueue, "has_second.eq(level > 2)", "has_second.eq(level > 3)", HEAD),
    (command_queue, CommandQueue, "has_second.eq(0),\n", "\n", HEAD),
    (command_queue, CommandQueue, "has_second | self.push", "has_second", HEAD),
    (command_queue, CommandQueue, "self.head_valid.eq(0),\n", "\n", "head_is_valid"),
    (command_queue, CommandQueue, "with m.If(self.pop | ~self.head_valid)", "with m.If(self.pop)", "head_is_valid"),
    (command_queue, CommandQueue, "Mux(has_second, read.data, self.entry)", "Mux(level > 2, read.data, self.entry)", "comes_out"),
    (signal_masks, SignalMasks, "masks.pop.eq(self.pop)", "masks.pop.eq(self.pop & ~self.push)", "comes_out"),
    (signal_masks, SignalMasks, "masks.clear.eq(self.clear)", "masks.clear.eq(self.clear & self.empty)", "empty_when"),
    (signal_masks, SignalMasks, "self.empty.eq(~masks.head_valid)", "self.empty.eq(~masks.head_valid | self.pop)", "empty_when"),
    (signal_masks, SignalMasks, "depth=self.depth)\n        m.d", "depth=self.depth // 2)\n        m.d", "comes_out"),
    (stream_fifo, StreamFifo, "memory.read_address.eq(read_index + self.pop)", "memory.read_address.eq(read_index)", "comes_out"),
    (stream_fifo, StreamFifo, "self.ready.eq(Mux(self.pop, self.follows,", "self.ready.eq(Mux(self.pop, self.stays,", "ready_from"),
    (stream_fifo, StreamFifo, "self.stays.eq(arrived | self.ready)", "self.stays.eq(self.ready)", "ready_from"),
    (stream_fifo, StreamFifo, "self.follows.eq(arrived | has_two)", "self.follows.eq(has_two)", "ready_from"),
    (stream_fifo, StreamFifo, "has_two, level > 2)", "has_two, level > 1)", "ready_from"),
    (stream_fifo, StreamFifo, "Mux(arrived, self.ready, has_two)", "Mux(arrived, 1, has_two)", "ready_from"),
    (
        stream_fifo,
        StreamFifo,
        "level.eq(level + arrived - self.pop)",
        "level.eq(level + (arrived & ~self.pop) - self.pop)",
        "ready_from",
    ),
    (stream_fifo, StreamFifo, "range(FIFO_LATENCY - 1)", "range(FIFO_LATENCY - 2)", "ready_from"),
    (stream_fifo, StreamFifo, "level.eq(0), self.ready.eq(0),", "level.eq(0),", "ready_from"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_stores_are_caught(number: int) -> None:
    laws, kind, text, changed, law = MUTANTS[number]
    verdict = prove(laws(mutant(kind, text, changed), 4), depth=8, induction=False, has_arrays=False)
    assert not verdict.is_proved
    assert any(name.startswith(law) for name in verdict.broken), verdict.broken
    assert verdict.broken[0] in verdict.trace
