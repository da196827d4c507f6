"""A whole small model on three machines, and proof that the comparison fails when one of them is broken."""

import dataclasses

import numpy as np
import pytest
from amaranth import Cat, Const, Module, Mux, Signal, signed

import rtl.arithmetic
import rtl.matrix.epilogue
import rtl.matrix.lane
import rtl.matrix.unit
from compiler.pipeline import Compiled
from compiler.target.step import WEIGHTS
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import CacheFormat, Fetch, Format, KvQuant, Scalar, decode
from hwsim.arch.program import MemoryImage, Program
from hwsim.errors import MachineError, ProgramError
from hwsim.host.inputs import Inputs
from hwsim.memory.models import IDEAL, hbm2, stalling
from models.integer import IntegerModel
from testbenches.compare import Verdict, compare_logs
from testbenches.cosim import cosim
from testbenches.simulated import Simulated
from testbenches.verilated import Fault, Run, Verilated
from tests.random_model import random_model


def image_of(compiled: Compiled) -> MemoryImage:
    assert compiled.image is not None
    return compiled.image


def inputs_at(model: IntegerModel, position: int = 0) -> Inputs:
    return Inputs(position=position, rows=model.embedding.rows([5]))


@pytest.mark.parametrize("format", [Format.W4, Format.W2S])
def test_every_bit_and_cycle_of_a_decode_step(engine: EngineConfig, verilated: Verilated, format: Format, seed: int) -> None:
    """Before the ring is full, and after it wrapped; a model with a bias on the query, key and value projections too."""
    changes = {"architecture": "Qwen2ForCausalLM", "qkv_bias": True} if format is Format.W2S else {}
    tokens = np.random.default_rng(seed).integers(0, 96, 23).tolist()
    model = random_model(seed, format=format, **changes)
    memories = [IDEAL, stalling(seed & 0xFFFF), hbm2(seed & 0xFFFF)]
    result = cosim(model, engine, texts=[tokens[:6], tokens], memories=memories, verilated=verilated)
    assert result.first is None
    assert (result.mismatches, result.cycle_difference) == (0, 0)
    assert result.compared > 96
    assert result.instructions_compared > 6 * 80


def test_every_bit_and_cycle_of_normalized_heads(engine: EngineConfig, verilated: Verilated, seed: int) -> None:
    """A Qwen3 runs on the circuit that there is; its cache has wrapped."""
    tokens = np.random.default_rng(seed).integers(0, 96, 23).tolist()
    model = random_model(seed, architecture="Qwen3ForCausalLM")
    result = cosim(model, engine, texts=[tokens], memories=[stalling(seed & 0xFFFF)], verilated=verilated)
    assert result.first is None
    assert (result.mismatches, result.cycle_difference) == (0, 0)
    assert result.instructions_compared > 100


@pytest.fixture(scope="module")
def wide_engine() -> EngineConfig:
    """The smallest engine that holds a cache of 8 bits: two slices."""
    return load_engine("tiny").with_values({"name": "two-slices", "tile.port_bits": 256})


@pytest.fixture(scope="module")
def wide_verilated(wide_engine: EngineConfig) -> Verilated:
    return Verilated(wide_engine, optimize="-O0")


@pytest.mark.parametrize("format", [Format.W8, Format.W4])
def test_every_bit_and_cycle_with_a_cache_of_8_bits(
    wide_engine: EngineConfig, wide_verilated: Verilated, format: Format, seed: int
) -> None:
    """Before the ring is full, and after it wrapped; logits, keys and values are those of PyTorch's integers."""
    tokens = np.random.default_rng(seed).integers(0, 96, 23).tolist()
    model = random_model(seed, format=format, cache=CacheFormat.KV8)
    memories = [IDEAL, stalling(seed & 0xFFFF), hbm2(seed & 0xFFFF)]
    result = cosim(model, wide_engine, texts=[tokens[:6], tokens], memories=memories, verilated=wide_verilated)
    assert result.first is None
    assert (result.mismatches, result.cycle_difference) == (0, 0)
    assert result.compared > 96
    assert result.instructions_compared > 6 * 80


