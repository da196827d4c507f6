"""Sequences decoded together give what each gives alone, and a prompt of several tokens a run what single steps give."""

import numpy as np
import pytest

from compiler.model import compile_model
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Format
from hwsim.arch.program import MemoryImage
from hwsim.errors import ProgramError, ScheduleError
from hwsim.host.inputs import Inputs
from hwsim.memory.models import IDEAL, stalling
from models.integer.reference import IntegerReference
from testbenches.compare import compare_logs
from testbenches.simulated import Simulated
from testbenches.verilated import Verilated
from tests.random_model import random_model


@pytest.mark.parametrize(("format", "batch"), [(Format.W4, 2), (Format.W2S, 3)])
def test_a_batch_gives_what_each_sequence_gives_alone(engine: EngineConfig, seed: int, format: Format, batch: int) -> None:
    """All sequences are at one position. The ring wraps; the last step runs on both machines.

    The third row of the second engine multiplies 2-bit weights alone: the 8-bit head and the four query heads take two passes.
    """
    engine = engine.with_values({"tile.tokens": batch})
    model = random_model(seed, format=format, heads=4, kv_heads=1, hidden=64)
    compiled = compile_model(model, engine, context=32, batch=batch)
    assert compiled.image is not None
    assert (compiled.decode.rows, compiled.decode.sequences, compiled.decode.positions) == (batch, batch, 1)
    prompts = np.random.default_rng(seed).integers(0, 96, (batch, 20))
    reference = IntegerReference(model)
    states = [reference.open() for _ in prompts]
    simulator, image = Simulated(engine), compiled.image
    rows = compiled.prefill.rows
    for sequence, prompt in enumerate(prompts):
        for position in range(0, 12, rows):
            tokens = model.embedding.rows(prompt[position : position + rows].tolist())
            inputs = Inputs(position=position, rows=tokens, sequence=sequence)
            image = simulator.run(compiled.prefill, image, inputs, IDEAL)[0].image
        reference.prefill(states[sequence], prompt[:12].tolist())
    padded = compiled.decode.buffer("output").size // 4 // batch
    for position in range(12, 20):
        inputs = Inputs(position=position, rows=model.embedding.rows(prompts[:, position].tolist()))
        before = image
        outputs, log = simulator.run(compiled.decode, before, inputs, IDEAL)
        image = outputs.image
        for sequence, prompt in enumerate(prompts):
            expected = reference.step(states[sequence], int(prompt[position]))
            np.testing.assert_array_equal(outputs.logits[sequence * padded :][: len(expected)], expected)
    bench = Verilated(engine)
    for memory in (IDEAL, stalling(seed & 0xFFFF)):
        outputs, log = simulator.run(compiled.decode, before, inputs, memory)
        found, measured = bench.run(compiled.decode, before, inputs, memory)
        verdict = compare_logs(compiled.decode, engine, log, measured, ("simulator", "Verilog"))
        assert (verdict.mismatches, verdict.cycle_difference, verdict.first) == (0, 0, None)
        assert np.array_equal(outputs.image.ports, found.image.ports) and np.array_equal(outputs.image.side, found.image.side)


@pytest.mark.parametrize("heads", [(1, 1), (4, 1), (2, 2)])
def test_a_prompt_across_the_end_of_the_ring(engine: EngineConfig, seed: int, heads: tuple[int, int]) -> None:
    """A token takes the slot of one that the token before it still reads; with few heads it comes soon after."""
    model = random_model(seed, heads=heads[0], kv_heads=heads[1], hidden=64)
    compiled = compile_model(model, engine, context=48)
    assert compiled.image is not None
    assert compiled.prefill.rows == 2
    tokens = np.random.default_rng(seed).integers(0, 96, 40).tolist()
    images: list[MemoryImage] = []
    for program in (compiled.decode, compiled.prefill):
        image = compiled.image
        for position in range(0, len(tokens), program.rows):
            inputs = Inputs(position=position, rows=model.embedding.rows(tokens[position : position + program.rows]))
            image = Simulated(engine).run(program, image, inputs, IDEAL)[0].image
        images.append(image)
    assert np.array_equal(images[0].ports, images[1].ports)


def test_refusals(engine: EngineConfig) -> None:
    model = random_model(3)
    with pytest.raises(ScheduleError, match="Batch must be 1 to 2, the engine's token rows for W4 weights, not 3"):
        compile_model(model, engine, context=32, batch=3)
    compiled = compile_model(model, engine, context=32, batch=2)
    assert compiled.prefill.slot_of(5, 1) == compiled.prefill.slot_of(5) + 65536
    with pytest.raises(ProgramError, match="Sequence must be 0 to 1, not 2"):
        compiled.prefill.slot_of(5, 2)
    with pytest.raises(ProgramError, match="Sequence must be 0 to 0, not 1"):
        compiled.decode.slot_of(5, 1)
