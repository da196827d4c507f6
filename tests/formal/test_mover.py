"""The whole mover: instructions retire in order after their last beat or response, and write as many beats as they say."""

from typing import Any

import pytest
from amaranth import Const, Module, Mux, Signal

from hwsim.arch.config import load_engine
from hwsim.arch.isa import Append, Load, Store
from hwsim.arch.timing import MOVER_WRITES, WRITE_LEAD
from rtl.interfaces import COMMAND, field, is_kind
from rtl.mover.beats import PREPARE_CYCLES, STEP_CYCLES
from rtl.mover.side_port import WRITE_QUEUE_BEATS
from rtl.mover.unit import Mover, Retirement
from tests.formal.in_flight import InFlight
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import prove


class AnyRetirement(Retirement):
    """What test_retirement.py proves of Retirement for an instruction alone; behind others, any may retire in any cycle."""

    def __init__(self) -> None:
        super().__init__()
        self.total, self.owed = Signal(range(MOVER_WRITES + 2), name="told_total"), Signal(16, name="told_owed")
        self.likes = Signal(name="likes")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            self.busy.eq(self.total != 0),
            self.has_room.eq(self.total != MOVER_WRITES),
            self.retire.eq(Mux(self.total > 1, self.likes, self.busy & (self.owed == 0))),
        ]
        m.d.sync += [
            self.total.eq(self.total + self.issue - self.retire),
            self.owed.eq(self.owed + Mux(self.issue, self.beats, 0) - self.ends),
        ]
        with m.If(self.clear):
            m.d.sync += [self.total.eq(0), self.owed.eq(0)]
        return m


