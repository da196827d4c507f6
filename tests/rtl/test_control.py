"""Control against its law with units made of Python, what stops it and how it starts again."""

import dataclasses
import random

import pytest
from amaranth.sim import Simulator

from hwsim.arch import timing
from hwsim.arch.config import load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Dot, End, Fetch, Format, Function, Loop, Quant, Scalar, Store, decode
from hwsim.arch.registers import ErrorCode
from rtl.control import CLEAR_CYCLES, Control

TINY = load_engine("tiny").with_values({"control.watchdog_cycles": 600})
MASK = 0xFFFF_FFFF
LOAD_DELAY = 4
POSITION, SLOT = 0x8000_0123, 77


@dataclasses.dataclass
class Run:
    """What a run showed; cycles count from cycle 0."""

    dispatch: list = dataclasses.field(default_factory=list)
    issue: dict = dataclasses.field(default_factory=lambda: {unit: [] for unit in Unit})
    operands: list = dataclasses.field(default_factory=list)
    retire: dict = dataclasses.field(default_factory=lambda: {unit: [] for unit in Unit})
    done: int | None = None
    error: int = 0
    cycles: int = 0
    clear: list = dataclasses.field(default_factory=list)


def duration(word):
    """Return the cycles from issue to retirement that a stub unit takes for an instruction word."""
    instruction = decode(word)
    name = {Fetch: "beats", Dot: "inner", Quant: "length", Store: "beats"}[type(instruction)]
    return getattr(instruction, name)


def release(word):
    """Return the cycles from issue to the release of the stub: the matrix unit takes the next instruction earlier."""
    instruction = decode(word)
    return 1 + duration(word) // 3 if isinstance(instruction, Dot) else duration(word)


class Bench:
    """A control with stub units, a stub program reader and a memory that counts as quiet on demand."""

    def __init__(self, config=TINY):
        self.dut = Control(config)
        self.events = {}
        self.quiet = lambda cycle: True

    def run(self, *programs, limit=20000):
        """Run the programs one after the other; `events` maps (run, cycle) to inputs that are one in that cycle."""
        runs = []

        async def bench(ctx):
            for number, program in enumerate(programs):
                runs.append(await self._one(ctx, number, program, limit))

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        return runs

    async def _one(self, ctx, number, program, limit):
        dut, run = self.dut, Run()
        free = dict.fromkeys(Unit, -1)
        retiring = {unit: [] for unit in Unit}
        ctx.set(dut.program_words, len(program))
        ctx.set(dut.position, POSITION)
        ctx.set(dut.slot, SLOT)
        ctx.set(dut.quiet, 1)
        await ctx.tick()
        ctx.set(dut.start, 1)
        assert ctx.get(dut.load_start) == (len(program) > 0)
        beats = ctx.get(dut.load_beats)
        assert ctx.get(dut.trace_running) == 0
        for cycle in range(limit):
            await ctx.tick()
            assert ctx.get(dut.trace_cycle_start) == (cycle == 0)
            beat = cycle - LOAD_DELAY
            ctx.set(dut.load_valid, int(0 <= beat < beats))
            if 0 <= beat < beats:
                ctx.set(dut.load_data, program[beat])
                ctx.set(dut.load_last, int(beat == beats - 1))
            inputs = self.events.get((number, cycle), ())
            for name in ("read_error", "write_error", "drained"):
                ctx.set(getattr(dut, name), int(name in inputs))
            ctx.set(dut.quiet, int(self.quiet(cycle)))
            for unit in Unit:
                port = dut.units[unit]
                now = bool(retiring[unit]) and retiring[unit][0] == cycle
                ctx.set(port.retire, int(now))
                if now:
                    retiring[unit].pop(0)
                    run.retire[unit].append(cycle)
                issue = ctx.get(port.command_valid) and cycle > free[unit]
                ctx.set(port.issue, int(issue))
                if issue:
                    word = ctx.get(port.command.word)
                    run.issue[unit].append((cycle, word))
                    run.operands.append(((cycle, unit), tuple(ctx.get(port.command.operand[slot]) for slot in range(3))))
                    free[unit] = cycle + release(word)
                    last = retiring[unit][-1] if retiring[unit] else -1
                    retiring[unit].append(max(last + 1, cycle + duration(word)))
                # An error empties the stub as `clear` empties a unit.
                if ctx.get(dut.clear):
                    retiring[unit].clear()
            if ctx.get(dut.trace_dispatch):
                run.dispatch.append(cycle)
            if ctx.get(dut.clear):
                run.clear.append(cycle)
            if ctx.get(dut.done):
                run.done = cycle
                break
        await ctx.tick()
        ctx.set(dut.start, 0)
        for unit in Unit:
            ctx.set(dut.units[unit].retire, 0)
        run.error, run.cycles = ctx.get(dut.error), ctx.get(dut.cycles)
        for _ in range(3):
            await ctx.tick()
        return run


