"""Iterations that are jumped over: every time equals that of a run which plays them all."""

from collections.abc import Iterator

import numpy as np
import pytest

from compiler.pipeline import Request, compile_request
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import End, Loop, Scalar, decode
from hwsim.errors import MachineError, ProgramError
from hwsim.machine.rules import check
from hwsim.machine.time import Timeline, repeats, run_time, run_work
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
