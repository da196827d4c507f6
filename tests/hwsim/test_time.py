"""The time model against a machine stepped cycle by cycle, its causes against their sums, and its refusals."""

import dataclasses
import itertools
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Append, Axpy, Dot, End, Fetch, Format, Load, Loop, Quant, Store
from hwsim.arch.timing import CODE_LATENCY, EPILOGUE_LATENCY, MATRIX_LATENCY, MEASURE_LATENCY
from hwsim.errors import MachineError, ProgramError
from hwsim.machine.time import Cause, Timeline, run_time
from hwsim.machine.time.result import _causes
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL, MemoryKind, MemoryModel, hbm2, stalling
from hwsim.memory.parameters import hbm2_parameters
from reports.documents.chrome_trace import chrome_trace
from testbenches.random_program import RandomProgram, random_program, scattered_program
from tests.hwsim.slow_hbm2 import slow_hbm2_ports
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


QUANT = {"rows": 1, "source": 0, "stride": 0, "length": 1, "destination": 0, "scale": 0}
DOT = {"format": Format.W4, "rows": 1, "source": 0, "inner": 2, "blocks": 1, "scale": 0, "address": 0}
MATRIX, VECTOR = 1 << Unit.MATRIX, 1 << Unit.VECTOR


def slow_machine(program: RandomProgram, config: EngineConfig, memory: MemoryModel) -> SlowMachine:
    is_hbm2, is_stalling = memory.kind is MemoryKind.HBM2, memory.kind is MemoryKind.STALLING
    ports = slow_hbm2_ports(config, hbm2_parameters(), memory.seed) if is_hbm2 else None
    return SlowMachine(program.words, config, memory.seed if is_stalling else None, *program.registers, ports=ports)


def assert_equal_times(
    config: EngineConfig, seed: int, memory: MemoryModel, make: Callable[..., RandomProgram] = random_program
) -> None:
    program = make(config, seed)
    position, slot = program.registers
    slow = slow_machine(program, config, memory)
    cycles = slow.run()
    assert cycles is not None, f"seed {seed}: the slow machine stands still"
    trace = run_control(program.words, position=position, slot=slot)
    timeline = run_time(trace, config, memory)
    theirs = [(e["pc"], int(e["word"].unit), e["dispatch"], e["issue"], e["retire"]) for e in slow.log]
    columns = (timeline.pc, timeline.unit, timeline.dispatch, timeline.issue, timeline.retire)
    ours = list(zip(*(column.tolist() for column in columns), strict=True))
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert one == other, f"seed {seed}, memory {memory}: {trace.name(index)}: ours {one}, slow {other}"
    assert timeline.release.tolist() == [e["release"] for e in slow.log]
    assert timeline.cycles == cycles
    assert timeline.causes.tolist() == slow_causes(slow.log, cycles)
    assert timeline.causes.sum(axis=1).tolist() == [cycles] * 4
    assert (timeline.stream_bytes, timeline.side_read_bytes, timeline.side_write_bytes) == slow_bytes(slow, config)


def slow_causes(log: list[dict[str, Any]], cycles: int) -> list[list[int]]:
    """Return the cycles of each unit by cause, as `Cause` says, from the cycles of its instructions."""
    queues = [[entry for entry in log if entry["word"].unit == unit] for unit in Unit]
    found = []
    for unit, queue in zip(Unit, queues, strict=True):
        causes, free, taken = dict.fromkeys(Cause, 0), -1, dict.fromkeys(Unit, 0)
        for entry in queue:
            came: dict[Cause, int] = {}
            for other in Unit:
                if entry["word"].wait >> other & 1:
                    given = [each["retire"] for each in queues[other] if each["word"].signal >> unit & 1]
                    came[Cause[f"ON_{other.name}"]] = given[taken[other]]
                    taken[other] += 1
            for cycle in range(free + 1, entry["release"] + 1):
                if cycle <= entry["dispatch"] or cycle == entry["issue"]:
                    causes[Cause.CONTROL] += 1
                elif cycle > entry["issue"]:
                    causes[Cause.COMPUTE] += 1
                elif max(came.values(), default=-1) < entry["issue"] - 1:
                    causes[Cause.MEMORY] += 1
                else:
                    causes[min(cause for cause in came if came[cause] == max(came.values()))] += 1
            for cause in (Cause.MEMORY, Cause.DRAIN):
                causes[cause] += entry.get(cause.name.lower(), 0)
                causes[Cause.COMPUTE] -= entry.get(cause.name.lower(), 0)
            free = entry["release"]
        causes[Cause.CONTROL] += cycles - 1 - free
        found.append([causes[cause] for cause in Cause])
    return found


