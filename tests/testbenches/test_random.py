"""Random programs on the simulator and on the Verilog: every bit and every cycle, under random stalls."""

from collections.abc import Iterator

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import CacheFormat
from hwsim.arch.program import INSTRUCTION_BYTES, MemoryImage, Program
from hwsim.errors import ScheduleError
from hwsim.machine.meaning import run_meaning
from hwsim.machine.time import run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL, MemoryModel, hbm2, stalling
from rtl.verilog import generate
from testbenches.compare import Verdict, compare_logs
from testbenches.random_program import RandomProgram, random_program, scattered_program
from testbenches.simulated import log_of
from testbenches.verilated import Run, Verilated

_PROGRAM_AT = 1 << 19

CONFIGURATIONS: dict[str, dict[str, object]] = {
    "tiny": {},
    "one-row": {"tile.tokens": 1, "fetch.burst_beats": 2, "fetch.fifo_beats": 8, "control.queue_depth": 2},
    "two-ports": {"tile.ports": 2, "tile.port_bits": 256, "tile.tokens": 3, "tile.nibble_tokens": 3},
    "wide-vector": {"tile.ports": 2, "tile.port_bits": 128, "vector.lanes": 8, "tile.tokens": 2},
    "wide-port": {"tile.port_bits": 512, "tile.tokens": 4, "fetch.burst_beats": 16, "control.queue_depth": 8},
    "many-slices": {"tile.ports": 4, "tile.port_bits": 512, "vector.lanes": 8, "tile.tokens": 1, "fetch.fifo_beats": 64},
    "narrow-drain": {"tile.ports": 4, "tile.port_bits": 256, "vector.lanes": 4, "tile.tokens": 3},
    "widest-vector": {"tile.ports": 2, "tile.port_bits": 256, "vector.lanes": 16, "tile.tokens": 2},
}
SEEDS_EACH = 26
"""Programs for each of the eight configurations in the long run: 208 triples."""
HBM2_SEEDS_EACH = 8
"""Programs of each kind for each configuration under `hbm2`."""


def verdict_on(verilated: Verilated, engine: EngineConfig, made: RandomProgram, memory: MemoryModel) -> tuple[Verdict, int]:
    """Return the verdict on a random program, and the bytes of memory that differ after it."""
    side = np.zeros(1 << 20, np.uint8)
    side[: len(made.side)] = made.side
    code = np.frombuffer(b"".join(word.to_bytes(INSTRUCTION_BYTES, "little") for word in made.words), np.uint8)
    side[_PROGRAM_AT : _PROGRAM_AT + len(code)] = code
    image = MemoryImage(ports=made.ports, side=side)
    position, slot = made.registers
    run = Run(program=_PROGRAM_AT, words=len(made.words), position=position, slot=slot)
    after, answers, logs = verilated.execute(image, [run], memory, limit_cycles=1_000_000)
    assert answers[0]["error"] == 0
    trace = run_control(made.words, position=position, slot=slot)
    ours = image.copy()
    _, results = run_meaning(trace, engine, ours.ports, ours.side, has_log=True)
    expected = log_of(trace, run_time(trace, engine, memory), results, engine.vector.lanes)
    program = Program(
        name="random",
        words=tuple(made.words),
        symbols=("random",) * len(made.words),
        buffers=(),
        rows=1,
        sequences=1,
        caches=1,
        input_row_bytes=0,
        sinks=0,
        window=1,
        ring_start=0,
        max_position=1,
        isa="",
        engine="",
        weights="",
    )
    verdict = compare_logs(program, engine, expected, logs[0], ("simulator", "Verilog"))
    return verdict, int((ours.ports != after.ports).sum() + (ours.side != after.side).sum())


@pytest.fixture(scope="module")
def machines() -> Iterator[dict[str, tuple[EngineConfig, Verilated]]]:
    """Return engines and their Verilog by configuration, built when first asked for."""
    built: dict[str, tuple[EngineConfig, Verilated]] = {}
    yield built


def machine(machines: dict[str, tuple[EngineConfig, Verilated]], name: str) -> tuple[EngineConfig, Verilated]:
    if name not in machines:
        engine = load_engine("tiny").with_values({"name": name} | CONFIGURATIONS[name])
        machines[name] = engine, Verilated(engine, optimize="-O2" if name == "tiny" else "-O0")
    return machines[name]


