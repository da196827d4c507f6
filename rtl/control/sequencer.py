"""The sequencer: fetches, decodes and executes instructions, three cycles each, out of the program memory."""

import functools
import operator

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import CHECK_VALUE, WORD_BITS, Unit
from hwsim.arch.isa import INSTRUCTIONS, End, Loop, Scalar
from rtl.command import COMMAND, field, is_kind
from rtl.control.loops import PC_BITS, LoopStack
from rtl.control.scalar import ScalarRegisters
from rtl.interfaces import address_bits
from rtl.ram import Ram

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Runs a program.

    `go` in cycle e: the first instruction executes at e + 3 or later. `push` (bit Unit) puts `entry` into a queue, only
    while that queue is not `full`. `finished` is one in the cycle End executes, which waits for `idle`. A bad word
    raises one of the three errors in its decode cycle, at `pc`. `halt` stops the sequencer until the next `go`.
    """

    def __init__(self, config: EngineConfig):
        self.program_words = config.control.program_words
        super().__init__(
            {
                "load_valid": In(1),
                "load_address": In(address_bits(self.program_words)),
                "load_data": In(WORD_BITS),
                "words": In(32),
                "position": In(32),
                "slot": In(32),
                "start": In(1),
                "go": In(1),
                "halt": In(1),
                "full": In(len(Unit)),
                "idle": In(1),
                "push": Out(len(Unit)),
                "entry": Out(COMMAND),
                "finished": Out(1),
                "pc": Out(PC_BITS),
                "bad_check": Out(1),
                "bad_opcode": Out(1),
                "deep_loop": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.program = program = Ram(depth=self.program_words, lanes=1, lane_bits=WORD_BITS)
        m.submodules.loops = loops = LoopStack()
        m.submodules.scalar = scalar = ScalarRegisters()
        pc = self.pc
        m.d.comb += [
            program.write_enable.eq(self.load_valid),
            program.write_address.eq(self.load_address),
            program.write_data.eq(self.load_data),
            program.read_address.eq(pc),
            loops.clear.eq(self.start),
            scalar.start.eq(self.start),
            scalar.position.eq(self.position),
            scalar.slot.eq(self.slot),
        ]

        # Past its end the program reads as zeros, whose check byte is wrong: running off the end names itself.
        fetched = Signal(COMMAND)
        m.d.comb += fetched.word.eq(Mux(pc < _smaller(self.words, self.program_words), program.read_data, 0))
        known = Cat(is_kind(fetched, kind) for kind in INSTRUCTIONS).any()
        check = functools.reduce(operator.xor, (fetched.word[i : i + 8] for i in range(0, WORD_BITS, 8)))

        command = Signal(COMMAND)
        m.d.comb += [scalar.word.eq(command.word), command.operand.eq(scalar.operand), self.entry.eq(command)]
        is_loop, is_scalar, is_end = (is_kind(command, kind) for kind in (Loop, Scalar, End))
        target = Cat(Cat(is_kind(command, kind) for kind in INSTRUCTIONS if kind.unit == unit).any() for unit in Unit)
        m.d.comb += [
            loops.pc.eq(pc),
            loops.push.eq(is_loop),
            loops.count.eq(field(command, Loop, "count")),
            loops.length.eq(field(command, Loop, "length")),
        ]

        with m.FSM(name="step"):
            with m.State("WAIT"):
                with m.If(self.go):
                    m.d.sync += pc.eq(0)
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "DECODE"
                with m.If(self.halt):
                    m.next = "WAIT"
            with m.State("DECODE"):
                m.d.sync += command.word.eq(fetched.word)
                with m.If(check != CHECK_VALUE):
                    m.d.comb += self.bad_check.eq(1)
                with m.Elif(~known):
                    m.d.comb += self.bad_opcode.eq(1)
                with m.Elif(is_kind(fetched, Loop) & loops.full):
                    m.d.comb += self.deep_loop.eq(1)
                m.next = "EXECUTE"
                with m.If(self.bad_check | self.bad_opcode | self.deep_loop | self.halt):
                    m.next = "WAIT"
            with m.State("EXECUTE"):
                with m.If(self.halt):
                    m.next = "WAIT"
                with m.Elif(is_end):
                    with m.If(self.idle):
                        m.d.comb += self.finished.eq(1)
                        m.next = "WAIT"
                with m.Elif(~(target & self.full).any()):
                    m.d.comb += [self.push.eq(target), scalar.execute.eq(is_scalar), loops.advance.eq(1)]
                    m.d.sync += pc.eq(loops.next_pc)
                    m.next = "FETCH"
        return m


def _smaller(value, limit: int):
    """Return the smaller of an unsigned value and a constant, in as many bits as the constant needs."""
    return Mux(value > limit, limit, value[: limit.bit_length()])