def test_of_tokens_that_come_together_the_lowest_unit_is_charged(rng: np.random.Generator) -> None:
    """Cycles out of so few that many are equal: every unit's second instruction waits for the first ones of the three others."""
    for _ in range(50):
        log: list[dict[str, Any]] = []
        for number, unit in enumerate([*Unit, *Unit]):
            is_late = number >= len(Unit)
            words = {"wait": 15 & ~(1 << unit) if is_late else 0, "signal": 0 if is_late else 15 & ~(1 << unit), "unit": unit}
            dispatch = (100 if is_late else 0) + int(rng.integers(3))
            came = max(each["retire"] for each in log[:4] if each["word"].unit != unit) if is_late else 0
            issue = max(dispatch + 1, came + 1 + int(rng.integers(2)))
            cycles = {"dispatch": dispatch, "issue": issue, "release": issue + 3, "retire": int(rng.integers(100, 106))}
            log.append({"word": SimpleNamespace(**words), **cycles})
        times = np.array([[entry[name] for entry in log] for name in ("dispatch", "issue", "release", "retire")])
        partner = np.full((8, 4), -1)
        for number in range(4):
            partner[4 + number] = [other if other != number else -1 for other in range(4)]
        units, waits = np.array([*range(4), *range(4)]), np.zeros((8, 3), np.int64)
        waits[[1, 5], 0] = 3
        assert _causes(units, partner, times, waits, 200).tolist() == slow_causes(log, 200)


def slow_bytes(slow: SlowMachine, config: EngineConfig) -> tuple[int, int, int]:
    """Return bytes of the streams, read at the side port and written there: words of 16, and an append's parameters of 4."""
    beats, read, written = 0, 16 * len(slow.words), 0
    for entry in slow.log:
        word = entry["word"]
        if isinstance(word, Fetch):
            beats += slow.value(entry, "beats")
        elif isinstance(word, Load):
            read += 16 * word.beats
        elif isinstance(word, Store):
            written += 16 * word.beats
        elif isinstance(word, Append):
            written += 16 * 2**word.segments + 4
    return beats * config.tile.beat_bytes, read, written


@pytest.mark.parametrize("memory", ["ideal", "stalling", "hbm2"])
@pytest.mark.parametrize("engine", ENGINES)
def test_times_equal_the_slow_machine(engine: str, memory: str, rng: np.random.Generator) -> None:
    for _ in range(4 if memory != "hbm2" else 2):
        seed = int(rng.integers(1 << 30))
        model = {"ideal": IDEAL, "stalling": stalling(seed % 1000), "hbm2": hbm2(seed % 5000)}[memory]
        assert_equal_times(ENGINES[engine], seed, model)


@pytest.mark.parametrize("memory", [IDEAL, stalling(5)])
def test_first_fetches_of_every_length_and_place(memory: MemoryModel) -> None:
    """FIFOs of 8 beats and bursts of 4, which the first fetch begins anywhere in and fills, or goes on behind what is popped."""
    for offset, beats, start in itertools.product(range(4), (1, 4, 5, 8, 9, 10, 13), (0, 60)):
        if start and (offset % 3 or memory.kind is not MemoryKind.IDEAL):
            continue
        mix = {"rows": 1, "source": 0, "segments": 0, "scale": 0, "address": 0, "stride": 0}
        wait = [Quant(**QUANT | {"length": start}, signal=MATRIX)] if start else []
        program = [*wait, Fetch(offset=offset, beats=beats), Axpy(beats=beats + 6, **mix, wait=VECTOR if start else 0)]
        program += [Fetch(offset=offset + 2, beats=6), Fetch(offset=2, beats=5), Axpy(beats=5, **mix), End()]
        words = [each.encode() for each in program]
        assert_equal_times(
            ENGINES["tiny-shallow"], 0, memory, lambda config, seed, words=words: RandomProgram(words, *[None] * 2, (0, 0))
        )


