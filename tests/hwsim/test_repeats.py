"""Iterations that are jumped over: every time equals that of a run which plays them all."""

from collections.abc import Iterator

import numpy as np
import pytest

from compiler.pipeline import Request, compile_request
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import End, Loop, Scalar, decode
from hwsim.errors import MachineError, ProgramError
from hwsim.machine.time import Timeline, repeats, run_time
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
    """Return the trace of a random program that is repeated; its queues, FIFOs and tokens reach over many iterations."""
    program = random_program(config, seed, operations=1 + seed % 3)
    body = [word for word in program.words[:-1] if not isinstance(decode(word), Loop | Scalar)]
    words = [Loop(count=count, length=len(body)).encode(), *body, End().encode()]
    return run_control(words, position=program.registers[0], slot=program.registers[1])


def test_random_loops_that_jump_equal_ones_that_play_every_iteration(seed: int, jumps: list[int]) -> None:
    compared = 0
    for number in range(seed, seed + 60):
        config = load_engine("tiny").with_values(
            {"control.queue_depth": 2 << number % 6, "fetch.burst_beats": 4, "fetch.fifo_beats": 8 << number % 7}
        )
        try:
            trace = looped(config, number, 60)
            timeline = run_time(trace, config)
        except (MachineError, ProgramError):
            # Loops and scalars are left out, so that tokens need not come out even.
            continue
        compared += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repeats, "_MOST_DIFFERENT", 0)
            assert_equal(timeline, run_time(trace, config))
    print(f"{compared} of 60 loops run, {len(jumps)} of them jump")
    assert compared >= 20
    assert len(jumps) >= 10


def test_a_memory_that_does_not_answer_alike_is_played(rng: np.random.Generator, jumps: list[int]) -> None:
    request = random_request(rng)
    for memory in (HBM2, stalling(3)):
        run_time(trace_of(request, 256), request.engine, memory)
    assert not jumps