@pytest.mark.usefixtures("altered_circuit")
def test_high_nibbles_taken_for_low_ones_are_caught(wide_engine: EngineConfig, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit whose slices read every word of keys as a first one is wrong for 8-bit keys, and for those alone."""
    decode_word = rtl.matrix.lane.Decoder.elaborate

    def without_upper(self: rtl.matrix.lane.Decoder, platform: object) -> Module:
        m = decode_word(self, platform)
        with m.If(self.step.format == Format.KV8):
            m.d.comb += self.scale.eq(1)
        return m

    monkeypatch.setattr(rtl.matrix.lane.Decoder, "elaborate", without_upper)
    tokens = np.random.default_rng(seed).integers(0, 96, 6).tolist()
    broken = Verilated(wide_engine, optimize="-O0")
    for cache in CacheFormat:
        result = cosim(random_model(seed, cache=cache), wide_engine, texts=[tokens], verilated=broken)
        assert result.cycle_difference == 0
        assert (result.mismatches > 0) == (cache is CacheFormat.KV8)
        assert (result.first is not None) == (cache is CacheFormat.KV8)


def test_prefill_leaves_the_cache_of_single_steps(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, verilated: Verilated
) -> None:
    """A prefill run of two tokens leaves the memory that two decode runs leave, on both machines; logits aside."""
    tokens = [3, 50, 9, 61]
    for backend in (Simulated(engine), verilated):
        one = two = image_of(compiled)
        for position, token in enumerate(tokens):
            inputs = Inputs(position=position, rows=model.embedding.rows([token]))
            one = backend.run(compiled.decode, one, inputs, IDEAL)[0].image
        for position in range(0, len(tokens), compiled.prefill.rows):
            rows = model.embedding.rows(tokens[position : position + compiled.prefill.rows])
            two = backend.run(compiled.prefill, two, Inputs(position=position, rows=rows), IDEAL)[0].image
        assert compiled.prefill.rows == 2
        assert np.array_equal(one.ports, two.ports)


def verdict(
    program: Program, engine: EngineConfig, bench: Verilated, inputs: Inputs, ours: MemoryImage, theirs: MemoryImage
) -> Verdict:
    """Return the verdict on the Verilog with one memory against the simulator with another."""
    _, expected = Simulated(engine).run(program, ours, inputs, IDEAL)
    _, found = bench.run(program, theirs, inputs, IDEAL)
    return compare_logs(program, engine, expected, found, ("simulator", "Verilog"))


def test_a_flipped_weight_bit_is_caught(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, verilated: Verilated
) -> None:
    """Bit 6 of a code of the second layer's gate and up projection."""
    image = image_of(compiled)
    broken = image.copy()
    words = [decode(word) for word in compiled.decode.words]
    start = next(
        word.offset
        for word, name in zip(words, compiled.decode.symbols, strict=True)
        if isinstance(word, Fetch) and name == "layers.{}.gateup"
    )
    advance = next(word.immediate for word in words if isinstance(word, Scalar) and word.target == word.registers[0] == WEIGHTS)
    place = advance + start + 2  # after a header and a scale word
    broken.ports[0, place * engine.tile.port_bytes + 3] ^= 0x40
    result = verdict(compiled.decode, engine, verilated, inputs_at(model), image, broken)
    assert result.mismatches > 0
    assert result.cycle_difference == 0
    assert result.first is not None
    assert "Dot of node layers.1.gateup (" in result.first
    assert ") at cycle " in result.first
    assert "row 0, block 0, tile 0, slice 0:" in result.first


def without_rounding(self: rtl.arithmetic.ApplyScale, platform: object) -> Module:
    """The elaboration of ApplyScale with the rounding left out: results are floored."""
    m = Module()
    wide = self.x_bits + 18
    product, coarse, fine = (Signal(signed(wide), reset_less=True) for _ in range(3))
    needed, shift, rest = Signal(signed(12)), Signal(6, reset_less=True), Signal(3, reset_less=True)
    m.d.comb += needed.eq(-(self.exponent + self.fraction_bits))
    m.d.sync += [
        product.eq(Cat(Const(0, 1), self.x * self.mantissa).as_signed()),
        shift.eq(Mux(needed < 0, 0, Mux(needed > 48, 48, needed))),
        coarse.eq(product >> Cat(Const(0, 3), shift[3:])),
        rest.eq(shift[:3]),
        fine.eq(coarse >> rest),
        self.result.eq(rtl.arithmetic.saturate(fine >> 1, 32)),
    ]
    return m


@pytest.mark.usefixtures("altered_circuit")
def test_a_wrong_rounding_is_caught(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtl.arithmetic.ApplyScale, "elaborate", without_rounding)
    image = image_of(compiled)
    result = verdict(compiled.decode, engine, Verilated(engine, optimize="-O0"), inputs_at(model), image, image)
    assert result.mismatches > 0
    assert result.cycle_difference == 0
    assert result.first is not None
    assert "of node layers.0." in result.first
    assert " at cycle " in result.first


@pytest.mark.usefixtures("altered_circuit")
def test_an_extra_pipeline_stage_is_caught(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epilogue of the circuit gets one more register than the timing law has."""
    for module in (rtl.matrix.epilogue, rtl.matrix.unit):
        for name in ("WRITE", "RESULT_READ"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(module, name) + 1)
    image = image_of(compiled)
    result = verdict(compiled.decode, engine, Verilated(engine, optimize="-O0"), inputs_at(model), image, image)
    assert result.mismatches == 0
    assert result.cycle_difference > 0
    assert result.first is not None
    assert result.first.startswith("retirement of Dot of node barrier (instruction ")


def reworded(program: Program, index: int, **changes: int) -> Program:
    """Return the program with fields of one word changed."""
    word: Instruction = dataclasses.replace(decode(program.words[index]), **changes)
    return dataclasses.replace(program, words=(*program.words[:index], word.encode(), *program.words[index + 1 :]))


def test_a_missing_dependency_is_caught(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, verilated: Verilated
) -> None:
    """The first key is quantized before the projection it comes from is there."""
    program = compiled.decode
    words = [decode(word) for word in program.words]
    reader = next(index for index, word in enumerate(words) if isinstance(word, KvQuant))
    assert words[reader].wait >> Unit.MATRIX & 1
    writer = max(
        index for index in range(reader) if program.symbols[index] == "layers.{}.qkv" and words[index].signal >> Unit.VECTOR & 1
    )
    program = reworded(program, reader, wait=words[reader].wait & ~(1 << Unit.MATRIX))
    program = reworded(program, writer, signal=words[writer].signal & ~(1 << Unit.VECTOR))
    image = image_of(compiled)
    result = verdict(program, engine, verilated, inputs_at(model), image, image)
    assert result.mismatches > 0
    assert result.first is not None
    assert "of node layers.0.attention" in result.first


def test_a_corrupted_word_is_refused_by_both(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, verilated: Verilated
) -> None:
    program, index = compiled.decode, 40
    broken = dataclasses.replace(
        program, words=(*program.words[:index], program.words[index] ^ 1 << 77, *program.words[index + 1 :])
    )
    with pytest.raises(ProgramError, match=rf"Program decode must hold valid words; word {index} \(layers\.\{{\}}\."):
        Simulated(engine).run(broken, image_of(compiled), inputs_at(model), IDEAL)
    answers, after = restarted(program, broken, model, compiled, engine, verilated, None)
    assert answers[0]["error"] == 1 | index << 8
    assert (answers[1]["error"], answers[1]["done"]) == (0, 1)
    assert np.array_equal(
        after.side, Simulated(engine).run(program, image_of(compiled), inputs_at(model), IDEAL)[0].image.side[: len(after.side)]
    )


def restarted(
    program: Program,
    first: Program,
    model: IntegerModel,
    compiled: Compiled,
    engine: EngineConfig,
    verilated: Verilated,
    fault: Fault | None,
) -> tuple[list[dict], MemoryImage]:
    """Return the answers to a first start that must fail and a second that must not, and the memory after both.

    The first program lies in the prefill program's place; the side memory returned ends before it.
    """
    image = image_of(compiled).copy()
    places = [program.buffer("program.prefill").offset, program.buffer("program.decode").offset]
    for place, each in zip(places, (first, program), strict=True):
        image.side[place : place + 16 * len(each.words)] = each.code()
    rows = model.embedding.rows([5]).view(np.uint8).reshape(-1)
    start = program.buffer("input").offset
    image.side[start : start + len(rows)] = rows
    runs = [Run(program=place, words=len(program.words), position=0, slot=0) for place in places]
    after, answers, _ = verilated.execute(image, runs, IDEAL, fault=fault, limit_cycles=200_000)
    assert not answers[0]["hung"]
    assert not answers[1]["hung"]
    side = after.side.copy()
    side[places[0] : places[0] + 16 * len(first.words)] = image_of(compiled).side[places[0] : places[0] + 16 * len(first.words)]
    return answers, MemoryImage(ports=after.ports, side=side)


@pytest.mark.parametrize("port", [0, 1])
def test_a_bus_error_stops_the_engine_and_the_next_run_is_right(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, verilated: Verilated, port: int
) -> None:
    program = compiled.decode
    answers, after = restarted(program, program, model, compiled, engine, verilated, Fault(port=port, beat=150))
    assert answers[0]["error"] == 4 | port << 8
    assert (answers[1]["error"], answers[1]["done"]) == (0, 1)
    expected = Simulated(engine).run(program, image_of(compiled), inputs_at(model), IDEAL)[0].image
    output = program.buffer("output")
    assert np.array_equal(
        after.side[output.offset : output.offset + output.size], expected.side[output.offset : output.offset + output.size]
    )


def test_a_program_that_waits_forever_ends_with_the_watchdog(
    model: IntegerModel, compiled: Compiled, engine: EngineConfig, verilated: Verilated
) -> None:
    program = compiled.decode
    words = [decode(word) for word in program.words]
    index = next(index for index, word in enumerate(words) if isinstance(word, KvQuant))
    stuck = reworded(program, index, wait=words[index].wait | 1 << Unit.MOVER | 1 << Unit.FETCH)
    with pytest.raises(MachineError):
        Simulated(engine).run(stuck, image_of(compiled), inputs_at(model), IDEAL)
    with pytest.raises(MachineError, match="The engine must run program decode, not stop with the watchdog at word"):
        verilated.run(stuck, image_of(compiled), inputs_at(model), IDEAL)
