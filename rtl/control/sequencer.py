"""The sequencer: a short pipeline that fetches, decodes and executes instructions out of the program memory."""

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

    `go` in cycle e: the first instruction executes at e + 3 or later. An instruction of a unit that ends no loop is
    followed a cycle later; what changes registers or the program counter lets the pipeline fill again. `push` (bit
    Unit) puts `entry` into a queue, only while that queue is not `full`. `finished` is one in the cycle End executes,
    which waits for `idle`. A bad word raises one of the three errors when it has been decoded and the one before
    executes, at `pc`. `halt` stops the sequencer until the next `go`.
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
        m.d.comb += [
            program.write_enable.eq(self.load_valid),
            program.write_address.eq(self.load_address),
            program.write_data.eq(self.load_data),
            loops.clear.eq(self.start),
            scalar.start.eq(self.start),
            scalar.position.eq(self.position),
            scalar.slot.eq(self.slot),
        ]
        # The program counters of the three stages: fetch (address), decode (word from the memory), execute (`command`).
        fetch_pc, decode_pc, execute_pc = (Signal(PC_BITS, name=f"{name}_pc") for name in ("fetch", "decode", "execute"))
        fetching = Signal()
        decoding = Signal()
        executing = Signal()
        moves = Signal()
        refills = Signal()

        # Past its end the program reads as zeros, whose check byte is wrong: running off the end names itself.
        fetched = Signal(COMMAND)
        m.d.comb += fetched.word.eq(Mux(decode_pc < _smaller(self.words, self.program_words), program.read_data, 0))
        known = Cat(is_kind(fetched, kind) for kind in INSTRUCTIONS).any()
        check = functools.reduce(operator.xor, (fetched.word[i : i + 8] for i in range(0, WORD_BITS, 8)))

        command = Signal(COMMAND)
        m.d.comb += [scalar.word.eq(command.word), command.operand.eq(scalar.operand), self.entry.eq(command)]
        is_loop, is_scalar, is_end = (is_kind(command, kind) for kind in (Loop, Scalar, End))
        target = Cat(Cat(is_kind(command, kind) for kind in INSTRUCTIONS if kind.unit == unit).any() for unit in Unit)
        executes = Signal()
        m.d.comb += [
            loops.pc.eq(execute_pc),
            loops.push.eq(is_loop),
            loops.count.eq(field(command, Loop, "count")),
            loops.length.eq(field(command, Loop, "length")),
            executes.eq(executing & ~is_end & ~(target & self.full).any()),
            self.push.eq(Mux(executes, target, 0)),
            scalar.execute.eq(executes & is_scalar),
            loops.advance.eq(executes),
            refills.eq(executes & (is_loop | is_scalar | loops.at_end)),
            self.finished.eq(executing & is_end & self.idle),
            # An instruction that cannot execute holds the stages behind it, and the memory shows the same word again.
            moves.eq(~executing | executes),
            program.read_address.eq(Mux(moves, fetch_pc, decode_pc)),
            self.pc.eq(execute_pc),
        ]
        wrong = Signal()
        with m.If(decoding & moves & ~refills & ~self.halt):
            m.d.comb += self.pc.eq(decode_pc)
            with m.If(check != CHECK_VALUE):
                m.d.comb += self.bad_check.eq(1)
            with m.Elif(~known):
                m.d.comb += self.bad_opcode.eq(1)
            with m.Elif(is_kind(fetched, Loop) & loops.full):
                m.d.comb += self.deep_loop.eq(1)
            m.d.comb += wrong.eq(self.bad_check | self.bad_opcode | self.deep_loop)

        with m.If(moves):
            m.d.sync += [
                fetch_pc.eq(fetch_pc + 1),
                decode_pc.eq(fetch_pc),
                decoding.eq(fetching),
                execute_pc.eq(decode_pc),
                command.word.eq(fetched.word),
                executing.eq(decoding),
            ]
        with m.If(refills):
            m.d.sync += [fetch_pc.eq(loops.next_pc), fetching.eq(1), decoding.eq(0), executing.eq(0)]
        with m.If(self.go):
            m.d.sync += [fetch_pc.eq(0), fetching.eq(1)]
        with m.If(self.halt | self.finished | wrong):
            m.d.sync += [fetching.eq(0), decoding.eq(0), executing.eq(0)]
        return m


def _smaller(value, limit: int):
    """Return the smaller of an unsigned value and a constant, in as many bits as the constant needs."""
    return Mux(value > limit, limit, value[: limit.bit_length()])
