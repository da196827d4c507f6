"""Exported models: our reader and transformers find in the folder what the integers stand for."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from hwsim.arch.formats import unpacked_of
from hwsim.arch.isa import Format
from hwsim.errors import SpecError
from models import compressed, exported
from models.attention import parse
from models.checkpoint import Checkpoint, load
from models.compress import Recipe, Step
from models.compress.balance_keys import BalanceKeys
from models.config import ModelConfig, RopeScaling
from models.reference.llama import Llama
from models.reference.rope import inverse_frequencies, magnitude
from tests.models.tiny import integer_logits, tiny_checkpoint, tiny_config, tiny_tokens
from tests.reports.tiny_folder import write_checkpoint

NEAREST = Recipe.uniform(name="test", method="rtn", format=Format.W8, pattern=parse("dense"))
SHIFTED = dataclasses.replace(
    NEAREST,
    steps=(Step(method=BalanceKeys(steps=2)), *NEAREST.steps),
    calibration=dataclasses.replace(NEAREST.calibration, sequences=2, length=30),
)


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).square().sum() / expected.square().sum())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load(write_checkpoint(tmp_path / "hf"))


def test_a_window_outlives_biases_that_a_recipe_adds(tmp_path: Path) -> None:
    """The folder computes what the source computes with queries that read 12 keys, not what it would with all of them."""
    source = write_checkpoint(tmp_path / "hf", architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=12)
    exported.export(compressed.create(load(source), SHIFTED), tmp_path / "out")
    tokens, logits = tiny_tokens(40), {}
    for folder in (source, tmp_path / "out"):
        with torch.no_grad():
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            logits[folder.name] = model(torch.tensor([tokens])).logits[0]
    assert type(model).__name__ == "Qwen2ForCausalLM"
    again = load(tmp_path / "out")
    assert again.config.sliding_window == 12
    assert torch.allclose(Llama(again).logits(tokens), logits["out"], atol=2e-4, rtol=1e-3)
    assert difference(logits["out"], logits["hf"]) < 0.02
    wide = Llama(again, pattern=parse("dense")).logits(tokens)
    assert difference(wide, logits["hf"]) > 0.1


@pytest.mark.parametrize(
    ("recipe", "has_bias", "has_head_norms"),
    [(NEAREST, False, False), (SHIFTED, False, False), (NEAREST, True, False), (NEAREST, False, True), (SHIFTED, False, True)],
)
def test_transformers_computes_what_the_integers_stand_for(
    tmp_path: Path, recipe: Recipe, has_bias: bool, has_head_norms: bool
) -> None:
    """Keys that are shifted make a Qwen2 of a Llama; a Qwen3, whose heads are normalized behind a bias, stays what it is."""
    checkpoint = load(write_checkpoint(tmp_path / "hf"))
    if has_bias or has_head_norms:
        tokenizer = checkpoint.tokenizer
        checkpoint = tiny_checkpoint(tmp_path, has_bias=has_bias, has_head_norms=has_head_norms, vocab=260, tokenizer=tokenizer)
    made = compressed.create(checkpoint, recipe)
    exported.export(made, tmp_path / "out")
    tokens = tiny_tokens(40)
    with torch.no_grad():
        model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
        theirs = model(torch.tensor([tokens])).logits[0]
    is_qwen2 = has_bias or (recipe is SHIFTED and not has_head_norms)
    name = "Qwen2ForCausalLM" if is_qwen2 else "Qwen3ForCausalLM" if has_head_norms else "LlamaForCausalLM"
    assert type(model).__name__ == name
    again = load(tmp_path / "out")
    assert (again.config.qkv_bias, again.config.has_head_norms) == (is_qwen2, has_head_norms)
    assert torch.allclose(Llama(again).logits(tokens), theirs, atol=2e-4, rtol=1e-3)
    print(difference(integer_logits(made.model, tokens), theirs))
    assert difference(integer_logits(made.model, tokens), theirs) < 0.05


def test_every_tensor_is_the_integers_value(checkpoint: Checkpoint, tmp_path: Path) -> None:
    made = compressed.create(checkpoint, NEAREST)
    exported.export(made, tmp_path / "out")
    again = load(tmp_path / "out")
    matrix = unpacked_of(made.model.matrices["layers.1.qkv"]).dequantize()
    parts = [again.tensor(f"model.layers.1.self_attn.{part}_proj.weight").numpy() for part in "qkv"]
    assert np.array_equal(np.concatenate(parts), matrix.astype(np.float32))
    table = again.tensor("model.embed_tokens.weight").numpy()
    assert np.abs(table - made.model.embedding.rows(range(260)) / 2.0**16).max() <= 2.0**-17
    assert again.tokenizer is not None
    assert again.tokenizer.encode("one beat") == checkpoint.tokenizer.encode("one beat")
    assert again.tokenizer.eos_ids == checkpoint.tokenizer.eos_ids
    assert again.tokenizer.chat_template == checkpoint.tokenizer.chat_template
    exported.export(made, tmp_path / "half", type="float16")
    half = load(tmp_path / "half").tensor("model.layers.1.mlp.down_proj.weight")
    assert torch.equal(half, again.tensor("model.layers.1.mlp.down_proj.weight").half().float())


@pytest.mark.parametrize(
    "scaling",
    [
        RopeScaling(),
        RopeScaling(kind="linear", factor=2.0),
        RopeScaling(kind="llama3", factor=8.0, original_positions=64, low_frequency_factor=1.5, high_frequency_factor=5.0),
        RopeScaling(kind="yarn", factor=4.0, original_positions=64, fast_turns=16.0, slow_turns=2.0, attention_factor=1.1),
        RopeScaling(kind="yarn", factor=4.0, original_positions=64, is_truncated=False),
        RopeScaling(kind="yarn", factor=1.7, original_positions=100, fast_turns=13.0, slow_turns=0.7),
        RopeScaling(kind="yarn", factor=0.5, original_positions=1000),
    ],
    ids=lambda scaling: scaling.kind,
)
@pytest.mark.parametrize("window", [None, 32])
@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"])
def test_configurations_read_back(scaling: RopeScaling, architecture: str, window: int | None) -> None:
    config = dataclasses.replace(
        tiny_config(has_bias=architecture == "Qwen2ForCausalLM"),
        architecture=architecture,
        rope_scaling=scaling,
        sliding_window=window,
    )
    written = "MistralForCausalLM" if architecture == "LlamaForCausalLM" and window else architecture
    again = ModelConfig.from_huggingface(exported.huggingface_config(config))
    assert torch.equal(inverse_frequencies(again), inverse_frequencies(config))
    assert magnitude(again.rope_scaling) == magnitude(scaling)
    # YaRN is spelled by another length, to the same frequencies.
    read = again.rope_scaling if scaling.kind == "yarn" else scaling
    assert again == dataclasses.replace(config, architecture=written, rope_scaling=read)


@pytest.mark.parametrize(
    ("changes", "block"),
    [
        ({"factor": 4.0}, {"factor": 4.0}),
        ({"factor": 0.5}, {"factor": 0.5, "attention_factor": 1.0}),
        ({"factor": 4.0, "attention_factor": 1.1}, {"factor": 4.0, "attention_factor": 1.1}),
        ({"factor": 4.0, "is_truncated": False}, {"factor": 4.0, "truncate": False}),
    ],
)
def test_yarn_is_written_as_every_release_reads_it(changes: dict[str, object], block: dict[str, object]) -> None:
    """Entries that releases of transformers read differently are left out, such as the training length."""
    config = dataclasses.replace(tiny_config(), rope_scaling=RopeScaling(kind="yarn", original_positions=64, **changes))
    found = exported.huggingface_config(config)
    # Four times the turns over four times the training length.
    assert found["rope_scaling"] == {"rope_type": "yarn", "beta_fast": 128.0, "beta_slow": 4.0} | block
    assert found["max_position_embeddings"] == 256


def test_export_refusals(checkpoint: Checkpoint, tmp_path: Path) -> None:
    made = compressed.create(checkpoint, NEAREST)
    with pytest.raises(SpecError, match=r"Output folder must be new or empty, not '.*hf'"):
        exported.export(made, tmp_path / "hf")
    with pytest.raises(SpecError, match=r"Type of exported weights must be .*nearest: float16\), not 'float61'"):
        exported.export(made, tmp_path / "out", type="float61")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf"]
