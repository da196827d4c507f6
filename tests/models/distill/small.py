"""The small student and teacher on which distillation is tested."""

import numpy as np
import torch

from hwsim.arch.isa import Format
from models.checkpoint import Checkpoint
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, block
from models.compress import Recipe, compress, rtn
from models.distill.machine import machine_of
from models.distill.prepared import Prepared
from models.distill.result import Result
from models.distill.settings import Settings
from models.distill.training import Training
from models.integer import IntegerModel
from tests.models.tiny import tiny_checkpoint

SETTINGS = Settings(
    sinks=4,
    window=12,
    length=24,
    batch=2,
    steps=12,
    block_share=0.25,
    mask_share=0.5,
    mask_every=2,
    calibration_sequences=4,
    sample_sequences=4,
    sample_length=16,
    sample_batch=2,
)


def small_checkpoint(tmp_path) -> Checkpoint:
    return tiny_checkpoint(tmp_path, is_tied=True)


def small_prepared(checkpoint: Checkpoint) -> Prepared:
    """Return what training reads, straight from a checkpoint."""
    weights = {}
    layers = {
        "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "o": ("self_attn.o_proj",),
        "gateup": ("mlp.gate_proj", "mlp.up_proj"),
        "down": ("mlp.down_proj",),
        "attention_norm": ("input_layernorm",),
        "ffn_norm": ("post_attention_layernorm",),
    }
    for layer in range(checkpoint.config.layers):
        for part, names in layers.items():
            held = [checkpoint.tensor(f"{block(layer, name)}.weight") for name in names]
            weights[f"layers.{layer}.{part}"] = torch.cat(held)
    weights["final_norm"] = checkpoint.tensor(f"{FINAL_NORM}.weight")
    table = checkpoint.tensor(f"{EMBEDDING}.weight")
    random = np.random.default_rng(1)
    draw = {name: random.integers(0, 96, 400).astype(np.uint16) for name in ("public-domain", "wikipedia", "held")}
    return Prepared(
        config=checkpoint.config,
        source="tiny",
        source_digest=checkpoint.digest,
        weights=weights,
        embedding=table,
        head=table,
        integer_head=torch.from_numpy(rtn.quantize(table, Format.W8).dequantize()).float(),
        texts={name: draw[name] for name in ("public-domain", "wikipedia")},
        evaluations={"held": draw["held"][:60]},
        chat=np.array([1, 5, 6], np.uint16),
        turn=np.array([7, 1], np.uint16),
        end=np.array([2]),
    )


def small_training(prepared: Prepared, settings: Settings = SETTINGS, samples=None, start: Result | None = None) -> Training:
    return Training(prepared, samples or {}, settings, machine_of("cpu"), lambda sentence: None, start=start)


def distilled(settings: Settings, result: str = "unread") -> Recipe:
    """Return the recipe that takes a training over."""
    steps = [{"method": "distill", "format": settings.format, "result": result}, {"method": "rtn", "format": "w8", "at": "head"}]
    return Recipe.from_document({"steps": steps, "attention": f"lambda:{settings.sinks}+{settings.window}"}, name="distilled")


def integer_model(result: Result, checkpoint: Checkpoint) -> IntegerModel:
    """Return what the engine gets of a training."""
    return compress(checkpoint, distilled(result.settings), training=result)