@pytest.mark.parametrize("memory", [IDEAL, stalling(5), hbm2(0)])
def test_a_fetch_that_fills_the_fifos_ends_and_one_beat_more_does_not(memory: MemoryModel) -> None:
    config = ENGINES["tiny"]

    def run(offset: int, beats: int) -> Timeline:
        return run_time(run_control([Fetch(offset=offset, beats=beats).encode(), End().encode()]), config, memory)

    for offset in (0, 1, config.fetch.burst_beats - 1):
        assert run(offset, config.fetch.fifo_beats).stream_bytes == config.fetch.fifo_beats * config.tile.beat_bytes
        with pytest.raises(MachineError, match="FETCH waits for room in the stream FIFOs for ever"):
            run(offset, config.fetch.fifo_beats + 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"clock_hz": 300.0e6, "tile.port_bits": 512, "fetch.burst_beats": 64, "fetch.fifo_beats": 128},
        {"clock_hz": 611_953_001, "tile.ports": 2},
        {"clock_hz": 1.0e6},
        {"clock_hz": 225.0e6, "tile.port_bits": 512, "fetch.fifo_beats": 4096, "fetch.burst_beats": 2},
    ],
)
def test_times_under_hbm2_at_other_clocks(settings: dict[str, object], rng: np.random.Generator) -> None:
    """Beats slower than cycles, pages inside bursts, clocks without a common divisor, and a deep FIFO."""
    seed = int(rng.integers(1 << 30))
    for make in (random_program, scattered_program):
        assert_equal_times(ENGINES["tiny"].with_values(settings), seed, hbm2(seed % 5000), make)


@pytest.mark.parametrize("engine", ENGINES)
def test_times_of_scattered_reads_under_hbm2(engine: str, seed: int) -> None:
    fast = ENGINES[engine].with_values({"clock_hz": 900.0e6})
    for config in (ENGINES[engine], fast):
        assert_equal_times(config, seed, hbm2(seed % 5000), scattered_program)


@pytest.mark.parametrize("name", ["t_rcd", "t_rfc", "reply"])
def test_a_memory_time_that_is_one_off_is_seen_in_programs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = dataclasses.replace(hbm2_parameters(), **{name: getattr(hbm2_parameters(), name) + 1})
    monkeypatch.setattr("hwsim.memory.models.hbm2_parameters", lambda: broken)
    with pytest.raises(AssertionError):
        for seed in range(4):
            assert_equal_times(ENGINES["tiny"], seed, hbm2(0), scattered_program)


def timeline_of(*program: object, engine: str = "tiny") -> Timeline:
    return run_time(run_control([item.encode() for item in program]), ENGINES[engine])


def test_an_empty_program() -> None:
    timeline = timeline_of(End())
    assert (timeline.loaded, timeline.cycles) == (32, 36)
    assert timeline.causes[:, Cause.CONTROL].tolist() == [36] * 4


