"""What a run does, counted for the energy estimate: against a count instruction by instruction in plain Python."""

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Axpy, Destination, Dot, Format, KvQuant, Norm, Quant, Rope, Softmax, SwiGlu
from hwsim.machine.energy import load_constants
from hwsim.machine.energy.activity import Operations, activity_of, operations_of
from hwsim.machine.time import Cause, run_time
from hwsim.machine.trace import Trace, run_control
from testbenches.random_program import random_program

ENGINES = {
    "tiny": load_engine("tiny"),
    "small": load_engine("small"),
    "wide": load_engine("tiny").with_values({"tile.ports": 4, "tile.port_bits": 512, "vector.lanes": 16, "tile.tokens": 4}),
}


def counted(trace: Trace, config: EngineConfig) -> Operations:
    """Return the operations of a trace, one instruction after the other, as docs/engine.md says what each does."""
    beats = drained = added = read = passed = values = 0
    lanes, slices = config.vector.lanes, config.tile.slices

    def field(index: int, kind: type, name: str) -> int:
        return int(trace.values(kind, name, np.array([index]))[0])

    for kind in (Dot, Axpy, Norm, Quant, SwiGlu, Rope, Softmax, KvQuant):
        for index in trace.rows_of(kind).tolist():
            rows = 1 if kind is KvQuant else field(index, kind, "rows")
            if kind is Dot:
                inner, blocks = field(index, kind, "inner"), field(index, kind, "blocks")
                # Cycles with data: of 32 inputs in 4 bits, 16 in 8, 64 in two bits, two cycles where all are kept.
                cycles = {Format.W8: 2 * inner, Format.KV8: 2 * inner, Format.W2S: inner // 2}
                beats += rows * blocks * cycles.get(Format(field(index, kind, "format")), inner)
                words = rows * blocks * max(slices // lanes, 1)
                drained += words
                added += words if field(index, kind, "destination") != Destination.RESULT else 0
            elif kind is Axpy:
                beats += rows * field(index, kind, "beats")
                drained += rows * config.mixed_words
            else:
                is_softmax = kind is Softmax
                words = (
                    field(index, kind, "sink_words") + field(index, kind, "ring_words")
                    if is_softmax
                    else field(index, kind, "length")
                )
                # What the first pass has computed is written, and read by each other pass.
                sources = {Norm: 2, Quant: 1, SwiGlu: 2, Rope: 3, Softmax: 2, KvQuant: 3}[kind]
                passes = 3 if is_softmax else 2
                read += rows * words * (sources + 1 + passes - 1)
                passed += rows * words * passes
                values += rows * words
    return Operations(beats=beats, drained=drained, added=added, read=read, passed=passed, values=values)


@pytest.mark.parametrize("engine", ENGINES)
def test_operations_are_those_of_the_instructions(engine: str, rng: np.random.Generator) -> None:
    config = ENGINES[engine]
    totals = np.zeros(6, np.int64)
    for _ in range(6):
        program = random_program(config, int(rng.integers(1 << 30)))
        trace = run_control(program.words, position=program.registers[0], slot=program.registers[1])
        did = operations_of(trace, config)
        assert did == counted(trace, config)
        totals += [did.beats, did.drained, did.added, did.read, did.passed, did.values]
    assert (totals > 0).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_activity_is_what_operations_and_cycles_make(engine: str, seed: int) -> None:
    config, constants = ENGINES[engine], load_constants()
    program = random_program(config, seed)
    trace = run_control(program.words, position=program.registers[0], slot=program.registers[1])
    timeline, did = run_time(trace, config), counted(trace, config)
    found = activity_of(did, timeline, config, constants)
    stream, side = timeline.stream_bytes, timeline.side_read_bytes + timeline.side_write_bytes
    word = 4 * config.vector.lanes
    # Stream bytes go into a FIFO and out of it; 64 codes are read for each beat and row; words are of 32 bits, codes of 8.
    on_chip = 2 * stream + side + 64 * did.beats + word * (did.drained + did.added + did.read) + config.vector.lanes * did.values
    multipliers = config.tile.slices * 32
    assert found.memory_bits == 8 * (stream + side)
    assert found.ram_accesses == 8 * on_chip / 72
    assert found.multiplier_operations == multipliers * did.beats / 2 + config.vector.lanes * did.passed
    assert found.seconds == timeline.cycles / config.clock_hz
    luts = constants.luts_fixed.value + constants.luts_per_multiplier.value * multipliers * config.tile.tokens
    registers = constants.registers_fixed.value + constants.registers_per_multiplier.value * multipliers * config.tile.tokens
    assert found.logic_cycles == luts * timeline.cause(Unit.MATRIX, Cause.COMPUTE)
    assert found.register_cycles == registers * timeline.cycles
