"""The time model against a machine stepped cycle by cycle, its causes against their sums, and its refusals."""

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.machine.time import run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL, stalling
from testbenches.random_program import random_program
from tests.hwsim.slow_machine import SlowMachine

ENGINES = {
    "tiny": load_engine("tiny"),
    "tiny-shallow": load_engine("tiny").with_values(
        {"control.queue_depth": 2, "fetch.burst_beats": 4, "fetch.fifo_beats": 8, "tile.tokens": 3}
    ),
    "two-ports": load_engine("tiny").with_values({"tile.ports": 2, "fetch.burst_beats": 4, "fetch.fifo_beats": 16}),
    "small": load_engine("small"),
    "wide": load_engine("tiny").with_values(
        {"tile.ports": 4, "tile.port_bits": 512, "vector.lanes": 8, "tile.tokens": 4, "buffer.result_words": 1024}
    ),
}


def assert_equal_times(config: EngineConfig, seed: int, memory_seed: int | None) -> None:
    program = random_program(config, seed)
    position, slot = program.registers
    slow = SlowMachine(program.words, config, memory_seed, position, slot)
    cycles = slow.run()
    assert cycles is not None, f"seed {seed}: the slow machine stands still"
    trace = run_control(program.words, position=position, slot=slot)
    timeline = run_time(trace, config, IDEAL if memory_seed is None else stalling(memory_seed))
    theirs = [(e["pc"], int(e["word"].unit), e["dispatch"], e["issue"], e["retire"]) for e in slow.log]
    columns = (timeline.pc, timeline.unit, timeline.dispatch, timeline.issue, timeline.retire)
    ours = list(zip(*(column.tolist() for column in columns), strict=True))
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert one == other, f"seed {seed}, memory {memory_seed}: {trace.name(index)}: ours {one}, slow {other}"
    assert timeline.cycles == cycles
    assert (timeline.causes >= 0).all()
    assert timeline.causes.sum(axis=1).tolist() == [cycles] * 4


@pytest.mark.parametrize("memory", ["ideal", "stalling"])
@pytest.mark.parametrize("engine", ENGINES)
def test_times_equal_the_slow_machine(engine: str, memory: str, rng: np.random.Generator) -> None:
    for _ in range(4):
        seed = int(rng.integers(1 << 30))
        assert_equal_times(ENGINES[engine], seed, None if memory == "ideal" else seed % 1000)
