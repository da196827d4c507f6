"""The `hbm2` memory of the bench against the simulator's on scattered reads, and proof that a wrong time is caught."""

import dataclasses

import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.memory.hbm2 import LAW
from hwsim.memory.models import hbm2
from hwsim.memory.parameters import Hbm2Parameters, hbm2_parameters
from testbenches.compare import Verdict
from testbenches.random_program import scattered_program
from testbenches.verilated import Verilated
from tests.testbenches.test_random import verdict_on

SHIPPED = hbm2_parameters()
HARSH = dataclasses.replace(
    SHIPPED, t_faw=90, t_rrd_l=31, t_ccd_l=13, t_rtp=40, t_wr=60, t_wtr=60, t_turn=60, t_refi=1500, request=5, reply=4
)
"""Times that make every constraint bind now and then."""
TIMES = [name for name in LAW if name.startswith("t_") or name in ("request", "reply")]
FEW = ("t_rcd", "t_ccd_l", "t_rfc")


@pytest.fixture(scope="module")
def verilated() -> Verilated:
    """Return the smallest engine with the memory clocks of one that runs at the memory's pace: its Verilog is the same."""
    made = Verilated(load_engine("tiny"), optimize="-O2")
    made.build()
    made.engine = made.engine.with_values({"clock_hz": 900.0e6})
    return made


def verdict(
    verilated: Verilated, ours: Hbm2Parameters, theirs: Hbm2Parameters, seed: int, monkeypatch: pytest.MonkeyPatch
) -> Verdict:
    """Return the verdict on a program of scattered reads, the simulator with one set of times and the bench with another."""
    engine: EngineConfig = verilated.engine
    monkeypatch.setattr("hwsim.memory.models.hbm2_parameters", lambda: ours)
    monkeypatch.setattr(verilated, "hbm2", theirs)
    return verdict_on(verilated, engine, scattered_program(engine, seed), hbm2(seed * 700 % 3510))[0]


@pytest.mark.parametrize("parameters", [SHIPPED, HARSH])
def test_scattered_reads(verilated: Verilated, parameters: Hbm2Parameters, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    result = verdict(verilated, parameters, parameters, seed, monkeypatch)
    assert result.first is None
    assert (result.mismatches, result.cycle_difference) == (0, 0)
    assert result.instructions > 4 * 90


def assert_caught(verilated: Verilated, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for times in (HARSH, SHIPPED):
        broken = dataclasses.replace(times, **{name: getattr(times, name) + 1})
        for seed in range(3):
            result = verdict(verilated, times, broken, seed, monkeypatch)
            if result.cycle_difference:
                assert result.mismatches == 0
                return
    pytest.fail(f"{name} one clock longer in the bench must be seen")


@pytest.mark.parametrize("name", FEW)
def test_a_time_that_is_one_off_in_the_bench_is_caught(verilated: Verilated, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_caught(verilated, name, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in TIMES if name not in FEW])
def test_each_time_that_is_one_off_in_the_bench_is_caught(verilated: Verilated, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_caught(verilated, name, monkeypatch)
