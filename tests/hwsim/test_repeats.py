"""Iterations that are jumped over: every time equals that of a run which plays them all."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from compiler.pipeline import Request, compile_request
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import CacheFormat, End, Format, Loop, Scalar, decode
from hwsim.errors import MachineError, ProgramError
from hwsim.machine.time import Timeline, repeats, run_time
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import HBM2, IDEAL, MemoryModel, stalling
from models.zoo import shape
from testbenches.random_program import random_program

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


def random_request(rng: np.random.Generator) -> Request:
    """Return a network of several layers on an engine whose queues, bursts and FIFOs are of random sizes."""
    model = dataclasses.replace(
        shape("smollm2-135m"), layers=int(rng.integers(8, 20)), ffn=int(rng.choice([512, 576, 1536])), vocab=512
    )
    settings = {
        "control.queue_depth": int(rng.choice([4, 8, 64])),
        "fetch.burst_beats": int(rng.choice([2, 4, 8])),
        "fetch.fifo_beats": int(rng.choice([16, 64, 512])),
        "tile.ports": int(rng.choice([4, 8, 16])),
        "vector.lanes": int(rng.choice([8, 16])),
    }
    return Request(
        config=model,
        layers=Format[str(rng.choice(["W2", "W2S", "W4", "W8"]))],
        head=Format.W4,
        cache=CacheFormat[str(rng.choice(["KV4", "KV8"]))],
        sinks=4,
        window=int(rng.integers(60, 250)),
        engine=load_engine("u280").with_values(settings),
        context=512,
        prefill_rows=2,
    )


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
        request = random_request(rng)
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
