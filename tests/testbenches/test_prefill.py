"""Runs leave the keys and values that the integer reference has, whatever their heads and rows are, and whatever ran before."""

import numpy as np
import pytest

from compiler.cache import read_cache
from compiler.model import compile_model
from hwsim.arch.config import load_engine
from hwsim.host.inputs import Inputs, place
from hwsim.machine.meaning import run_meaning
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL
from models.integer import IntegerReference
from testbenches.simulated import Simulated
from tests.random_model import random_model

QWEN3 = {"architecture": "Qwen3ForCausalLM"}


@pytest.mark.parametrize(
    "rows, heads, kv_heads, changes", [(4, 4, 2, {}), (7, 4, 1, {}), (4, 4, 2, QWEN3), (3, 3, 3, QWEN3 | {"head_dim": 64})]
)
def test_a_prefill_run_leaves_the_cache_of_the_reference(
    rows: int, heads: int, kv_heads: int, changes: dict[str, object], seed: int
) -> None:
    """With few KV heads, queries of a token are prepared while one two positions before it has not been scored."""
    engine = load_engine("small").with_values({"tile.ports": 1, "tile.tokens": rows, "tile.nibble_tokens": rows})
    model = random_model(seed, heads=heads, kv_heads=kv_heads, **changes)
    compiled = compile_model(model, engine, context=32)
    assert compiled.prefill.rows == rows
    tokens = np.random.default_rng(seed).integers(0, 96, 2 * rows).tolist()
    reference = IntegerReference(model)
    state = reference.open()
    reference.prefill(state, tokens)
    image = compiled.image
    assert image is not None
    for position in (0, rows):
        inputs = Inputs(position=position, rows=model.embedding.rows(tokens[position : position + rows]))
        image = Simulated(engine).run(compiled.prefill, image, inputs, IDEAL)[0].image
    slots = np.arange(len(tokens))
    for found, expected in zip(read_cache(image, compiled.memory, engine, state), (state.keys, state.values), strict=True):
        for entry, cache in zip(found, expected, strict=True):
            wanted = cache.read(slots)
            assert np.array_equal(entry.codes, wanted.codes)
            assert np.array_equal(entry.scale[0], wanted.scale[0])


def test_normalized_heads_need_nothing_of_the_runs_before(seed: int) -> None:
    """Queries and keys are projected onto zeros, which the program loads before the first layer too."""
    engine, model = load_engine("tiny"), random_model(seed, architecture="Qwen3ForCausalLM", layers=1)
    compiled = compile_model(model, engine, context=32)
    assert compiled.image is not None
    placed = place(engine, compiled.decode, compiled.image, Inputs(position=0, rows=model.embedding.rows([5])))
    trace = run_control(compiled.decode.words, position=0, slot=compiled.decode.slot_of(0, 0))
    found = []
    for leftovers in (None, np.random.default_rng(seed)):
        after = placed.copy()
        run_meaning(trace, engine, after.ports, after.side, leftovers=leftovers)
        found.append((after.ports, after.side))
    assert all(np.array_equal(*pair) for pair in zip(*found, strict=True))