def signed(value):
    return value - (1 << 32) if value >> 31 else value


def evaluate(instruction, registers):
    """Return what a Scalar gives."""
    a, b = registers[instruction.registers[0]], registers[instruction.registers[1]] + instruction.immediate & MASK
    return {
        Function.ADD: a + b,
        Function.SUB: a - b,
        Function.MIN: min(a, b, key=signed),
        Function.MAX: max(a, b, key=signed),
        Function.MUL: a * b,
        Function.SHR: a >> b % 32,
        Function.WRAP: b if a == instruction.limit else a,
    }[instruction.function] & MASK


def unfold(program, registers, pc=0, end=None):
    """Yield the instructions as they execute, with their operand registers and whether they end a body; loops recursively."""
    in_body = end is not None
    end = len(program) if end is None else end
    while pc < end:
        instruction = program[pc]
        ends_body = in_body and pc == end - 1 and not isinstance(instruction, Loop)
        yield instruction, tuple(registers[number] for number in instruction.registers), ends_body
        if isinstance(instruction, Scalar) and instruction.target:
            registers[instruction.target] = evaluate(instruction, registers)
        pc += 1
        if isinstance(instruction, Loop):
            for _ in range(instruction.count):
                yield from unfold(program, registers, pc, pc + instruction.length)
            pc += instruction.length


def law(program, depth):
    """Return the cycles of dispatch, issue and retirement, the operands, and the cycles of the run."""
    last_beat = LOAD_DELAY + len(program) - 1
    registers = [0] * 16
    registers[1], registers[2] = POSITION, SLOT
    dispatch, operands = [], []
    issue, retire, free = ({unit: [] for unit in Unit} for _ in range(3))
    tokens = {(p, c): [] for p in Unit for c in Unit}
    execute, gap = last_beat, timing.REFILL_CYCLES
    for instruction, values, ends_body in unfold(program, registers):
        execute += gap
        unit = instruction.unit
        gap = timing.REFILL_CYCLES if unit is None or ends_body else 1
        if isinstance(instruction, End):
            execute = max([execute] + [r[-1] + 1 for r in retire.values() if r])
            return dispatch, issue, retire, operands, execute + 1
        if unit is None:
            continue
        if len(issue[unit]) >= depth:
            execute = max(execute, issue[unit][-depth][0] + 1)
        word = instruction.encode()
        start = max([execute + 1] + [f + 1 for f in free[unit][-1:]])
        for producer in Unit:
            if instruction.wait >> producer & 1 and producer != unit:
                start = max(start, tokens[producer, unit].pop(0) + 1)
        end = max(start + duration(word), retire[unit][-1] + 1 if retire[unit] else 0)
        dispatch.append(execute)
        issue[unit].append((start, word))
        operands.append(((start, unit), values))
        free[unit].append(start + release(word))
        retire[unit].append(end)
        for consumer in Unit:
            if instruction.signal >> consumer & 1 and consumer != unit:
                tokens[unit, consumer].append(end)
    raise AssertionError("Program must end")


def unit_instruction(rng, unit, **header):
    cycles = rng.choice((1, 2, 3, 9, 30))
    registers = tuple(rng.randrange(16) for _ in range(3))
    if unit == Unit.FETCH:
        return Fetch(offset=rng.randrange(1 << 32), beats=cycles, registers=registers, **header)
    if unit == Unit.MATRIX:
        return Dot(format=Format.W4, rows=1, source=0, inner=cycles, blocks=1, scale=0, address=0, registers=registers, **header)
    if unit == Unit.VECTOR:
        return Quant(rows=1, source=0, stride=0, length=cycles, destination=0, scale=0, registers=registers, **header)
    return Store(address=0, beats=cycles, offset=0, registers=registers, **header)


