"""The whole `u280`, 32 ports of 512 bits, on one decoder layer of Llama-2-7B's shape: simulator, Verilog and reference agree."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from compiler.cache import write_cache
from compiler.model import compile_model
from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.program import MemoryImage
from hwsim.host.inputs import Inputs
from hwsim.memory.models import HBM2, IDEAL, MemoryModel, stalling
from models.attention import parse
from models.integer import IntegerModel
from models.integer.cache import State
from models.integer.ops import KvEntry
from models.integer.reference import IntegerReference
from models.shaped import shaped_model
from models.zoo import shape
from testbenches.compare import compare_logs
from testbenches.simulated import Simulated
from testbenches.verilated import Verilated

pytestmark = pytest.mark.long

SINKS, WINDOW, VOCAB = 4, 2044, 512
MEMORIES = (IDEAL, stalling(5), HBM2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """The model with a cache of 4 bits, its programs and image, and the machines."""

    engine: EngineConfig
    model: IntegerModel
    compiled: Compiled
    image: MemoryImage
    verilated: Verilated


def compiled_model(model: IntegerModel, engine: EngineConfig) -> Compiled:
    return compile_model(model, engine, context=2 * (SINKS + WINDOW))


@pytest.fixture(scope="module")
def setup() -> Iterator[Setup]:
    engine = load_engine("u280")
    config = dataclasses.replace(shape("llama-2-7b"), name="llama-2-7b-layer", layers=1, vocab=VOCAB)
    pattern = parse(f"lambda:{SINKS}+{WINDOW}")
    model = shaped_model(config, format=Format.W2S, head=Format.W4, pattern=pattern, seed=11).model
    compiled = compiled_model(model, engine)
    assert compiled.image is not None
    yield Setup(engine=engine, model=model, compiled=compiled, image=compiled.image, verilated=Verilated(engine, optimize="-O1"))


@pytest.fixture(scope="module")
def wide_setup(setup: Setup) -> Setup:
    """The same with a cache of 8 bits."""
    model = dataclasses.replace(setup.model, cache=CacheFormat.KV8)
    compiled = compiled_model(model, setup.engine)
    assert compiled.image is not None
    return dataclasses.replace(setup, model=model, compiled=compiled, image=compiled.image)


def filled(reference: IntegerReference, length: int, seed: int) -> State:
    """Return a state in which `length` tokens of random keys and values were fed."""
    bits = reference.model.cache.bits
    rng = np.random.default_rng(seed)
    state = reference.open()
    state.reserve(length)
    state.length = length
    slots = np.arange(sum(state.valid(length)))
    for cache in (*state.keys, *state.values):
        heads, count = cache.codes.shape[0], len(slots)
        scale = rng.integers(32768, 65536, (heads, count)), rng.integers(-19, -16, (heads, count)) - (bits - 4)
        codes = rng.integers(0, 1 << bits, (heads, count, cache.codes.shape[2]))
        cache.write(slots, KvEntry(codes, scale, rng.integers(1 << bits - 2, 3 << bits - 2, (heads, count))))
    return state


@pytest.mark.parametrize("memory", MEMORIES, ids=str)
@pytest.mark.parametrize("length", [37, SINKS + WINDOW + 300], ids=["short", "wrapped"])
def test_a_decode_step(setup: Setup, length: int, memory: MemoryModel) -> None:
    check_a_decode_step(setup, length, memory)


@pytest.mark.parametrize("length", [37, SINKS + WINDOW + 300], ids=["short", "wrapped"])
def test_a_decode_step_with_a_cache_of_8_bits(wide_setup: Setup, length: int) -> None:
    check_a_decode_step(wide_setup, length, HBM2)


def check_a_decode_step(setup: Setup, length: int, memory: MemoryModel) -> None:
    reference = IntegerReference(setup.model)
    state = filled(reference, length, seed=length)
    image = setup.image.copy()
    write_cache(image, setup.compiled.memory, setup.engine, state)
    inputs = Inputs(position=length, rows=setup.model.embedding.rows([77]))
    program = setup.compiled.decode
    outputs, log = Simulated(setup.engine).run(program, image, inputs, memory)
    found, measured = setup.verilated.run(program, image, inputs, memory)
    verdict = compare_logs(program, setup.engine, log, measured, ("simulator", "Verilog"))
    assert (verdict.first, verdict.mismatches, verdict.cycle_difference) == (None, 0, 0)
    assert np.array_equal(outputs.image.ports, found.image.ports) and np.array_equal(outputs.image.side, found.image.side)
    np.testing.assert_array_equal(found.logits[:VOCAB], reference.step(state, 77))


@pytest.mark.parametrize("memory", MEMORIES, ids=str)
def test_a_chunk_of_a_prompt(setup: Setup, memory: MemoryModel) -> None:
    """Four tokens in one run, after 300 random ones."""
    state = filled(IntegerReference(setup.model), 300, seed=3)
    image = setup.image.copy()
    write_cache(image, setup.compiled.memory, setup.engine, state)
    program = setup.compiled.prefill
    assert program.rows == 4
    inputs = Inputs(position=300, rows=setup.model.embedding.rows([5, 400, 31, 9]))
    outputs, log = Simulated(setup.engine).run(program, image, inputs, memory)
    found, measured = setup.verilated.run(program, image, inputs, memory)
    verdict = compare_logs(program, setup.engine, log, measured, ("simulator", "Verilog"))
    assert (verdict.first, verdict.mismatches, verdict.cycle_difference) == (None, 0, 0)
    assert np.array_equal(outputs.image.ports, found.image.ports) and np.array_equal(outputs.image.side, found.image.side)
