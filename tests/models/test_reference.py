"""Checks the float reference against an independent implementation, and decoding against prefill."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hwsim.arch.workload import Ledger
from hwsim.errors import CheckpointError, SpecError
from models.attention import parse
from models.checkpoint import Weights, load
from models.reference.llama import Llama
from models.reference.rope import Rotary
from models.zoo import shape
from tests.random_model import MemoryStore

Save = Callable[..., tuple[Path, torch.nn.Module]]

SEED = 20260102
TOKENS = 40

CASES: dict[str, tuple[str, dict[str, object]]] = {
    "llama": ("LlamaForCausalLM", {}),
    "llama tied": ("LlamaForCausalLM", {"tie_word_embeddings": True}),
    "llama one head per head": ("LlamaForCausalLM", {"num_key_value_heads": 6}),
    "llama wide heads": ("LlamaForCausalLM", {"head_dim": 16}),
    "llama sharded": ("LlamaForCausalLM", {"shard_size": "40KB"}),
    "llama linear": ("LlamaForCausalLM", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}),
    "llama llama3": (
        "LlamaForCausalLM",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
                "rope_theta": 500.0,
            }
        },
    ),
    "llama yarn": (
        "LlamaForCausalLM",
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 1e3}},
    ),
    "mistral": ("MistralForCausalLM", {"sliding_window": None}),
    "mistral sliding": ("MistralForCausalLM", {"sliding_window": 7}),
    "qwen2": ("Qwen2ForCausalLM", {}),
    "qwen2 tied": ("Qwen2ForCausalLM", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 16}),
    "qwen3 tied, heads of 128": ("Qwen3ForCausalLM", {"tie_word_embeddings": True}),
    "qwen3 yarn": (
        "Qwen3ForCausalLM",
        {
            "head_dim": 8,
            "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 1e3},
        },
    ),
}


def tokens(count: int = TOKENS, vocab: int = 96) -> list[int]:
    print(f"seed {SEED}")
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(0, vocab, (count,), generator=generator).tolist()


@pytest.mark.parametrize("case", CASES)
def test_logits_equal_transformers(case: str, save: Save) -> None:
    architecture, changes = CASES[case]
    folder, oracle = save(architecture, **changes)
    checkpoint = load(folder)
    if case == "llama sharded":
        assert len(checkpoint.files) > 3
    with torch.no_grad():
        expected = oracle(torch.tensor([tokens()])).logits[0]
    torch.testing.assert_close(Llama(checkpoint).logits(tokens()), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "pattern"),
    [
        ("LlamaForCausalLM", "dense"),
        ("LlamaForCausalLM", "lambda:2+5"),
        ("LlamaForCausalLM", "lambda:0+6"),
        ("LlamaForCausalLM", "lambda:4+1"),
        ("Qwen3ForCausalLM", "lambda:2+5"),
    ],
)
def test_decoding_and_chunks_equal_prefill(architecture: str, pattern: str, save: Save) -> None:
    model = Llama(load(save(architecture, head_dim=8)[0]), pattern=parse(pattern))
    whole = model.logits(tokens())
    stepped, chunked = model.open(), model.open()
    steps = torch.cat([model.head(model.hidden_states([token], stepped)) for token in tokens()])
    torch.testing.assert_close(steps, whole, atol=1e-4, rtol=1e-4)
    for start, stop in ((0, 3), (3, 4), (4, 20), (20, 39), (39, 40)):
        last = model.head(model.hidden_states(tokens()[start:stop], chunked))[-1]
        torch.testing.assert_close(last, whole[stop - 1], atol=1e-4, rtol=1e-4)
    assert {cache.length for cache in (*stepped, *chunked)} == {TOKENS}


def test_layer_by_layer_equals_logits(save: Save) -> None:
    model = Llama(load(save("LlamaForCausalLM")[0]), is_resident=False)
    hidden = model.embed(tokens())
    for index in range(model.config.layers):
        hidden = model.layer(index, hidden)
    torch.testing.assert_close(model.head(hidden), model.logits(tokens()), atol=0, rtol=0)


def test_weights_in_memory_serve_as_well_as_files(save: Save) -> None:
    checkpoint = load(save("LlamaForCausalLM")[0])
    doubled = {name: tensor * 2 for name, tensor in checkpoint.weights.items()}
    changed = dataclasses.replace(checkpoint, weights=Weights(checkpoint.config, MemoryStore(doubled)))
    torch.testing.assert_close(changed.tensor("lm_head.weight"), 2 * checkpoint.tensor("lm_head.weight"))
    with pytest.raises(CheckpointError, match=r"^Tensor lm_head.weight must have shape \(96, 48\), not \(3, 48\)$"):
        Weights(checkpoint.config, MemoryStore({"lm_head.weight": torch.zeros((3, 48))}))["lm_head.weight"]


def test_linear_is_every_linear_layer(save: Save) -> None:
    checkpoint = load(save("Qwen2ForCausalLM")[0])
    seen: dict[str, torch.Size] = {}

    class Collecting(Llama):
        def linear(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
            seen[name] = inputs.shape
            return super().linear(name, inputs)

    torch.testing.assert_close(Collecting(checkpoint).logits(tokens()), Llama(checkpoint).logits(tokens()))
    assert len(seen) == 7 * checkpoint.config.layers + 1
    assert seen["model.layers.1.mlp.down_proj"] == (TOKENS, 80)
    assert seen["lm_head"] == (TOKENS, 48)


def test_roundings_apply_to_queries_and_cache(save: Save) -> None:
    checkpoint = load(save("LlamaForCausalLM")[0])
    calls: list[tuple[str, torch.Size]] = []

    def note(name: str, values: torch.Tensor) -> torch.Tensor:
        calls.append((name, values.shape))
        return values

    model = Llama(checkpoint)
    rounding = {"round_query": lambda x: note("query", x), "round_cache": lambda x: note("cache", x)}
    model.geometry = dataclasses.replace(model.geometry, **rounding)
    model.logits(tokens())
    assert calls == [("cache", (2, TOKENS, 8))] * 2 + [("query", (6, TOKENS, 8))] + calls[:3]


def test_rotation_stays_exact_at_long_positions() -> None:
    config = dataclasses.replace(shape("smollm2-135m"), head_dim=8, rope_base=1e4)
    rotary = Rotary(config)
    far = torch.tensor([3, 1_000_003])
    cosine, sine = rotary.tables(far)
    exact = far.double()[:, None] * 1e4 ** (-torch.arange(0, 8, 2).double() / 8)
    torch.testing.assert_close(cosine, exact.cos().float())
    torch.testing.assert_close(sine, exact.sin().float())


def test_tokens_outside_the_vocabulary_are_refused(save: Save) -> None:
    model = Llama(load(save("LlamaForCausalLM")[0]))
    with pytest.raises(SpecError, match=r"^Token must be between 0 and 95, not 96$"):
        model.logits([1, 96])
    with pytest.raises(SpecError, match=r"^A text must have at least one token, not none$"):
        model.logits([])


def test_a_lambda_step_costs_sinks_and_window(save: Save) -> None:
    model = Llama(load(save("LlamaForCausalLM")[0]), pattern=parse("lambda:2+5"))
    caches = model.open()

    def spent() -> Ledger:
        return sum((cache.ledger() for cache in caches), Ledger())

    assert spent().multiply_accumulates == 0
    model.hidden_states(tokens(), caches)
    prefilled = spent()
    model.hidden_states([1], caches)
    entry_bytes = 2 * 2 * 8 * 4
    assert spent().read_bytes() - prefilled.read_bytes() == 2 * 7 * entry_bytes
    assert spent().write_bytes("device") - prefilled.write_bytes("device") == 2 * entry_bytes
    assert spent().gathers - prefilled.gathers == 2 * 2
