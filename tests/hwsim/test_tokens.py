"""Token counters: the pairs that are looked at tell whether any counter is above its limit, as the whole count does."""

import numpy as np
import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.isa import End, Loop, Scalar, decode
from hwsim.errors import MachineError
from hwsim.machine.time.result import _first_overflow, refuse_overflow
from hwsim.machine.time.work import work_of
from hwsim.machine.trace import run_control
from testbenches.random_program import random_program


def test_pairs_tell_what_a_whole_count_finds(seed: int) -> None:
    """Programs are random, and so are the times, also of runs that did not come to their end."""
    rng = np.random.default_rng(seed)
    config = load_engine("tiny")
    found = 0
    for number in range(seed, seed + 60):
        program = random_program(config, number, operations=3)
        body = [word for word in program.words[:-1] if not isinstance(decode(word), Loop | Scalar)]
        count = int(rng.integers(20, 120))
        words = [Loop(count=count, length=len(body)).encode(), *body, End().encode()]
        trace = run_control(words, position=program.registers[0], slot=program.registers[1])
        work = work_of(trace, config)
        for _ in range(4):
            times = np.zeros((4, len(trace)), dtype=np.int64)
            for unit in range(4):
                own = np.flatnonzero(trace.unit == unit)
                times[1, own] = np.sort(rng.integers(0, 20 * len(trace), len(own))) // int(rng.integers(1, 4))
                times[3, own] = times[1, own] + rng.integers(1, 50, len(own))
                if rng.random() < 0.2:
                    end = int(rng.integers(len(own) + 1))
                    times[1, own[end:]] = times[3, own[end:]] = -1
            index = _first_overflow(work.members, trace.header("wait"), trace.header("signal"), times[1], times[3])[0]
            if index < 0:
                refuse_overflow(trace, work, times)
                continue
            found += 1
            with pytest.raises(MachineError, match=rf"^Instruction {index} "):
                refuse_overflow(trace, work, times)
    print(f"{found} of 240 runs are refused")
    assert 20 <= found <= 220
