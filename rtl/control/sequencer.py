"""The sequencer: a short pipeline that runs the program memory, with its stack of loops and its scalar registers."""

import functools
import operator

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import CHECK_VALUE, WORD_BITS, Unit
from hwsim.arch.isa import INSTRUCTIONS, REGISTER_POSITION, REGISTER_SLOT, REGISTERS, End, Function, Loop, Scalar
from rtl.arithmetic import HalfProducts
from rtl.interfaces import COMMAND, address_bits, field, header, is_kind
from rtl.ram import Ram

__all__ = ["LOOP_DEPTH", "PC_BITS", "LoopStack", "ScalarRegisters", "Sequencer"]

LOOP_DEPTH = 4
"""Loops that can be open at once."""
PC_BITS = 14
"""Bits of a program counter: the largest program memory and the longest body beyond it fit."""

_BODY = data.StructLayout({"start": PC_BITS, "end": PC_BITS, "remaining": Loop.field("count").width})


class LoopStack(wiring.Component):
    """Open loops.

    `advance` says that the instruction at `pc` executes and `next_pc` where to go on; with `push` that instruction is
    a Loop with `count` and `length`. `at_end`: the instruction at `pc`, unless it is a Loop, ends the innermost body.
    `full` says that one more push would not fit.
    """

    pc: In(PC_BITS)
    advance: In(1)
    push: In(1)
    count: In(Loop.field("count").width)
    length: In(Loop.field("length").width)
    next_pc: Out(PC_BITS)
    at_end: Out(1)
    full: Out(1)
    clear: In(1)

    def elaborate(self, platform):
        m = Module()
        # The top is always element 0, so that the comparison with `end` needs no multiplexer.
        stack = [Signal(_BODY, name=f"body_{level}") for level in range(LOOP_DEPTH)]
        depth = Signal(range(LOOP_DEPTH + 1))
        top = stack[0]
        following = Signal(PC_BITS)
        m.d.comb += [
            following.eq(self.pc + 1),
            self.next_pc.eq(following),
            self.at_end.eq((depth != 0) & (self.pc == top.end)),
            self.full.eq(depth == LOOP_DEPTH),
        ]
        with m.If(self.advance):
            with m.If(self.push):
                m.d.sync += [
                    top.start.eq(following),
                    top.end.eq(self.pc + self.length),
                    top.remaining.eq(self.count),
                    depth.eq(depth + 1),
                ]
                m.d.sync += [below.eq(above) for above, below in zip(stack, stack[1:], strict=False)]
            with m.Elif(self.at_end):
                with m.If(top.remaining > 1):
                    m.d.sync += top.remaining.eq(top.remaining - 1)
                    m.d.comb += self.next_pc.eq(top.start)
                with m.Else():
                    m.d.sync += depth.eq(depth - 1)
                    m.d.sync += [above.eq(below) for above, below in zip(stack, stack[1:], strict=False)]
        with m.If(self.clear):
            m.d.sync += depth.eq(0)
        return m