def scalar_instruction(rng):
    immediate = rng.choice((rng.randrange(-(1 << 31), 1 << 31), rng.randrange(-40, 40)))
    return Scalar(
        function=rng.choice(tuple(Function)),
        target=rng.randrange(16),
        immediate=immediate,
        limit=rng.choice((0, POSITION, SLOT)),
        registers=(rng.randrange(16), rng.randrange(16), 0),
    )


def random_body(rng, size, depth):
    """Return a program part whose waits are met inside it, so that it can repeat."""
    body, there = [], {(p, c): 0 for p in Unit for c in Unit}
    while len(body) < size:
        choice = rng.random()
        if choice < 0.25:
            body.append(scalar_instruction(rng))
        elif choice < 0.35 and depth < 4:
            inner = random_body(rng, rng.randrange(1, 5), depth + 1)
            # The body must not end where another one ends.
            body += [Loop(count=rng.randrange(1, 4), length=len(inner)), *inner, scalar_instruction(rng)]
        else:
            unit = rng.choice(tuple(Unit))
            wait = sum(1 << p for p in Unit if p != unit and there[p, unit] and rng.random() < 0.7)
            signal = sum(1 << c for c in Unit if c != unit and rng.random() < 0.3)
            for other in Unit:
                there[other, unit] -= wait >> other & 1
                there[unit, other] += signal >> other & 1
            # Bits of the own unit mean nothing.
            own = 1 << unit
            body.append(unit_instruction(rng, unit, wait=wait | rng.choice((0, own)), signal=signal | rng.choice((0, own))))
    return body


def words(program):
    return [instruction.encode() for instruction in program]


def check(run, program, depth=TINY.control.queue_depth):
    dispatch, issue, retire, operands, cycles = law(program, depth)
    assert run.error == 0
    assert run.dispatch == dispatch
    assert run.issue == issue
    assert run.retire == retire
    assert run.operands == sorted(operands)
    assert run.cycles == cycles
    assert run.done is not None and run.done >= cycles


@pytest.mark.parametrize("number", range(6))
def test_random_programs_follow_the_law(number):
    rng = random.Random(number)
    config = TINY.with_values({"control.queue_depth": rng.choice((2, 4, 8))})
    programs = [[*random_body(rng, 20, 0), End()] for _ in range(3)]
    runs = Bench(config).run(*map(words, programs))
    for run, program in zip(runs, programs, strict=True):
        check(run, program, config.control.queue_depth)


def test_a_full_queue_holds_dispatch_until_the_cycle_after_a_pop():
    rng = random.Random(1)
    program = [*(unit_instruction(rng, Unit.VECTOR) for _ in range(12)), End()]
    program = [dataclasses.replace(i, length=25) if isinstance(i, Quant) else i for i in program]
    (run,) = Bench().run(words(program))
    check(run, program)
    starts = [cycle for cycle, _ in run.issue[Unit.VECTOR]]
    assert run.dispatch[-1] == starts[-1 - TINY.control.queue_depth] + 1


@pytest.mark.parametrize("function", Function)
def test_scalar_functions(function):
    rng = random.Random(function)
    program = []
    edges = (0, 1, -1, -(1 << 31), (1 << 31) - 1)
    for _ in range(10):
        a, b = (rng.choice((*edges, rng.randrange(-(1 << 31), 1 << 31), rng.randrange(40))) for _ in range(2))
        program += [
            Scalar(function=Function.ADD, target=3, immediate=a),
            Scalar(function=Function.ADD, target=4, immediate=b),
            Scalar(function=function, target=5, registers=(3, 4, 0), limit=rng.choice((a, b)) & MASK),
            Fetch(offset=0, beats=1, registers=(5, 1, 2)),
        ]
    program.append(End())
    (run,) = Bench().run(words(program))
    check(run, program)


def test_loops_nest_four_deep_and_repeat_exactly():
    def fetch(n):
        return Fetch(offset=n, beats=1, registers=(3, 0, 0))

    step = Scalar(function=Function.ADD, target=3, immediate=1, registers=(3, 0, 0))
    program = [
        Loop(count=2, length=12),
        fetch(1),
        Loop(count=3, length=9),
        fetch(2),
        Loop(count=2, length=6),
        fetch(3),
        Loop(count=3, length=2),
        fetch(4),
        step,
        fetch(5),
        step,
        step,
        fetch(6),
        End(),
    ]
    (run,) = Bench().run(words(program))
    check(run, program)
    assert len(run.issue[Unit.FETCH]) == 2 * (1 + 3 * (1 + 2 * (1 + 3 + 1)) + 1)


