"""Small checkpoints of every family in every way of storing them: their float logits are those of transformers."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy
import pytest
import safetensors.torch
import torch
import transformers
from gguf import GGMLQuantizationType

from models.checkpoint import load
from models.reference.llama import Llama
from tests.models.gguf_file import WRITABLE, rounded, write_gguf

SEED = 20261130
TOKENS = 24

# Blocks of up to 256 inputs fall into rows of 256.
SHAPE = {
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 96,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "attn_implementation": "eager",
    "tie_word_embeddings": False,
}
FAMILIES = {
    "llama": ("Llama", {}),
    "llama tied": ("Llama", {"tie_word_embeddings": True}),
    "mistral": ("Mistral", {"sliding_window": 9}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 128}),
    "qwen2 sliding": ("Qwen2", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 0}),
}
TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def tokens() -> list[int]:
    print(f"seed {SEED}")
    return torch.randint(0, 96, (TOKENS,), generator=torch.Generator().manual_seed(SEED)).tolist()


@pytest.fixture(scope="module")
def random_models() -> Mapping[str, torch.nn.Module]:
    """Return a random model of each family."""
    return dict(_random_models())


def _random_models() -> Iterator[tuple[str, torch.nn.Module]]:
    print(f"seed {SEED}")
    for name, (family, changes) in FAMILIES.items():
        torch.manual_seed(SEED)
        config = getattr(transformers, f"{family}Config")(**{**SHAPE, **changes})
        model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.1 + (1.0 if parameter.dim() == 1 else 0.0))
        yield name, model


def logits_with(model: torch.nn.Module, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return the logits of transformers' model with `change` of each of its matrices."""
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 2:
                    parameter.copy_(change(parameter))
            return model(torch.tensor([tokens()])).logits[0]
    finally:
        model.load_state_dict(kept)


def check(path: Path, expected: torch.Tensor) -> None:
    assert float(expected.abs().max()) > 0.5
    torch.testing.assert_close(Llama(load(path)).logits(tokens()), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_folders(family: str, type: str, random_models: Mapping[str, torch.nn.Module], tmp_path: Path) -> None:
    model = random_models[family]
    model.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    stored = {name: tensor.to(TYPES[type]) for name, tensor in safetensors.torch.load_file(file).items() if tensor.dim() == 2}
    safetensors.torch.save_file({**safetensors.torch.load_file(file), **stored}, file)
    check(tmp_path, logits_with(model, lambda matrix: matrix.to(TYPES[type]).float()))


@pytest.mark.parametrize(
    ("family", "type"),
    [*((family, type) for family in ("llama", "qwen2", "qwen3") for type in WRITABLE), ("llama tied", GGMLQuantizationType.Q4_1)],
    ids=lambda value: getattr(value, "name", value),
)
def test_files(family: str, type: GGMLQuantizationType, random_models: Mapping[str, torch.nn.Module], tmp_path: Path) -> None:
    model = random_models[family]
    model.save_pretrained(tmp_path)
    write_gguf(tmp_path / "model.gguf", tmp_path, family.split()[0], type=type)
    check(
        tmp_path / "model.gguf",
        logits_with(model, lambda matrix: torch.from_numpy(rounded(numpy.ascontiguousarray(matrix.detach().numpy()), type))),
    )


def test_every_type_that_can_be_written_is_tried() -> None:
    assert {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0"} <= {type.name for type in WRITABLE}
