"""Iterations that are jumped over: every time equals that of a run which plays them all."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from compiler.pipeline import Request, compile_request
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import End, Fetch, Function, Load, Loop, Quant, Scalar, Store, decode
from hwsim.arch.timing import MOVER_WRITES
from hwsim.errors import MachineError, ProgramError
from hwsim.machine.rules import check
from hwsim.machine.time import Timeline, repeats, run_time, run_work
from hwsim.machine.time.compute import CODES_END, FREE_FROM, OLDEST, ROWS, STARTED
from hwsim.machine.time.ports import ACCEPTED, POPPED
from hwsim.machine.time.state import EXECUTED, State, start_state
from hwsim.machine.time.work import Work, work_of
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import HBM2, IDEAL, MemoryModel, stalling
from testbenches.random_program import random_program
from tests.random_design import random_request

ARRAYS = ("dispatch", "issue", "release", "retire", "memory", "drain", "causes")


@pytest.fixture
def jumps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Return the iterations that runs jump over, in the order of the jumps."""
    counts: list[int] = []
    jump = repeats._jump

    def counted(loop: repeats._Loop, end: int, count: int, *rest: object) -> None:
        counts.append(count)
        jump(loop, end, count, *rest)

    monkeypatch.setattr(repeats, "_jump", counted)
    return counts


def trace_of(request: Request, position: int) -> Trace:
    program = compile_request(request).decode
    return run_control(program.words, position=position, slot=program.slot_of(position))