@pytest.mark.parametrize("number", range(6))
def test_random_programs(machines: dict[str, tuple[EngineConfig, Verilated]], number: int) -> None:
    engine, verilated = machine(machines, "tiny")
    verdict, bytes_wrong = verdict_on(verilated, engine, random_program(engine, number), stalling(number))
    assert verdict.first is None
    assert (verdict.mismatches, verdict.cycle_difference, bytes_wrong) == (0, 0, 0)
    assert verdict.compared > 0


@pytest.mark.parametrize("number", range(3))
def test_random_programs_under_hbm2(machines: dict[str, tuple[EngineConfig, Verilated]], number: int, seed: int) -> None:
    engine, verilated = machine(machines, "tiny")
    made = random_program(engine, seed + number)
    verdict, bytes_wrong = verdict_on(verilated, engine, made, hbm2((seed + number) * 997 % 3510))
    assert verdict.first is None
    assert (verdict.mismatches, verdict.cycle_difference, bytes_wrong) == (0, 0, 0)
    assert verdict.compared > 0


@pytest.mark.parametrize("number", [0, 1, *(pytest.param(number, marks=pytest.mark.long) for number in range(2, 8))])
def test_random_programs_with_a_cache_of_8_bits(
    machines: dict[str, tuple[EngineConfig, Verilated]], number: int, seed: int
) -> None:
    """On an engine of four slices: the smallest has one, and a token of 8-bit values takes two."""
    engine, verilated = machine(machines, "wide-port")
    made = random_program(engine, seed + number, operations=20, cache=CacheFormat.KV8)
    for memory in (IDEAL, stalling(number), hbm2((seed + number) * 997 % 3510)):
        verdict, bytes_wrong = verdict_on(verilated, engine, made, memory)
        assert verdict.first is None
        assert (verdict.mismatches, verdict.cycle_difference, bytes_wrong) == (0, 0, 0)
        assert verdict.compared > 0


def test_a_cache_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ScheduleError, match=r"^Cache of a random program must fit an engine of 1 slices a token, not be KV8$"):
        random_program(load_engine("tiny"), 0, cache=CacheFormat.KV8)


@pytest.mark.long
def test_wrong_words_are_seen() -> None:
    """In co-simulation words are wrong that are read in the cycle of their write; here those too that are read in the next."""
    engine = load_engine("tiny")
    sources = dict(generate(engine))
    text = "write_enable[lane] && write_address == read_address ?"
    late = "was_written && written == read_address ?"
    registers = """\
            reg was_written;
            reg [ADDRESS_BITS-1:0] written;
            always @(posedge clk) {was_written, written} <= {write_enable[lane], write_address};
"""
    assert sources["ram.v"].count(text) == 1
    ram = (
        sources["ram.v"]
        .replace(text, f"{text[:-2]} || {late}")
        .replace("            integer i;\n", registers + "            integer i;\n")
    )
    verilated = Verilated(engine, optimize="-O0", sources=sources | {"ram.v": ram})
    verdict, bytes_wrong = verdict_on(verilated, engine, random_program(engine, 0), stalling(0))
    assert verdict.mismatches > 0
    assert bytes_wrong > 0


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_configurations(machines: dict[str, tuple[EngineConfig, Verilated]], name: str, seed: int) -> None:
    engine, verilated = machine(machines, name)
    for number in range(seed, seed + SEEDS_EACH):
        made = random_program(engine, number, operations=20)
        verdict, bytes_wrong = verdict_on(verilated, engine, made, stalling(number & 0x7FFFFFFF))
        assert verdict.first is None, f"configuration {name}, program and stall seed {number}: {verdict.first}"
        assert (verdict.mismatches, verdict.cycle_difference, bytes_wrong) == (0, 0, 0), f"{name}, seed {number}"


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_configurations_under_hbm2(machines: dict[str, tuple[EngineConfig, Verilated]], name: str, seed: int) -> None:
    engine, verilated = machine(machines, name)
    for number in range(seed, seed + HBM2_SEEDS_EACH):
        for made in (random_program(engine, number, operations=20), scattered_program(engine, number)):
            verdict, bytes_wrong = verdict_on(verilated, engine, made, hbm2(number * 997 % 3510))
            assert verdict.first is None, f"configuration {name}, program {number}: {verdict.first}"
            assert (verdict.mismatches, verdict.cycle_difference, bytes_wrong) == (0, 0, 0), f"{name}, seed {number}"