class ScalarRegisters(wiring.Component):
    """Registers; `operand` holds those that the operand slots of `word` name.

    `execute` in cycle x runs the Scalar in `word`; its result is in the register from x + 3 on, when the
    next instruction can execute. `start` loads the arguments and zeroes the rest.
    """

    word: In(COMMAND["word"].shape)
    operand: Out(data.ArrayLayout(32, 3))
    execute: In(1)
    start: In(1)
    position: In(32)
    slot: In(32)

    def elaborate(self, platform):
        m = Module()
        registers = Array(Signal(32, name=f"register_{number}") for number in range(REGISTERS))
        for slot in range(3):
            m.d.comb += self.operand[slot].eq(registers[header(self.word, f"register{slot}")])

        command = Signal(COMMAND)
        m.d.comb += command.word.eq(self.word)
        a, b, limit, result = (Signal(32, name=name) for name in ("a", "b", "limit", "result"))
        function = Signal(Scalar.field("function").width)
        target = Signal(Scalar.field("target").width)
        executed = Signal()
        # Three steps: sums, the function, the register: a product does not wait for a sum, nor a register for a product.
        m.d.sync += [
            executed.eq(self.execute),
            a.eq(self.operand[0]),
            b.eq(self.operand[1] + field(command, Scalar, "immediate")),
            limit.eq(field(command, Scalar, "limit")),
            function.eq(field(command, Scalar, "function")),
            target.eq(field(command, Scalar, "target")),
        ]
        a_is_less = a.as_signed() < b.as_signed()
        with m.Switch(function):
            with m.Case(Function.ADD):
                m.d.comb += result.eq(a + b)
            with m.Case(Function.SUB):
                m.d.comb += result.eq(a - b)
            with m.Case(Function.MIN, Function.MAX):
                with m.If(a_is_less == (function == Function.MIN)):
                    m.d.comb += result.eq(a)
                with m.Else():
                    m.d.comb += result.eq(b)
            with m.Case(Function.MUL):
                # The product of halves, which are added on the way to the register.
                m.d.comb += result.eq(0)
            with m.Case(Function.SHR):
                m.d.comb += result.eq(a >> b[:5])
            with m.Case(Function.WRAP):
                with m.If(a == limit):
                    m.d.comb += result.eq(b)
                with m.Else():
                    m.d.comb += result.eq(a)
            with m.Default():
                m.d.comb += result.eq(a)
        written, multiplied, written_target, kept = Signal(), Signal(), Signal.like(target), Signal.like(result)
        product = HalfProducts(m, a.as_signed(), b, "product")
        m.d.sync += [
            written.eq(executed & (target != 0)),
            multiplied.eq(function == Function.MUL),
            written_target.eq(target),
            kept.eq(result),
        ]
        with m.If(written):
            m.d.sync += registers[written_target].eq(Mux(multiplied, product.total[:32], kept))
        with m.If(self.start):
            m.d.sync += [register.eq(0) for register in registers]
            m.d.sync += registers[REGISTER_POSITION].eq(self.position)
            m.d.sync += registers[REGISTER_SLOT].eq(self.slot)
        return m


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
        m.submodules.program = program = Ram(depth=self.program_words, lanes=1, lane_bits=WORD_BITS + 3)
        m.submodules.loops = loops = LoopStack()
        m.submodules.scalar = scalar = ScalarRegisters()
        m.d.comb += [
            program.write_enable.eq(self.load_valid),
            program.write_address.eq(self.load_address),
            loops.clear.eq(self.start),
            scalar.start.eq(self.start),
            scalar.position.eq(self.position),
            scalar.slot.eq(self.slot),
        ]
        # The program counters of the three stages: fetch (address), decode (word from the memory), execute (`command`).
        fetch_pc, decode_pc, execute_pc = (Signal(PC_BITS, name=f"{name}_pc") for name in ("fetch", "decode", "execute"))
        fetching = Signal()
        decoding, executing, moves, refills = (Signal(name=name) for name in ("decoding", "executing", "moves", "refills"))

        # What is wrong with a word is found when it is loaded and kept beside it, so that it need not be found when it is fetched.
        loaded, fetched = Signal(COMMAND), Signal(COMMAND)
        check = functools.reduce(operator.xor, (loaded.word[i : i + 8] for i in range(0, WORD_BITS, 8)))
        known = Cat(is_kind(loaded, kind) for kind in INSTRUCTIONS).any()
        m.d.comb += [
            loaded.word.eq(self.load_data),
            program.write_data.eq(Cat(loaded.word, check == CHECK_VALUE, known, is_kind(loaded, Loop))),
            fetched.word.eq(program.read_data[:WORD_BITS]),
        ]
        is_checked, is_known, opens_loop = program.read_data[WORD_BITS:]
        # Past its end the program reads as a word whose check byte is wrong: running off the end names itself.
        limit = self.program_words
        words = Signal(range(limit + 1))
        inside = Signal()
        m.d.sync += words.eq(Mux(self.words > limit, limit, self.words))

        command = Signal(COMMAND)
        m.d.comb += [scalar.word.eq(command.word), command.operand.eq(scalar.operand), self.entry.eq(command)]
        # What an instruction is, decoded a cycle before it executes.
        is_loop, is_scalar, is_end = (Signal(name=f"is_{name}") for name in ("loop", "scalar", "end"))
        target = Signal(len(Unit))
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
            with m.If(~(inside & is_checked)):
                m.d.comb += self.bad_check.eq(1)
            with m.Elif(~is_known):
                m.d.comb += self.bad_opcode.eq(1)
            with m.Elif(opens_loop & loops.full):
                m.d.comb += self.deep_loop.eq(1)
            m.d.comb += wrong.eq(self.bad_check | self.bad_opcode | self.deep_loop)

        with m.If(moves):
            m.d.sync += [
                fetch_pc.eq(fetch_pc + 1),
                decode_pc.eq(fetch_pc),
                inside.eq(fetch_pc < words),
                decoding.eq(fetching),
                execute_pc.eq(decode_pc),
                command.word.eq(fetched.word),
                *(flag.eq(is_kind(fetched, kind)) for flag, kind in ((is_loop, Loop), (is_scalar, Scalar), (is_end, End))),
                target.eq(Cat(Cat(is_kind(fetched, kind) for kind in INSTRUCTIONS if kind.unit == unit).any() for unit in Unit)),
                executing.eq(decoding),
            ]
        with m.If(refills):
            m.d.sync += [fetch_pc.eq(loops.next_pc), fetching.eq(1), decoding.eq(0), executing.eq(0)]
        with m.If(self.go):
            m.d.sync += [fetch_pc.eq(0), fetching.eq(1)]
        with m.If(self.halt | self.finished | wrong):
            m.d.sync += [fetching.eq(0), decoding.eq(0), executing.eq(0)]
        return m
