"""The AXI4-Lite slave: one answer to each request; registers read as written; ap_start and ap_done as Vitis kernels have them."""

from typing import Any

import pytest
from amaranth import Cat, Mux, Signal

from hwsim.arch.config import load_engine
from hwsim.arch.registers import CONTROL_REGISTERS, offset_of, port_base_offset
from rtl.control.axi_lite import ControlRegisters
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import prove

CONTROL = offset_of("control") // 4
STATUS = offset_of("interrupt_status") // 4
ENABLE = offset_of("interrupt_enable") // 4


def registers(kind: Any) -> Laws:
    config = load_engine("tiny")
    lite = kind(config)
    laws = Laws(lite)
    m = laws.m

    # One answer to each request.
    laws.held("response", lite.bvalid, lite.bready, lite.bresp)
    laws.held("read_data", lite.rvalid, lite.rready, Cat(lite.rdata, lite.rresp))
    has_address, has_word, has_question = (Signal(name=name) for name in ("has_address", "has_word", "has_question"))
    takes_address, takes_word = lite.awvalid & lite.awready, lite.wvalid & lite.wready
    # A read looks at the registers in the cycle after it was asked for, and answers two cycles later.
    asked = lite.arvalid & lite.arready
    looks = laws.past(asked)
    answers, tells = lite.bvalid & lite.bready, lite.rvalid & lite.rready
    m.d.sync += [
        has_address.eq((has_address | takes_address) & ~answers),
        has_word.eq((has_word | takes_word) & ~answers),
        has_question.eq((has_question | asked) & ~tells),
    ]
    laws.implies("one_address_at_a_time", has_address, ~lite.awready)
    laws.implies("one_word_at_a_time", has_word, ~lite.wready)
    laws.implies("one_question_at_a_time", has_question, ~lite.arready)
    laws.implies("response_answers_a_write", lite.bvalid, has_address & has_word)
    laws.implies("read_data_answers_a_read", lite.rvalid, has_question)
    laws.implies("a_write_is_answered", has_address & has_word, lite.bvalid)
    finds = laws.past(looks)
    laws.implies("a_read_is_answered", has_question & ~looks & ~finds, lite.rvalid)
    laws.law("no_error_response", (lite.bresp == 0) & (lite.rresp == 0))

    # What is written, and where.
    address, question = Signal(10, name="write_address"), Signal(10, name="question")
    with m.If(takes_address):
        m.d.sync += address.eq(lite.awaddr[2:])
    with m.If(asked):
        m.d.sync += question.eq(lite.araddr[2:])
    where = Signal(10, name="where")
    m.d.comb += where.eq(Mux(has_address, address, lite.awaddr[2:]))

    # A byte of an argument, any, reads as it was last written.
    storage = {}
    for register in CONTROL_REGISTERS:
        if register.writable and register.name in lite.arguments:
            for low in range(0, register.width, 32):
                storage[(register.offset + low // 8) // 4] = getattr(lite, register.name)[low : low + 32]
    for low in (0, 32):
        storage[(port_base_offset(0) + low // 8) // 4] = lite.bases[0][low : low + 32]
    word, lane = laws.constant("word", 10), laws.constant("lane", 2)
    laws.assume(Cat(word == number for number in storage).any())
    kept, told = Signal(8, name="kept"), Signal(8, name="told")
    with m.If(takes_word & (where == word) & lite.wstrb.bit_select(lane, 1)):
        m.d.sync += kept.eq(lite.wdata.word_select(lane, 8))
    with m.If(looks):
        m.d.sync += told.eq(kept)
    laws.implies("argument_reads_as_written", lite.rvalid & (question == word), lite.rdata.word_select(lane, 8) == told)
    for number, value in storage.items():
        laws.invariant(f"argument_{number}_is_kept", word == number, value.word_select(lane, 8) == kept)

    # ap_start, ap_done, ap_ready.
    starts = takes_word & (where == CONTROL) & lite.wstrb[0] & lite.wdata[0]
    is_started, is_done, status = Signal(name="is_started"), Signal(name="is_done"), Signal(4, name="status")
    reads_control = looks & (question == CONTROL)
    m.d.sync += [is_started.eq(starts | (is_started & ~lite.done)), is_done.eq(lite.done | (is_done & ~reads_control))]
    with m.If(looks):
        m.d.sync += status.eq(Cat(is_started, is_done, lite.idle, is_done))
    laws.law("start_from_the_write_until_done", lite.start == is_started)
    laws.implies("control_reads_start_done_idle_ready", lite.rvalid & (question == CONTROL), lite.rdata == status)
    errors = Signal(32, name="errors")
    with m.If(looks):
        m.d.sync += errors.eq(lite.error)
    laws.implies("error_reads_as_it_is", lite.rvalid & (question == offset_of("error") // 4), lite.rdata == errors)

    # The interrupt: an enabled event sets its status, which stays until it is acknowledged.
    event = lite.done & laws.state["enable"].any()
    acknowledged = takes_word & (where == STATUS) & lite.wstrb[0]
    was_up = laws.past(lite.interrupt & ~acknowledged & ~(takes_word & (where == offset_of("global_interrupt") // 4)))
    laws.implies("interrupt_stays_until_acknowledged", was_up, lite.interrupt)
    laws.implies("event_is_noted", laws.past(event), laws.state["status"].any())

    # Invariants.
    laws.invariant("address_ready", lite.awready == ~has_address)
    laws.invariant("word_ready", lite.wready == (has_address & ~has_word))
    laws.invariant("response_valid", lite.bvalid == (has_address & has_word))
    laws.invariant("question_ready", lite.arready == ~has_question)
    laws.invariant("data_valid", lite.rvalid == (has_question & ~looks & ~finds))
    laws.invariant("looks_at_the_question", looks == laws.state.is_in("reading_state", "PART"))
    laws.invariant("finds_the_word", finds == laws.state.is_in("reading_state", "WORD"))
    laws.invariant("question_is_kept", has_question, laws.state["read_word"] == question)
    parts = {name: signal for name, signal in laws.state.signals.items() if name.startswith("part_")}
    for name, signal in parts.items():
        number = int(name.removeprefix("part_"))
        copied = laws.state[f"copy_address_{number}_0.held"]
        laws.invariant(f"{name}_looks_at_the_question", looks, copied == question)
        in_part = finds & (question[4:] == number)
        laws.invariant(f"{name}_tells_arguments", in_part & (question == word), signal.word_select(lane, 8) == told)
        laws.invariant(f"{name}_tells_control", in_part & (question == CONTROL), signal == status)
        laws.invariant(f"{name}_tells_errors", in_part & (question == offset_of("error") // 4), signal == errors)
    laws.invariant("word_after_address", has_word, has_address)
    laws.invariant("address_is_kept", has_address, laws.state["write_word"] == address)
    laws.invariant("done_is_kept", (laws.state["done"] == is_done) & (laws.state["ready"] == is_done))
    return laws


def test_registers() -> None:
    verdict = prove(registers(ControlRegisters), depth=3, induction=True)
    assert verdict.is_proved, verdict.report


MUTANTS = [
    ("m.d.comb += self.bvalid.eq(1)", "m.d.comb += self.bvalid.eq(self.bready)", "a_write_is_answered"),
    ("with m.If(self.bready):", "with m.If(1):", "response_stays_valid"),
    ("[self.wready.eq(1), write.eq(self.wvalid)]", "[self.wready.eq(self.wvalid), write.eq(1)]", "start_from_the_write_until_done"),
    ("m.d.comb += self.rvalid.eq(1)", "m.d.comb += self.rvalid.eq(self.rready)", "a_read_is_answered"),
    ("m.d.comb += self.arready.eq(1)", "m.d.sync += self.arready.eq(1)", "one_question_at_a_time"),
    ("m.d.comb += read.eq(1)", "m.d.comb += read.eq(self.rready)", "control_reads_start_done_idle_ready"),
    ("address[:_PART_BITS]", "read_word[:_PART_BITS] ^ 1", "_reads_"),
    ("with m.Switch(read_word[_PART_BITS:]):", "with m.Switch(self.araddr[_PART_BITS + 2:]):", "_reads_"),
    ("with m.If(self.wstrb[byte]):", "with m.If(self.wstrb[0]):", "argument_reads_as_written"),
    ("ready.eq(1), self.start.eq(0)", "ready.eq(1)", "start_from_the_write_until_done"),
    ("with m.If(self.wstrb[0] & self.wdata[0]):", "with m.If(self.wdata[0]):", "start_from_the_write_until_done"),
    ("m.d.sync += [done.eq(0), ready.eq(0)]", "m.d.sync += done.eq(0)", "control_reads_start_done_idle_ready"),
    ("with m.If(self.wstrb[0] & ~self.done):", "with m.If(self.wstrb[0]):", "event_is_noted"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_registers_are_caught(number: int) -> None:
    text, changed, law = MUTANTS[number]
    verdict = prove(registers(mutant(ControlRegisters, text, changed)), depth=10, induction=False)
    assert not verdict.is_proved
    assert any(law in name for name in verdict.broken), verdict.broken