def test_one_product_by_hand() -> None:
    timeline = timeline_of(Fetch(offset=0, beats=4), Dot(**DOT), End())
    # Three words: last beat in cycle 34, dispatch 37 and 38, issue 38, acceptance 39, first beat 71, popped from 73 on.
    assert timeline.dispatch.tolist() == [37, 38]
    assert timeline.issue.tolist() == [38, 39]
    assert timeline.retire.tolist() == [40, 76 + 1 + MATRIX_LATENCY + EPILOGUE_LATENCY]
    assert timeline.cycles == timeline.retire[1] + 2
    assert timeline.cause(Unit.MATRIX, Cause.COMPUTE) == 4
    assert timeline.cause(Unit.MATRIX, Cause.MEMORY) == 73 - 40
    assert timeline.stream_bytes == 64
    assert timeline.side_read_bytes == 48


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (
            (Fetch(offset=0, beats=3), Dot(**DOT), End()),
            "Instruction 1 (Dot, pc 1) must retire, but MATRIX waits for beats of the streams for ever",
        ),
        (
            (Fetch(offset=0, beats=40), End()),
            "Instruction 0 (Fetch, pc 0) must retire, but FETCH waits for room in the stream FIFOs for ever",
        ),
        (
            (Quant(**QUANT, wait=8), Quant(**QUANT), End()),
            "Instruction 0 (Quant, pc 0) must retire, but VECTOR waits for a token from MOVER for ever",
        ),
        (
            (Quant(**QUANT, wait=3), Fetch(offset=0, beats=0, wait=4, signal=4), Dot(**DOT, wait=4), End()),
            "Instruction 0 (Quant, pc 0) must retire, but VECTOR waits for a token from FETCH and MATRIX for ever",
        ),
        (
            (
                *[Fetch(offset=0, beats=0, signal=VECTOR)] * 2,
                *[Quant(**QUANT, wait=1)] * 2,
                Load(space=0, address=0, beats=1, offset=0, signal=VECTOR),
                *[Quant(**QUANT, wait=8)] * 2,
                End(),
            ),
            "Instruction 6 (Quant, pc 6) must retire, but VECTOR waits for a token from MOVER for ever",
        ),
        (
            (Loop(count=64, length=1), Quant(**QUANT, signal=2), End()),
            "Instruction 63 (Quant, pc 1) must leave at most 63 tokens from VECTOR to MATRIX, not 64, when it"
            # Eight rows begin in every third cycle from 42 on, each later one when the codes of the eighth before it end.
            f" retires in cycle {42 + 3 * 7 + 8 * (1 + MEASURE_LATENCY + 1) + CODE_LATENCY}",
        ),
    ],
)
def test_standstills_and_overflows(program: tuple[object, ...], text: str) -> None:
    with pytest.raises(MachineError) as refusal:
        timeline_of(*program)
    assert str(refusal.value) == text


def test_a_full_queue_holds_control() -> None:
    with pytest.raises(MachineError, match=r"Instruction 0 .* a token from MOVER for ever"):
        timeline_of(Quant(**QUANT, wait=8), *[Quant(**QUANT)] * 5, Load(space=0, address=0, beats=1, offset=0, signal=4), End())


def test_63_tokens_are_allowed() -> None:
    timeline_of(Loop(count=63, length=1), Quant(**QUANT, signal=2), End())


def test_an_instruction_without_a_signal_leaves_the_count_as_it_is() -> None:
    with pytest.raises(
        MachineError, match=r"^Instruction 64 \(Quant, pc 2\) must leave at most 63 tokens from VECTOR to MATRIX, not 64"
    ):
        timeline_of(Quant(**QUANT), Loop(count=64, length=1), Quant(**QUANT, signal=2), End())


def test_a_token_is_taken_when_its_instruction_issues() -> None:
    """Of 64 tokens the first is gone long before the product that took it releases its unit."""
    product = Dot(**{**DOT, "blocks": 100}, wait=4)
    timeline = timeline_of(Fetch(offset=0, beats=325), product, Loop(count=64, length=1), Quant(**QUANT, signal=2), End())
    assert timeline.issue[1] < timeline.retire[-1] < timeline.release[1]


def test_too_long_a_program_is_refused() -> None:
    with pytest.raises(ProgramError, match="^Program must have at most 256 words, not 257$"):
        timeline_of(*[End()] * 257)


def test_chrome_trace_has_a_lane_for_each_unit() -> None:
    timeline = timeline_of(Loop(count=2, length=2), Fetch(offset=0, beats=4), Dot(**DOT), End())
    trace = json.loads(json.dumps(chrome_trace(timeline, ["", "fetch {}", "dot {}", ""], 225e6)))
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert [event["name"] for event in events] == ["load program", "fetch 0", "dot 0", "fetch 1", "dot 1"]
    # Perfetto reads microseconds: at 225 MHz 225 cycles.
    assert all(event["ts"] * 225 == pytest.approx(event["args"]["start"]) for event in events)
    assert all(event["dur"] * 225 == pytest.approx(event["args"]["cycles"]) for event in events)
    lanes = {event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
    assert lanes == {"FETCH", "MATRIX", "VECTOR", "MOVER", "CONTROL"}
    for lane in range(4):
        spans = sorted(
            (event["args"]["start"], event["args"]["start"] + event["args"]["cycles"]) for event in events if event["tid"] == lane
        )
        assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))
