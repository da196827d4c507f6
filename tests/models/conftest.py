"""The tiny random checkpoints on which the models room is tested."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

SEED = 20260101

SMALL = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 96,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "attn_implementation": "eager",
}

Save = Callable[..., tuple[Path, torch.nn.Module]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that saves a random model of an architecture and returns its folder and the model."""

    def save_model(architecture: str, shard_size: str = "5GB", **changes: object) -> tuple[Path, torch.nn.Module]:
        print(f"seed {SEED}")
        torch.manual_seed(SEED)
        kind = architecture.removesuffix("ForCausalLM")
        config = getattr(transformers, f"{kind}Config")(**{**SMALL, "tie_word_embeddings": False, **changes})
        model = getattr(transformers, architecture)(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if parameter.dim() == 1 else 0.0))
        model.save_pretrained(tmp_path, max_shard_size=shard_size)
        return tmp_path, model

    return save_model