def test_an_empty_program_of_end_takes_the_fewest_cycles():
    (run,) = Bench().run(words([End()]))
    assert (run.error, run.cycles) == (0, LOAD_DELAY + 3 + 1)


GOOD = [
    Fetch(offset=0, beats=3, signal=1 << Unit.MATRIX),
    Dot(format=Format.W4, rows=1, source=0, inner=9, blocks=1, scale=0, address=0, wait=1 << Unit.FETCH),
    End(),
]
LONG = Quant(rows=1, source=0, stride=0, length=500, destination=0, scale=0)
STORE = Store(address=0, beats=1, offset=0)

STOPS = {
    "bad check byte": ([STORE.encode(), End().encode() ^ 1 << 60], ErrorCode.BAD_CHECK, 1),
    "unknown opcode": (
        [STORE.encode(), STORE.encode(), dataclasses.replace(End()).encode() ^ 0x0D << 120 ^ 0x0D],
        ErrorCode.BAD_OPCODE,
        2,
    ),
    "loop too deep": (words([Loop(count=1, length=9 - i) for i in range(5)] + [STORE] * 9 + [End()]), ErrorCode.DEEP_LOOP, 4),
    "no end": (words([STORE, STORE]), ErrorCode.BAD_CHECK, 2),
    "no words": ([], ErrorCode.BAD_CHECK, 0),
    "too many words": (words([STORE] * 300), ErrorCode.BAD_CHECK, 256),
    "deadlock": (words([STORE, dataclasses.replace(STORE, wait=1), End()]), ErrorCode.WATCHDOG, 2),
    "endless loop": (
        words([Loop(count=65535, length=1), Scalar(function=Function.ADD, target=1), End()]),
        ErrorCode.WATCHDOG,
        None,
    ),
    "tokens": (
        words([Loop(count=64, length=1), dataclasses.replace(STORE, signal=1 << Unit.VECTOR), End()]),
        ErrorCode.TOKEN_OVERFLOW,
        Unit.MOVER * 4 + Unit.VECTOR,
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_errors_name_themselves_and_the_next_run_is_clean(name):
    program, code, detail = STOPS[name]
    first, second = Bench().run(program, words(GOOD))
    assert first.error & 0xFF == code
    if detail is not None:
        assert first.error >> 8 == detail
    assert len(first.clear) == CLEAR_CYCLES and first.done == first.clear[-1]
    check(second, GOOD)


def test_the_watchdog_counts_from_the_last_retirement_or_drained_word():
    bench = Bench()
    bench.events = {(0, 300): ("drained",)}
    (run,) = bench.run(words([dataclasses.replace(STORE, wait=1), End()]))
    assert run.error == ErrorCode.WATCHDOG | 1 << 8
    assert run.cycles == 300 + TINY.control.watchdog_cycles + 3


@pytest.mark.parametrize("inputs", ["read_error", "write_error"])
def test_bus_errors_stop_the_engine_once_the_bus_is_quiet(inputs):
    bench = Bench()
    bench.events = {(0, 40): (inputs,), (0, 44): ("read_error",)}
    bench.quiet = lambda cycle: cycle < 30 or cycle > 90
    program = [LONG, LONG, *([STORE] * 8), End()]
    first, second = bench.run(words(program), words(GOOD))
    assert first.error == (ErrorCode.READ_RESPONSE if inputs == "read_error" else ErrorCode.WRITE_RESPONSE)
    assert first.clear[0] == 93
    assert max(first.dispatch) <= 41 and all(cycle <= 41 for cycle, _ in first.issue[Unit.VECTOR])
    check(second, GOOD)


def test_a_bus_that_never_ends_does_not_hide_the_error():
    bench = Bench()
    bench.events = {(0, 40): ("read_error",)}
    bench.quiet = lambda cycle: cycle < 30
    (run,) = bench.run(words([LONG, End()]))
    assert run.error == ErrorCode.READ_RESPONSE
    assert run.done == 43 + TINY.control.watchdog_cycles and run.clear == []
