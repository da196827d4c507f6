"""The whole mover: an instruction retires in the cycle after its last beat or last response, and writes as many beats as it says."""

from typing import Any

import pytest
from amaranth import Mux, Signal

from hwsim.arch.config import load_engine
from hwsim.arch.isa import Append, Load, Store
from rtl.command import field, is_kind
from rtl.mover.side_writer import WRITE_QUEUE_BEATS
from rtl.mover.unit import Mover
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import prove


def mover(kind: Any) -> Laws:
    circuit = kind(load_engine("tiny"))
    laws = Laws(circuit)
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
    # Segments of a head: 1, 2 or 4.
    laws.assume(~(circuit.command_valid & kinds[2]) | (field(command, Append, "segments") <= 2))

    # The memory answers what it was asked.
    owed = Signal(14, name="owed")
    m.d.sync += owed.eq(owed + Mux(read.arvalid & read.arready, read.arlen + 1, 0) - read.rvalid)
    laws.assume(~(read.rvalid & (owed == 0)))
    takes_address, takes_data = write.awvalid & write.awready, write.wvalid & write.wready
    has_address, has_data = Signal(name="has_address"), Signal(name="has_data")
    written = (has_address | takes_address) & (has_data | takes_data)
    m.d.sync += [
        has_address.eq((has_address | takes_address) & ~written),
        has_data.eq((has_data | takes_data) & ~written),
    ]
    unanswered = Signal(bits, name="unanswered")
    m.d.sync += unanswered.eq(unanswered + written - write.bvalid)
    laws.assume(~(write.bvalid & (unanswered == 0)))

    # What the instruction under way asks for, and what came of it.
    is_load, is_under_way = Signal(name="is_load"), Signal(name="is_under_way")
    beats, came, wrote, answered = (Signal(bits, name=name) for name in ("beats", "came", "wrote", "answered"))
    with m.If(circuit.issue):
        m.d.sync += [is_load.eq(kinds[0]), is_under_way.eq(1), came.eq(0), wrote.eq(0), answered.eq(0)]
        with m.If(kinds[2]):
            m.d.sync += beats.eq((1 << field(command, Append, "segments")) + 1)
        with m.Else():
            m.d.sync += beats.eq(Mux(kinds[0], field(command, Load, "beats"), field(command, Store, "beats")))
    with m.Else():
        m.d.sync += [came.eq(came + read.rvalid), wrote.eq(wrote + written), answered.eq(answered + write.bvalid)]
        with m.If(circuit.retire | circuit.clear):
            m.d.sync += is_under_way.eq(0)
    writes = is_under_way & ~is_load
    laws.law("one_instruction_at_a_time", ~(circuit.issue & is_under_way))
    laws.law("retires_only_what_was_issued", ~(circuit.retire & ~is_under_way))
    laws.implies("load_retires_after_its_last_beat", is_under_way & is_load, circuit.retire == (came == beats))
    laws.implies("write_retires_after_its_last_response", writes, circuit.retire == (answered == beats))
    laws.implies("a_retired_write_wrote_every_beat", writes & circuit.retire, (wrote == beats) & (unanswered == 0))
    laws.implies("no_beat_beyond_the_instruction", writes & written, wrote < beats)
    laws.implies("only_writes_write", written, writes)

    # Invariants: a beat of a write is still to be asked for, in the gather's pipeline, in the queue, unanswered or answered.
    located, placed, push = (state[f"gather.{name}"] for name in ("located", "placed", "push"))
    pipeline = Signal(3, name="pipeline")
    m.d.comb += pipeline.eq(located[0] + placed[0] + push)
    level, asked, left = state["writer.level"], state["asked"], state["left"]
    laws.invariant("under_way_is_busy", circuit.busy == is_under_way)
    laws.invariant("kind_is_kept", is_under_way, is_load == state["loading"])
    laws.invariant("asked_beats_are_somewhere", writes, asked == pipeline + level + wrote)
    laws.invariant("no_more_asked_than_there_are", writes, asked <= beats)
    laws.invariant("beats_are_the_gathers", writes, state["gather.beats"] == beats)
    laws.invariant("wrote_is_answered_or_not", writes, wrote == answered + unanswered)
    laws.invariant("left_is_unanswered_or_unwritten", writes, left == beats - answered)
    laws.invariant("left_is_to_come", is_under_way & is_load, left == beats - came)
    laws.invariant("load_is_the_readers", is_under_way & is_load, state["reader.to_come"] == left)
    laws.invariant("no_more_came_than_there_are", is_under_way & is_load, came <= beats)
    laws.invariant("nothing_written_outside", ~writes, (pipeline == 0) & (level == 0) & (unanswered == 0))
    laws.invariant("reader_rests", ~(is_under_way & is_load), state["reader.to_come"] == program_left)
    laws.invariant("program_comes_alone", is_under_way, program_left == 0)
    laws.invariant("credit_is_room", state["credit"] + pipeline + level == WRITE_QUEUE_BEATS)
    laws.invariant("reader_counts", (state["reader.to_ask"] + owed)[:13] == state["reader.to_come"])
    laws.invariant("reader_owes", (state["reader.outstanding"] == owed) & (owed <= state["reader.to_come"]))
    laws.invariant("writer_owes", state["writer.unanswered"] == unanswered)
    laws.invariant("taken_is_remembered", (state["writer.address_taken"] == has_address) & (state["writer.data_taken"] == has_data))
    laws.invariant("taken_is_risen", has_address | has_data, state["writer.risen"])
    laws.invariant("risen_is_inside", state["writer.risen"], level != 0)
    return laws


def test_mover() -> None:
    verdict = prove(mover(Mover), depth=2, induction=True)
    assert verdict.is_proved, verdict.report


MUTANTS = [
    ("self.retire.eq(self.busy & (left == 0))", "self.retire.eq(self.busy & (left <= 1))", "retires_after_its_last"),
    ("writer.response | (loading & reader.valid)", "writer.popped | (loading & reader.valid)", "write_retires_after"),
    ("(1 << field(self.command, Append, \"segments\")) + 1", "1 << field(self.command, Append, \"segments\")", "write_retires"),
    ("(asked != gather.beats)", "(asked <= gather.beats)", "no_beat_beyond"),
    ("self.issue.eq(self.command_valid & ~self.busy)", "self.issue.eq(self.command_valid)", "one_instruction"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_movers_are_caught(number: int) -> None:
    text, changed, law = MUTANTS[number]
    verdict = prove(mover(mutant(Mover, text, changed)), depth=24, induction=False)
    assert not verdict.is_proved
    assert any(law in name for name in verdict.broken), verdict.broken
