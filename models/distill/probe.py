"""Tries a training machine in seconds on a small random teacher: whether compiled code runs, and whether it agrees."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models import matrices
from models.config import ModelConfig
from models.distill.attention import plan_of
from models.distill.machine import Machine, compiled
from models.distill.prepared import TEXTS, Prepared
from models.distill.sampling import Writer, prompts
from models.distill.settings import Settings
from models.distill.student import Block, plain_call
from models.distill.teacher import Teacher
from models.distill.training import Training
from models.matrices import layer_part

__all__ = ["Trial", "probe", "random_prepared"]

_STEPS = 6
_WEIGHT = 0.03


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """What a machine did with a random teacher.

    device: its name.
    has_wide_products: whether products of narrow floats may be asked for in float32.
    sampled_tokens_per_s_first, sampled_tokens_per_s_second: rates of the first text that was sampled, and of the next.
    graph_agreement: share of the first tokens that are the same without a captured graph; None where there are no graphs.
    distinct_sequences: sampled sequences that differ; None where there are no graphs.
    block: cosines of a block's outputs and gradients with those of plain code in float32.
    compiled_s: seconds of the first steps, compilation included.
    trained_tokens_per_s: rate of the steps after them.
    losses: along the way.
    peak_bytes: most memory of the device that was held; None on a processor.
    """

    device: str
    has_wide_products: bool
    sampled_tokens_per_s_first: float
    sampled_tokens_per_s_second: float
    graph_agreement: float | None = None
    distinct_sequences: int | None = None
    block: Mapping[str, float]
    compiled_s: float
    trained_tokens_per_s: float
    losses: tuple[float, ...]
    peak_bytes: int | None = None


def random_prepared(config: ModelConfig, seed: int) -> Prepared:
    """Return a random teacher of a geometry, with random texts."""
    random = torch.Generator().manual_seed(seed)
    weights: dict[str, torch.Tensor] = {matrices.FINAL_NORM: torch.ones(config.hidden)}
    for layer in range(config.layers):
        for part, shape in matrices.part_shapes(config).items():
            weights[layer_part(layer, part)] = torch.randn(shape, generator=random) * _WEIGHT
        weights[layer_part(layer, matrices.ATTENTION_NORM)] = torch.ones(config.hidden)
        weights[layer_part(layer, matrices.FFN_NORM)] = torch.ones(config.hidden)
    table = torch.randn((config.vocab, config.hidden), generator=random)
    numbers = np.random.default_rng(seed)
    texts = {name: numbers.integers(0, config.vocab, 1 << 16).astype(np.uint16) for name in TEXTS}
    return Prepared(
        config=config,
        source="random",
        source_digest="",
        weights=weights,
        embedding=table,
        head=table * _WEIGHT,
        integer_head=table * _WEIGHT,
        texts=texts,
        evaluations={},
        chat=np.array([1, 2, 3], np.uint16),
        turn=np.array([4, 5], np.uint16),
        end=np.array([6]),
    )


def probe(config: ModelConfig, settings: Settings, machine: Machine, folder: Path, tell: Callable[[str], None]) -> Trial:
    """Sample, train and compare on a random teacher, and return seconds, speeds and agreements.

    folder: where a state may be written.
    """
    prepared = random_prepared(config, settings.seed)
    device = machine.device
    teacher = Teacher(prepared, device, machine.dtype)
    is_graphed = device.type == "cuda"
    writer = Writer(teacher, prepared, settings, is_graphed=is_graphed)
    rates = []
    for _ in range(2):
        began = time.monotonic()
        text = writer.write(prompts(prepared, settings, 0), seed=settings.seed)
        rates.append(text.size / (time.monotonic() - began))
    agreement, distinct = None, None
    if is_graphed:
        again = Writer(teacher, prepared, settings, is_graphed=False).write(prompts(prepared, settings, 0), seed=settings.seed)
        agreement = float((again[:, : len(prepared.chat) + 2] == text[:, : len(prepared.chat) + 2]).mean())
        distinct = len(np.unique(text, axis=0))
    tell(f"sampled {rates[0]:.0f}, then {rates[1]:.0f} tokens/s; agreement {agreement}, {distinct} distinct sequences")
    del writer, teacher
    block = _compared(prepared, settings, machine, tell)
    settings = dataclasses.replace(settings, steps=4 * _STEPS, block_share=0.5, mask_share=0.75, mask_every=2)
    training = Training(prepared, {}, settings, machine, tell)
    path = folder / "probe" / "state.npz"
    path.unlink(missing_ok=True)
    training.open(path)
    began = time.monotonic()
    training.run(path, deadline=began + 1e6, steps=2 * _STEPS + 2)
    compiled_s = time.monotonic() - began
    before = training.course.trained_s
    training.run(path, deadline=began + 1e6, steps=_STEPS)
    tokens = _STEPS * settings.batch * settings.length
    path.unlink(missing_ok=True)
    return Trial(
        device=machine.name,
        has_wide_products=machine.has_wide_products,
        sampled_tokens_per_s_first=rates[0],
        sampled_tokens_per_s_second=rates[1],
        graph_agreement=agreement,
        distinct_sequences=distinct,
        block=block,
        compiled_s=compiled_s,
        trained_tokens_per_s=tokens / (training.course.trained_s - before),
        losses=tuple(entry["loss"] for entry in training.course.log),
        peak_bytes=torch.cuda.max_memory_allocated(device) if is_graphed else None,
    )


def _compared(prepared: Prepared, settings: Settings, machine: Machine, tell: Callable[[str], None]) -> dict[str, float]:
    """Return how outputs and gradients of one block agree between the machine's way and plain code in float32."""
    config, device = prepared.config, machine.device
    torch.manual_seed(settings.seed)
    block = Block(config, is_sparse=settings.is_sparse).to(device)
    for part in matrices.PARTS:
        weight = block.matrix(part)
        weight.start(prepared.weights[layer_part(0, part)].to(device), torch.ones(weight.latent.shape[1], device=device))
    x = torch.randn((2, settings.length, config.hidden), device=device)
    wanted = torch.randn_like(x)
    leak = torch.zeros((), device=device)
    outcomes = []
    for kind, dtype, call in (
        ("masked", torch.float32, plain_call),
        (machine.kernel, machine.dtype, compiled(plain_call) if machine.is_compiled else plain_call),
    ):
        plan = plan_of(config, settings, settings.length, kind=kind, device=device, dtype=dtype)
        block.zero_grad()
        start = x.clone().requires_grad_()
        made = call(block, start, plan, leak)
        (made * wanted).sum().backward()
        assert start.grad is not None
        gradients = [block.matrix(part).latent.grad for part in matrices.PARTS]
        # The stream goes past the block as it is: what the block adds is compared.
        outcomes.append([made - start, start.grad - wanted, *(each for each in gradients if each is not None)])
    names = ("update", "input_gradient", *(f"{part}_gradient" for part in matrices.PARTS))
    found = {
        name: float(functional.cosine_similarity(own.detach().flatten(), other.detach().flatten(), dim=0))
        for name, own, other in zip(names, *outcomes, strict=True)
    }
    tell(f"cosines with plain code: {found}")
    return found