def mover(kind: Any, *, has_retirement: bool) -> Laws:
    """The laws of the mover, with its Retirement or with any that keeps to what is proved of it."""
    circuit = kind(load_engine("tiny"))
    told = Retirement() if has_retirement else AnyRetirement()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kind.elaborate.__globals__, "Retirement", lambda: told)
        laws = Laws(circuit)
    if not has_retirement:
        laws.m.d.comb += told.likes.eq(laws.free("any_retires"))
    m, state, read, write = laws.m, laws.state, circuit.read, circuit.write
    bits = max(Load.field("beats").width, Store.field("beats").width) + 1

    # Control: one kind of the mover's own, none once stopped, clear when stopped and quiet; the program between runs.
    command = circuit.command
    kinds = [is_kind(command, each) for each in (Load, Store, Append)]
    laws.assume(~circuit.command_valid | kinds[0] | kinds[1] | kinds[2])
    program_left = Signal(14, name="program_left")
    with m.If(circuit.clear):
        m.d.sync += program_left.eq(0)
    with m.Elif(circuit.program_start):
        m.d.sync += program_left.eq(circuit.program_beats)
    with m.Elif(circuit.read.rvalid & (program_left != 0)):
        m.d.sync += program_left.eq(program_left - 1)
    laws.assume(~(circuit.command_valid & (circuit.stop | circuit.program_start | (program_left != 0))))
    laws.assume(~circuit.clear | (circuit.quiet & circuit.stop))
    laws.assume(~circuit.program_start | (circuit.quiet & ~circuit.stop & ~circuit.busy))
    laws.assume(~(circuit.command_valid & ~circuit.running) & ~(circuit.program_start & circuit.running))
    # Segments of a head: 1, 2 or 4.
    laws.assume(~(circuit.command_valid & kinds[2]) | (field(command, Append, "segments") <= 2))

    # The memory answers what it was asked.
    owed = Signal(14, name="owed")
    m.d.sync += owed.eq(owed + Mux(read.arvalid & read.arready, read.arlen + 1, 0) - read.rvalid)
    laws.assume(~(read.rvalid & (owed == 0)))
    takes_address, takes_data = write.awvalid & write.awready, write.wvalid & write.wready
    has_address, has_data = Signal(name="has_address"), Signal(name="has_data")
    written = (has_address | takes_address) & (has_data | takes_data)
    m.d.sync += [has_address.eq((has_address | takes_address) & ~written), has_data.eq((has_data | takes_data) & ~written)]
    unanswered = Signal(16, name="unanswered")
    m.d.sync += unanswered.eq(unanswered + written - write.bvalid)
    laws.assume(~(write.bvalid & (unanswered == 0)))

    # What the latest instruction asks for, and what was written of it; all that have not retired wait for their ends in order.
    is_load, beats, wrote = Signal(name="is_load"), Signal(bits, name="beats"), Signal(bits, name="wrote")
    asks = Signal(bits, name="asks")
    with m.If(kinds[2]):
        m.d.comb += asks.eq((1 << field(command, Append, "segments")) + 1)
    with m.Else():
        m.d.comb += asks.eq(Mux(kinds[0], field(command, Load, "beats"), field(command, Store, "beats")))
    # The rule of the instruction set: at least one beat.
    laws.assume(~circuit.command_valid | (asks != 0))
    with m.If(circuit.issue):
        m.d.sync += [is_load.eq(kinds[0]), beats.eq(asks), wrote.eq(0)]
    with m.Else():
        m.d.sync += wrote.eq(wrote + written)
    is_reading = Signal(name="is_reading")
    end = Mux(is_reading, read.rvalid, write.bvalid)
    flight = InFlight.follow(laws, issue=circuit.issue, beats=asks, end=end, retire=circuit.retire, clear=circuit.clear)
    total = flight.total
    m.d.comb += is_reading.eq((total != 0) & is_load)
    writes = (total != 0) & ~is_load
    may_issue = Mux(kinds[0], total == 0, ~is_reading & ((total == 0) | (wrote == beats)) & (total < MOVER_WRITES))
    laws.law("retires_only_what_was_issued", ~(circuit.retire & (total == 0)))
    laws.law("no_more_in_flight_than_fit", total <= MOVER_WRITES)
    if has_retirement:
        laws.law("retires_in_the_cycle_after_its_last_end", flight.is_on_time(circuit.retire))
    else:
        # What test_retirement.py assumes: it is told of each instruction and each end.
        laws.law("retirement_is_told", (told.issue == circuit.issue) & (told.ends == end) & (told.clear == circuit.clear))
        laws.implies("retirement_is_told_the_beats", circuit.issue, told.beats == asks)
        laws.law("retirement_is_heard", (told.retire == circuit.retire) & (told.busy == circuit.busy))
        laws.law("no_end_that_is_not_owed", ~(end & (flight.owed == 0)))
        laws.law("no_issue_beyond_the_room", ~(circuit.issue & ((total >= MOVER_WRITES) | circuit.clear)))
    laws.law("issues_as_soon_as_it_may", circuit.issue == (circuit.command_valid & may_issue))
    laws.implies("a_retired_write_wrote_every_beat", writes & (total == 1) & circuit.retire, (wrote == beats) & (unanswered == 0))
    laws.implies("no_beat_beyond_the_instruction", writes & written, wrote < beats)
    laws.implies("only_writes_write", written, writes)

    # The ends at the memories work on what was issued, whose first beat is asked for once they know its place.
    works = Mux(is_load, total != 0, (total != 0) & (wrote != beats))
    issued, since = Signal(COMMAND, name="issued"), Signal(range(WRITE_LEAD + 1), name="since")
    with m.If(circuit.issue):
        m.d.sync += [issued.eq(command), since.eq(0)]
    with m.Elif(since != WRITE_LEAD):
        m.d.sync += since.eq(since + 1)
    laws.implies("works_on_what_was_issued", works, state["command"] == issued.as_value())
    laws.implies("asks_for_beats_whose_place_is_known", state["step"], works & (since >= PREPARE_CYCLES))

    risen = laws.past((write.awvalid | write.wvalid) & ~written)
    laws.implies("writes_after_its_lead", (write.awvalid | write.wvalid) & ~risen, since == WRITE_LEAD)

    # Invariants: a beat of a write is still to be asked for, in the gather's pipeline, in the queue, unanswered or answered.
    pipeline = Signal(3, name="pipeline")
    m.d.comb += pipeline.eq(sum((state[f"gather.asked_{stage}"] for stage in range(1, STEP_CYCLES + 1)), Const(0, 1)))
    level, asked, active = state["writer.level"], state["asked"], state["active"]
    if not has_retirement:
        laws.invariant("owed_counts", (told.owed == flight.owed) & (told.total == total))
    laws.invariant("active_until_written", active == works)
    laws.invariant("loads_while_a_load_is_active", state["loading"] == (active & is_load))
    laws.invariant("last_write_when_one_is_unwritten", writes, state["is_last_write"] == (state["unwritten"] == 1))
    laws.invariant("may_write_when_old_enough", state["may_write"] == (since == WRITE_LEAD))
    laws.invariant("writer_has_a_beat_when_there_are_some", state["writer.has_beat"] == (level != 0))
    laws.invariant("asked_beats_are_somewhere", writes, asked == pipeline + level + wrote)
    laws.invariant("no_more_asked_than_there_are", writes, asked <= beats)
    laws.invariant("unasked_is_not_asked", writes, state["unasked"] == beats - asked)
    laws.invariant("asks_while_some_are_unasked", state["asks"] == (active & ~is_load & (state["unasked"] != 0)))
    laws.invariant("age_counts", (state["age"] == since) & (since <= WRITE_LEAD))
    laws.invariant("prepared_when_old_enough", state["is_prepared"] == (since >= PREPARE_CYCLES))
    laws.invariant("unwritten_is_unwritten", writes, state["unwritten"] == beats - wrote)
    laws.invariant("owed_is_unanswered_or_unwritten", writes, flight.owed == unanswered + beats - wrote)
    laws.invariant("nothing_is_owed_to_none", (total != 0) | (flight.owed == 0))
    laws.invariant("a_load_is_alone", is_reading, total == 1)
    laws.invariant("load_is_the_readers", is_reading, state["reader.to_come"] == flight.owed)
    laws.invariant("nothing_written_outside", ~writes, (pipeline == 0) & (level == 0) & (unanswered == 0))
    laws.invariant("reader_rests", ~is_reading, state["reader.to_come"] == program_left)
    laws.invariant("program_comes_alone", total != 0, program_left == 0)
    laws.invariant("credit_is_room", state["credit"] + pipeline + level == WRITE_QUEUE_BEATS)
    laws.invariant("reader_counts", (state["reader.to_ask"] + owed)[:13] == state["reader.to_come"])
    laws.invariant("reader_owes_none_means_none", state["reader.none_outstanding"] == (state["reader.outstanding"] == 0))
    laws.invariant("reader_asks_when_there_are_some", state["reader.asks"] == (state["reader.to_ask"] != 0))
    laws.invariant("reader_owes", (state["reader.outstanding"] == owed) & (owed <= state["reader.to_come"]))
    laws.invariant("writer_owes", state["writer.unanswered"] == unanswered)
    laws.invariant("taken_is_remembered", (state["writer.address_taken"] == has_address) & (state["writer.data_taken"] == has_data))
    laws.invariant("taken_is_risen", has_address | has_data, state["writer.risen"])
    laws.invariant("risen_is_inside", state["writer.risen"], level != 0)
    return laws