def played(trace: Trace, request: Request, memory: MemoryModel) -> Timeline:
    """Return the times of a run that plays every iteration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_MOST_DIFFERENT", 0)
        return run_time(trace, request.engine, memory)


def assert_equal(one: Timeline, other: Timeline) -> None:
    assert one.cycles == other.cycles
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_run_that_jumps_equals_one_that_plays_every_iteration(rng: np.random.Generator, jumps: list[int]) -> None:
    for _ in range(12):
        request = random_request(rng, layers=(20, 30))
        trace = trace_of(request, int(rng.integers(256)))
        assert_equal(run_time(trace, request.engine), played(trace, request, IDEAL))
    assert len(jumps) >= 6, f"of 12 loops {len(jumps)} were jumped over"
    assert sum(jumps) > 20


def looped(config: EngineConfig, seed: int, count: int) -> Trace:
    """Return the trace of a random program that is repeated, and goes on after its loop; queues, FIFOs and tokens reach far."""
    program = random_program(config, seed, operations=1 + seed % 3)
    # Loops and scalars are left out: every iteration is the same work.
    body = [word for word in program.words[:-1] if not isinstance(decode(word), Loop | Scalar)]
    words = [Loop(count=count, length=len(body)).encode(), *body * 5, End().encode()]
    return run_control(words, position=program.registers[0], slot=program.registers[1])


def slowed(work: Work, where: slice, rng: np.random.Generator, most_words: int) -> Work:
    """Return the work with more and longer rows, and row blocks that drain longer, in some instructions of `where`."""
    amount = work.amount.copy()
    for unit, column, most in ((Unit.VECTOR, 0, 6), (Unit.VECTOR, 1, 60), (Unit.VECTOR, 2, 60), (Unit.MATRIX, 4, 600)):
        some = np.flatnonzero((work.unit[where] == unit) & (rng.random(len(work.unit[where])) < 0.5)) + where.start
        amount[some, column] += rng.integers(0, most, len(some))
    amount[:, 1] = np.where(work.unit == Unit.VECTOR, np.minimum(amount[:, 1], most_words), amount[:, 1])
    return work._replace(amount=amount)


def test_random_loops_that_jump_equal_ones_that_play_every_iteration(seed: int, jumps: list[int]) -> None:
    """Programs are random, and so is what comes before, within and after the iterations that are jumped over."""
    rng = np.random.default_rng(seed)
    compared = 0
    for number in range(seed, seed + 400):
        config = load_engine("tiny").with_values(
            {
                "control.queue_depth": 2 << int(rng.integers(6)),
                "fetch.burst_beats": 4,
                "fetch.fifo_beats": 8 << int(rng.integers(8)),
                "buffer.result_words": 32 << int(rng.integers(5)),
            }
        )
        try:
            trace = looped(config, number, 80)
            check(trace, config)
            work = work_of(trace, config)
            first, length = trace.longest_loop or (0, 1)
            middle = first + length * int(rng.integers(80))
            slower = (slice(0, 0), slice(0, first), slice(middle, middle + length), slice(first, first + length))[number % 4]
            work = slowed(work, slower, rng, config.temporary_words)
            if number % 4 == 3:
                # Every iteration is as slow as the first of them.
                loop = slice(first, first + (len(trace) - first) // length * length)
                work.amount[loop] = np.resize(work.amount[slower], work.amount[loop].shape)
            timeline = run_work(trace, work, config, IDEAL)
        except (MachineError, ProgramError):
            # Loops and scalars are left out, so that tokens need not come out even.
            continue
        compared += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repeats, "_MOST_DIFFERENT", 0)
            assert_equal(timeline, run_work(trace, work, config, IDEAL))
    print(f"{compared} of 400 loops run, {len(jumps)} of them jump")
    assert compared >= 100
    assert len(jumps) >= 50


def test_a_memory_that_does_not_answer_alike_is_played(rng: np.random.Generator, jumps: list[int]) -> None:
    request = random_request(rng)
    for memory in (HBM2, stalling(3)):
        run_time(trace_of(request, 256), request.engine, memory)
    assert not jumps


STEP = Scalar(function=Function.ADD, target=3, immediate=1, registers=(3, 0, 0))
QUANT = Quant(rows=1, source=0, stride=0, length=1, destination=0, scale=0)
NOTHING = Fetch(offset=0, beats=0)
LOAD = Load(space=0, address=0, beats=1, offset=0)


def loop_of(*program: Instruction, depth: int = 2, burst: int = 4, slower: int | None = None) -> tuple[int, int, int, int] | None:
    """Return first instruction, length, count and reach of the loop; the instruction `slower` has a beat or word more."""
    trace = run_control([each.encode() for each in (*program, End())])
    work = work_of(trace, load_engine("tiny"))
    if slower is not None:
        work.amount[slower, 1] += 1
    found = repeats._loop_of(trace, work, depth, burst)
    return found and (found.first, found.length, found.count, found.reach)


@pytest.mark.parametrize(("step", "expected"), [(8, (1, 1, 9, 2)), (2, (1, 2, 4, 1)), (1, (1, 4, 2, 1)), (4, (1, 1, 9, 2))])
def test_iterations_are_taken_together_until_bursts_are_cut_alike(step: int, expected: tuple[int, ...]) -> None:
    """Of ten fetches the first stands apart; bursts are 4 beats long, and 8 take more iterations than are tried together."""
    advance = dataclasses.replace(STEP, immediate=step)
    loop = Loop(count=10, length=2), Fetch(offset=3, beats=4, registers=(3, 0, 0)), advance
    assert loop_of(*loop) == expected
    if step % 4 == 0:
        assert loop_of(Loop(count=3, length=2), *loop[1:]) == (1, 1, 2, 2)
    assert (loop_of(*loop, burst=8) is None) == (step == 1)
    assert loop_of(*loop, slower=7) == ((1, 1, 6, 2) if step % 4 == 0 else (1, 2, 3, 1) if step == 2 else None)


def test_a_store_may_go_anywhere_and_two_iterations_are_enough() -> None:
    store = Store(address=0, beats=1, offset=0, registers=(3, 0, 0))
    assert loop_of(Loop(count=10, length=2), store, STEP) == (1, 1, 9, MOVER_WRITES)
    assert loop_of(Loop(count=3, length=1), QUANT) == (1, 1, 2, 2)
    assert loop_of(Loop(count=2, length=1), QUANT) is None


def test_reach_goes_back_to_what_a_queue_a_response_or_a_token_is_waited_for() -> None:
    for depth, reach in ((2, MOVER_WRITES), (16, 16)):
        assert loop_of(Loop(count=40, length=1), LOAD, depth=depth) == (1, 1, 39, reach)
    # A queue of three goes back into the iteration before the last.
    assert loop_of(Loop(count=40, length=2), QUANT, QUANT, depth=3) == (2, 2, 39, 2)
    # The first instruction of all counts too: its place in the queue, and its token.
    assert loop_of(QUANT, *[NOTHING] * 20, Loop(count=30, length=1), QUANT) == (22, 1, 29, 22)
    given, taken = dataclasses.replace(NOTHING, signal=1 << Unit.VECTOR), dataclasses.replace(QUANT, wait=1 << Unit.FETCH)
    assert loop_of(given, *[QUANT] * 20, taken, Loop(count=30, length=1), QUANT) == (23, 1, 29, 21)


def test_states_are_alike_only_with_the_same_beats_and_rows_in_flight() -> None:
    """Of 8 places in the rings beats 10 .. 13 wait; of the vector unit's rows 3 .. 5 are in flight."""

    def state() -> State:
        found = start_state(1, 8)
        found.control[EXECUTED] = 100
        found.streams[[POPPED, ACCEPTED]] = 10, 14
        found.vector[[OLDEST, STARTED, FREE_FROM, CODES_END]] = 3, 6, 150, 190
        found.vector[ROWS:] = 120
        found.ready[:], found.pops[:] = 130, 110
        return found

    times = np.full((4, 2), 140)
    known = repeats._later(state(), times)

    def changes(name: str, place: int) -> bool:
        other = state()
        getattr(other, name)[place] += 1
        return not np.array_equal(repeats._later(other, times), known)

    assert [changes("pops", place) for place in range(8)] == [True] * 8
    assert [place for place in range(8) if changes("ready", place)] == [10 % 8, 11 % 8, 12 % 8, 13 % 8]
    rows = len(state().vector) - ROWS
    assert [place for place in range(rows) if changes("vector", ROWS + place)] == [6, 7, 8, 9, 10, 11]
    assert changes("vector", FREE_FROM)
    assert changes("vector", CODES_END)
    # All that is over by the last dispatch is alike, and so is all that is as far from it.
    past, later = state(), state()
    past.pops[2] = 100
    before = repeats._later(past, times)
    past.pops[2] = 20
    assert np.array_equal(repeats._later(past, times), before)
    assert not np.array_equal(before, known)
    for values in (later.pops, later.ready, later.arrival, later.vector[[FREE_FROM, CODES_END]]):
        values += 7
    later.control[EXECUTED] += 7
    later.vector[[FREE_FROM, CODES_END]] += 7
    later.vector[ROWS + 1 :: 2] += 7
    assert np.array_equal(repeats._later(later, times + 7), known)
