"""The fault campaign: no case hangs, each tells what happened, the next run is right; and broken error paths are caught."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from compiler.model import compile_model
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import Format
from hwsim.arch.program import MemoryImage
from hwsim.host.inputs import Inputs, place
from hwsim.machine.meaning import run_meaning
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL, stalling
from rtl.control.errors import ErrorRegister
from rtl.control.unit import Control
from testbenches.fault_cases import CASE_KINDS, FaultCase, FaultKind, FaultProgram, fault_case
from testbenches.faults import FaultBench, FaultOutcome, RunRecord, judge
from testbenches.random_program import random_program
from testbenches.simulated import Simulated
from tests.formal.mutants import mutant
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


def assert_sound(bench: FaultBench, programs: Sequence[FaultProgram], cases: Sequence[FaultCase]) -> None:
    outcomes = bench.run(programs, cases)
    assert len(outcomes) == len(cases)
    assert not any(outcome.has_hung for outcome in outcomes)
    found = faults_of(outcomes, programs)
    assert not found, "\n".join(found)
    ended = Counter((outcome.case.kind.value, outcome.first.error & 0xFF) for outcome in outcomes)
    print(f"{len(outcomes)} cases, none hung; by kind and error code: {sorted(ended.items())}")


def test_a_sample_of_every_kind(bench: FaultBench, programs: list[FaultProgram], seed: int) -> None:
    assert_sound(bench, programs, campaign(programs, seed, SAMPLE))


@pytest.mark.long
def test_a_thousand_cases(bench: FaultBench, programs: list[FaultProgram], seed: int) -> None:
    cases = campaign(programs, seed, LONG)
    assert len(cases) >= 1000
    assert_sound(bench, programs, cases)


def test_cases_repeat(programs: list[FaultProgram]) -> None:
    for kind in CASE_KINDS:
        assert fault_case(programs, 5, kind) == fault_case(programs, 5, kind)
        assert fault_case(programs, 5, kind) != fault_case(programs, 6, kind)


def left_over(
    engine: EngineConfig, program: tuple[int, ...], registers: tuple[int, int], image: MemoryImage, seed: int | None
) -> MemoryImage:
    """Return memory after a program on an engine whose on-chip memories hold zeros, or what a seed draws."""
    image = image.copy()
    trace = run_control(program, position=registers[0], slot=registers[1])
    run_meaning(trace, engine, image.ports, image.side, leftovers=None if seed is None else np.random.default_rng(seed))
    return image


def test_the_programs_need_nothing_of_earlier_runs(engine: EngineConfig, programs: list[FaultProgram]) -> None:
    """And there are programs that do: random ones, which the campaign cannot use."""
    for each in programs:
        for seed in (None, 1, 2):
            after = left_over(engine, each.words, (each.position, each.slot), each.before, seed)
            assert np.array_equal(after.ports, each.after.ports)
            assert np.array_equal(after.side, each.after.side)
    made = random_program(engine, 0, operations=4)
    before = MemoryImage(ports=made.ports, side=made.side)
    zeros, drawn = (left_over(engine, tuple(made.words), made.registers, before, seed) for seed in (None, 1))
    assert not (np.array_equal(zeros.ports, drawn.ports) and np.array_equal(zeros.side, drawn.side))


BROKEN = {
    "the error is not kept": (
        ErrorRegister,
        "m.d.sync += self.value.eq(found)",
        "m.d.sync += self.value.eq(0)",
        "error register of the first run must be ",
    ),
    "queues are not cleared": (Control, "queue.clear.eq(self.clear)", "queue.clear.eq(0)", "of the next run must be "),
}

SHORT_BROKEN = "queues are not cleared"


LONG_BROKEN = [pytest.param(name, marks=pytest.mark.long) for name in BROKEN if name != SHORT_BROKEN]


# Each is a build of its own: one always, the other in the long run.
@pytest.mark.parametrize("name", [SHORT_BROKEN, *LONG_BROKEN])
@pytest.mark.usefixtures("altered_circuit")
def test_a_broken_error_path_is_caught(
    name: str, engine: EngineConfig, programs: list[FaultProgram], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, text, changed, sentence = BROKEN[name]
    monkeypatch.setattr(kind, "elaborate", mutant(kind, text, changed).elaborate)
    kinds = (FaultKind.READ_ERROR, FaultKind.BAD_CHECK)
    cases = [fault_case(programs, seed, each) for seed in range(4) for each in kinds]
    outcomes = FaultBench(engine, optimize="-O0").run(programs, cases)
    found = faults_of(outcomes, programs)
    assert any(sentence in each for each in found), found
    assert all(each.startswith("Case ") and " of seed " in each for each in found)


def outcome_of(case: FaultCase, program: FaultProgram, **changes: object) -> FaultOutcome:
    """Return the outcome of a case without a fault, with fields of the first run changed."""
    run = RunRecord(
        done=1,
        done_again=0,
        start=0,
        idle=1,
        interrupt=0,
        error=0,
        cycles=program.cycles,
        wrong_bytes=0,
        silence=10,
        reads=program.reads,
        writes=program.writes,
    )
    first = dataclasses.replace(run, **changes)
    following = dataclasses.replace(run, cycles=program.stalled[3])
    return FaultOutcome(case=case, has_hung=False, first=first, next=following)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"done": 0}, "ap_done of the first run must be 1, not 0"),
        ({"done_again": 1}, "ap_done of the first run, read again must be 0, not 1"),
        ({"start": 1}, "ap_start after the first run must be 0, not 1"),
        ({"idle": 0}, "ap_idle after the first run must be 1, not 0"),
        ({"interrupt": 1}, "interrupt after the first run must be 0, not 1"),
        ({"error": 4}, "error register of the first run must be 0, not 4"),
        ({"cycles": 1}, "cycles of the first run must be "),
        ({"wrong_bytes": 3}, "wrong bytes of the first run must be 0, not 3"),
    ],
)
def test_every_sign_of_a_fault_is_judged(programs: list[FaultProgram], changes: dict[str, object], sentence: str) -> None:
    assert judge(outcome_of(clean(0), programs[0]), programs, watchdog_cycles=WATCHDOG) == ()
    found = judge(outcome_of(clean(0), programs[0], **changes), programs, watchdog_cycles=WATCHDOG)
    assert len(found) == 1
    assert sentence in found[0]


def test_a_hang_and_a_wrong_standstill_are_judged(programs: list[FaultProgram]) -> None:
    outcome = outcome_of(clean(0), programs[0])
    hung = dataclasses.replace(outcome, has_hung=True)
    assert "every run must end, not hang" in judge(hung, programs, watchdog_cycles=WATCHDOG)[0]
    stuck = dataclasses.replace(clean(0), kind=FaultKind.LOST_TOKEN, error=6)
    early = outcome_of(stuck, programs[0], error=6, silence=900)
    found = judge(early, programs, watchdog_cycles=WATCHDOG)
    assert found
    assert "standstill before the watchdog must be 1994 to 2000 cycles, not 900" in found[0]
    late = outcome_of(stuck, programs[0], error=0, silence=2001)
    assert any("stand still for at most 2000 cycles, not 2001" in each for each in judge(late, programs, watchdog_cycles=WATCHDOG))
