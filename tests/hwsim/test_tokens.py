"""Token counters: the pairs that are looked at tell whether any counter is above its limit, as the whole count does."""

import numpy as np
import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import End, Loop, Quant, Scalar, decode
from hwsim.errors import MachineError
from hwsim.machine.time import run_time
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


@pytest.mark.parametrize(("cycles", "expected"), [((900, 900), 126), ((900, 899), 127), ((899, 900), 126)])
def test_the_earliest_token_above_the_limit_is_named_and_of_equals_the_lowest_instruction(
    cycles: tuple[int, int], expected: int
) -> None:
    """FETCH and MATRIX signal VECTOR by turns, 64 times each; the last ones of both retire in `cycles`, first that of MATRIX."""
    members = np.full((len(Unit), 64), -1)
    members[Unit.FETCH], members[Unit.MATRIX] = np.arange(1, 128, 2), np.arange(0, 128, 2)
    signal, issue, retire = np.full(128, 1 << Unit.VECTOR), np.arange(128), np.arange(200, 328)
    retire[126:] = cycles
    unit = Unit.MATRIX if expected == 126 else Unit.FETCH
    assert _first_overflow(members, np.zeros(128, np.int64), signal, issue, retire) == (expected, unit, Unit.VECTOR)


def test_of_two_counters_above_the_limit_the_lower_is_named() -> None:
    quant = Quant(rows=1, source=0, stride=0, length=1, destination=0, scale=0, signal=1 << Unit.MATRIX | 1 << Unit.MOVER)
    with pytest.raises(MachineError, match="^Instruction 63 .* at most 63 tokens from VECTOR to MATRIX, not 64"):
        run_time(run_control([each.encode() for each in (Loop(count=64, length=1), quant, End())]), load_engine("tiny"))