def test_mover() -> None:
    verdict = prove(mover(Mover, has_retirement=False), depth=2, induction=True)
    assert verdict.is_proved, verdict.report


def test_mover_with_its_retirement() -> None:
    """Until two writes are in flight: what the mutants break holds of the mover itself."""
    verdict = prove(mover(Mover, has_retirement=True), depth=13, induction=False)
    assert verdict.is_proved, verdict.report


MUTANTS = [
    ("writer.response | (loading & reader.valid)", "writer.popped | (loading & reader.valid)", "a_retired_write"),
    ("(loading & reader.valid))", "(loading & reader.valid & ~reader.last))", "retires_in_the_cycle"),
    ('(1 << field(self.command, Append, "segments")) + 1', '1 << field(self.command, Append, "segments")', "issues_as_soon"),
    ("retirement.beats.eq(beats)", "retirement.beats.eq(beats - 1)", "retires_in_the_cycle"),
    ("asks.eq(unasked != 1)", "asks.eq(unasked != 0)", "no_beat_beyond"),
    ("unasked.eq(beats)", "unasked.eq(beats - 1)", "no_beat_beyond"),
    ("asks.eq(~starts_load & (beats != 0))", "asks.eq(beats != 0)", "asks_for_beats"),
    ("loading.eq(0), asks.eq(0)", "loading.eq(0)", "asks_for_beats"),
    ("loading.eq(starts_load)", "loading.eq(0)", "retires_in_the_cycle"),
    ("is_last_write.eq(unwritten == 2)", "is_last_write.eq(0)", "issues_as_soon"),
    ("is_last_write.eq(beats == 1)", "is_last_write.eq(0)", "issues_as_soon"),
    ("is_prepared.eq(0),", "", "asks_for_beats"),
    ("is_prepared.eq(age >= PREPARE_CYCLES - 1)", "is_prepared.eq(1)", "asks_for_beats"),
    ("with m.If(~active):", "with m.If(1):", "works_on_what"),
    ("self.command_valid & ~active & Mux", "self.command_valid & Mux", "issues_as_soon"),
    ("Mux(starts_load, ~self.busy, retirement.has_room)", "retirement.has_room", "issues_as_soon"),
    ("Mux(starts_load, ~self.busy, retirement.has_room)", "~self.busy", "issues_as_soon"),
    ("writer.popped & is_last_write", "writer.popped & (unwritten <= 2)", "issues_as_soon"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_movers_are_caught(number: int) -> None:
    text, changed, law = MUTANTS[number]
    verdict = prove(mover(mutant(Mover, text, changed), has_retirement=True), depth=24, induction=False)
    assert not verdict.is_proved
    assert any(law in name for name in verdict.broken), verdict.broken


def test_a_mover_without_a_limit_is_caught() -> None:
    """The limit takes many writes to show: the step of the induction finds the state it comes from."""
    broken = mutant(Mover, "Mux(starts_load, ~self.busy, retirement.has_room)", "Mux(starts_load, ~self.busy, 1)")
    verdict = prove(mover(broken, has_retirement=False), depth=2, induction=True)
    assert not verdict.is_proved
    assert verdict.is_inductive
    assert "issues_as_soon_as_it_may" in verdict.broken, verdict.broken


def test_a_mover_that_still_loads_is_caught() -> None:
    """A LOAD that has ended takes a later program's words: the step of the induction finds the state it comes from."""
    broken = mutant(Mover, "active.eq(0), loading.eq(0)]", "active.eq(0)]")
    verdict = prove(mover(broken, has_retirement=False), depth=2, induction=True)
    assert not verdict.is_proved
    assert "loads_while_a_load_is_active" in verdict.broken, verdict.broken
