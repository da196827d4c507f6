"""The fault campaign: no case hangs, each tells what happened, the next run is right; and broken error paths are caught."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import pytest

from compiler.model import compile_model
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import Format
from hwsim.memory.models import IDEAL, stalling
from testbenches.backend import Inputs, place
from testbenches.fault_cases import CASE_KINDS, FaultCase, FaultKind, FaultProgram, fault_case
from testbenches.fault_verdict import judge
from testbenches.faults import FaultBench, FaultOutcome
from testbenches.simulated import Simulated
from tests.random_model import random_model

WATCHDOG = 2000
SAMPLE = 5
"""Cases of each kind in `make test`."""
LONG = 80
"""Cases of each kind in the long run: over a thousand."""
CONTEXT = 32


@pytest.fixture(scope="module")
def engine() -> EngineConfig:
    return load_engine("tiny").with_values({"name": "tiny-faults", "control.watchdog_cycles": WATCHDOG})


@pytest.fixture(scope="module")
def bench(engine: EngineConfig) -> FaultBench:
    return FaultBench(engine)


@pytest.fixture(scope="module")
def programs(engine: EngineConfig, bench: FaultBench) -> list[FaultProgram]:
    """Return decode and prefill programs of two models, with the transfers of a run as the bench counts them."""
    made = []
    for number, format in enumerate((Format.W4, Format.W2S)):
        model = random_model(7 + number, format=format)
        compiled = compile_model(model, engine, context=CONTEXT)
        assert compiled.image is not None
        for program, position in ((compiled.decode, 0), (compiled.decode, 21), (compiled.prefill, 4)):
            rows = model.embedding.rows([5 + position + row for row in range(program.rows)])
            inputs = Inputs(position=position, rows=rows)
            machine = Simulated(engine)
            after, log = machine.run(program, compiled.image, inputs, IDEAL)
            stalled = {seed: machine.run(program, compiled.image, inputs, stalling(seed))[1].cycles for seed in (3, 1234, 99991)}
            made.append(
                FaultProgram(
                    words=program.words,
                    offset=program.buffer(f"program.{program.name}").offset,
                    position=position,
                    slot=program.slot_of(position),
                    before=place(engine, program, compiled.image, inputs),
                    after=after.image,
                    cycles=log.cycles,
                    stalled=stalled,
                )
            )
    outcomes = bench.run(made, [clean(number) for number in range(len(made))])
    assert faults_of(outcomes, made) == ()
    return [
        dataclasses.replace(program, reads=outcome.first.reads, writes=outcome.first.writes)
        for program, outcome in zip(made, outcomes, strict=True)
    ]


def clean(number: int) -> FaultCase:
    return FaultCase(seed=0, kind=FaultKind.NONE, program=number, next_program=number, stalls=None, next_stalls=3)


def faults_of(outcomes: Sequence[FaultOutcome], programs: Sequence[FaultProgram]) -> tuple[str, ...]:
    return tuple(sentence for outcome in outcomes for sentence in judge(outcome, programs, watchdog_cycles=WATCHDOG))


def campaign(programs: Sequence[FaultProgram], seed: int, count: int) -> list[FaultCase]:
    return [fault_case(programs, seed + number, kind) for number in range(count) for kind in CASE_KINDS]


def test_a_sample_of_every_kind(bench: FaultBench, programs: list[FaultProgram], seed: int) -> None:
    outcomes = bench.run(programs, campaign(programs, seed, SAMPLE))
    assert len(outcomes) == SAMPLE * len(CASE_KINDS)
    assert faults_of(outcomes, programs) == ()
