"""Exact points: fast as they are, they equal whole runs of what `lamforge.simulate` does."""

import dataclasses
from collections.abc import Collection

import numpy as np
import pytest

from compiler.pipeline import Request, compile_decode, compile_request
from hwsim.machine.time import repeats
from hwsim.memory.models import IDEAL, MemoryModel, hbm2
from lamforge.explore.exact import ExactPoint, exact, shape_of
from lamforge.explore.metrics import FIRST_TOKEN, PREFILL
from lamforge.flow.programs import Programs
from lamforge.flow.simulate import simulate_run
from tests.random_design import random_request


def whole_run(request: Request, memory: MemoryModel, *, asked: Collection[str]) -> ExactPoint:
    """Return a point by compiling everything for the engine as it is and playing every iteration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_MOST_DIFFERENT", 0)
        programs = Programs.of(compile_request(request), request.config.name)
        timing = simulate_run(programs, memory=memory)
        prefill = simulate_run(programs, "prefill", memory=memory) if PREFILL in asked else None
    return ExactPoint(
        cycles=timing.cycles,
        tokens=timing.tokens,
        token_per_s=timing.token_per_s,
        stream_bytes=timing.timeline.stream_bytes,
        side_bytes=timing.timeline.side_read_bytes + timing.timeline.side_write_bytes,
        fraction_of_peak=timing.fraction_of_peak,
        causes=dict(timing.causes["matrix"]),
        token_per_joule=timing.energy.token_per_joule,
        prefill_token_per_s=None if prefill is None else prefill.token_per_s,
        first_token_s=None,
    )


def assert_points_equal_whole_runs(rng: np.random.Generator, count: int) -> None:
    """Compare random designs, each with several clocks, queues, bursts and FIFOs and both memories."""
    for _ in range(count // 4):
        request = random_request(rng, layers=(2, 10))
        for _ in range(2):
            engine = dataclasses.replace(request.engine, clock_hz=float(rng.choice([1.5e8, 2e8, 2.25e8])))
            if rng.random() < 0.5:
                fetch = dataclasses.replace(engine.fetch, burst_beats=int(rng.choice([2, 4, 8])))
                control = dataclasses.replace(engine.control, queue_depth=int(rng.choice([4, 16, 64])))
                engine = dataclasses.replace(engine, fetch=fetch, control=control)
            request = dataclasses.replace(request, engine=engine)
            for memory in (IDEAL, hbm2(int(rng.integers(3000)))):
                asked = [PREFILL] if rng.random() < 0.2 else []
                found = exact(request, memory, asked=asked)
                expected = whole_run(request, memory, asked=asked)
                assert found == expected, f"{request}, {memory}"


def test_exact_points_equal_whole_runs(rng: np.random.Generator) -> None:
    assert_points_equal_whole_runs(rng, 200)


@pytest.mark.long
def test_many_exact_points_equal_whole_runs(rng: np.random.Generator) -> None:
    assert_points_equal_whole_runs(rng, 10_000)


def test_the_first_token_comes_after_every_run_of_its_prompt(rng: np.random.Generator) -> None:
    for _ in range(6):
        request = random_request(rng, layers=(2, 4))
        rows = int(rng.integers(1, request.engine.tile.rows_of(request.layers) + 1))
        request = dataclasses.replace(request, context=int(rng.integers(40, 120)), prefill_rows=rows)
        for memory in (IDEAL, hbm2(int(rng.integers(3000)))):
            programs = Programs.of(compile_request(request), request.config.name)
            rows, cycles, place = programs.prefill.positions, 0, 0
            while place + rows < request.context:
                cycles += request.batch * simulate_run(programs, "prefill", position=place, memory=memory).cycles
                place += rows
            for position in range(place, request.context):
                cycles += simulate_run(programs, position=position, memory=memory).cycles
            assert exact(request, memory, asked=[FIRST_TOKEN]).first_token_s == cycles / request.engine.clock_hz


def test_designs_of_one_shape_have_one_program(rng: np.random.Generator) -> None:
    for _ in range(5):
        request = random_request(rng, layers=(2, 6))
        assert compile_decode(request).words == compile_decode(shape_of(request)).words
        assert compile_decode(request).words == compile_request(request).decode.words


def test_a_shape_keeps_what_decides_a_program(rng: np.random.Generator) -> None:
    request = random_request(rng, layers=(2, 6))
    other = dataclasses.replace(request, window=request.window + 64)
    assert shape_of(other) != shape_of(request)
    assert compile_decode(other).words != compile_decode(request).words
