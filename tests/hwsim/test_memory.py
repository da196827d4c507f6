"""The memory models: the gap sequence, its rate, and names."""

import numpy as np
import pytest

from hwsim.arch.timing import STALL_RATE
from hwsim.errors import ConfigError
from hwsim.memory.models import IDEAL, first_open, gap, memory_model, stalling
from tests.hwsim.slow_machine import slow_gap


def test_gaps_are_those_of_the_contract(rng: np.random.Generator) -> None:
    for _ in range(2000):
        seed, port = (int(rng.integers(high)) for high in (1 << 31, 65))
        channel, cycle = int(rng.integers(5)), int(rng.integers(1 << 33))
        assert gap(seed, port, channel, cycle) == slow_gap(seed, port, channel, cycle)


def test_gaps_come_at_the_stated_rate_and_differ_between_channels() -> None:
    held = np.array([[gap(5, port, channel, cycle) for cycle in range(4000)] for port in (0, 1) for channel in (0, 1)])
    assert (np.abs(held.mean(axis=1) - STALL_RATE / 256) < 0.03).all()
    assert len(np.unique(held, axis=0)) == 4


def test_first_open() -> None:
    assert first_open(int(IDEAL.kind), 0, 0, 0, 17) == 17
    cycle = next(c for c in range(1000) if slow_gap(3, 1, 0, c) and slow_gap(3, 1, 0, c + 1))
    after = next(c for c in range(cycle, cycle + 100) if not slow_gap(3, 1, 0, c))
    assert first_open(int(stalling(3).kind), 3, 1, 0, cycle) == after


@pytest.mark.parametrize("text", ["ideal", "stalling:7", "stalling:0", "hbm2", "hbm2:12"])
def test_names(text: str) -> None:
    assert str(memory_model(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", "Memory model must be ideal, stalling, stalling:SEED, hbm2 or hbm2:SEED, not 'fast'"),
        ("stalling:x", "Memory model must be ideal, stalling, stalling:SEED, hbm2 or hbm2:SEED, not 'stalling:x'"),
        (f"stalling:{1 << 31}", f"Memory seed must be 0 to {(1 << 31) - 1}, not {1 << 31}"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        memory_model(text)
    assert str(refusal.value) == message
