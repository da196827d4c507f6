"""The student: the model in training, whose forward pass rounds where the engine rounds."""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hwsim.arch.numerics import FRACTION_BITS
from models import matrices
from models.config import ModelConfig
from models.distill.attention import AttentionPlan, attend
from models.distill.prepared import Prepared
from models.distill.rounding import act_codes, half_up, table_codes
from models.distill.settings import Settings
from models.distill.weight import Stored, TrainedWeight
from models.matrices import PARTS, layer_part

__all__ = ["Block", "BlockCall", "Student", "host_table", "normed", "plain_call"]

BlockCall = Callable[["Block", torch.Tensor, AttentionPlan, torch.Tensor], torch.Tensor]
"""Runs a block, compiled or not: (block, residual stream, plan, leak) to the stream after it."""


def normed(x: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return rows divided by their root mean square, times the gains."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon) * gain


def host_table(table: torch.Tensor) -> torch.Tensor:
    """Return an embedding table as the host stores it: 8-bit codes in groups of 32 where these divide, 16-bit float scales."""
    codes, scales = table_codes(table)
    return (codes * scales.float()[..., None]).flatten(1)


class Block(nn.Module):
    """A layer: attention, then the gated feed-forward part."""

    def __init__(self, config: ModelConfig, *, is_sparse: bool) -> None:
        super().__init__()
        self.config = config
        self.attention_norm = nn.Parameter(torch.ones(config.hidden))
        self.ffn_norm = nn.Parameter(torch.ones(config.hidden))
        for part, (rows, inputs) in matrices.part_shapes(config).items():
            setattr(self, part, TrainedWeight(rows, inputs, is_sparse=is_sparse))

    def matrix(self, part: str) -> TrainedWeight:
        """Return one of the block's matrices."""
        return cast(TrainedWeight, getattr(self, part))

    def forward(self, x: torch.Tensor, plan: AttentionPlan, leak: torch.Tensor) -> torch.Tensor:
        """Return the residual stream after the block, float32 [batch, tokens, hidden].

        leak: see TrainedWeight.effective.
        """
        config = self.config
        flat = self._linear("qkv", normed(x, self.attention_norm, config.norm_eps), plan, leak)
        heads = flat.unflatten(-1, (-1, config.head_dim)).transpose(1, 2)
        queries, keys, values = heads.split([config.heads, config.kv_heads, config.kv_heads], dim=1)
        mixed = attend(queries, keys, values, plan).transpose(1, 2).flatten(2)
        x = x + self._linear("o", mixed, plan, leak)
        flat = self._linear("gateup", normed(x, self.ffn_norm, config.norm_eps), plan, leak)
        gate, up = flat.chunk(2, dim=-1)
        return x + self._linear("down", functional.silu(gate) * up, plan, leak)

    def _linear(self, part: str, inputs: torch.Tensor, plan: AttentionPlan, leak: torch.Tensor) -> torch.Tensor:
        # Codes are whole numbers up to 127, which every float type holds exactly; their scale comes after the product.
        codes, scale = act_codes(inputs)
        weight = self.matrix(part).effective(leak)
        return functional.linear(codes.to(plan.dtype), weight.to(plan.dtype)).float() * scale


def plain_call(block: Block, x: torch.Tensor, plan: AttentionPlan, leak: torch.Tensor) -> torch.Tensor:
    """Run a block as it is."""
    return cast(torch.Tensor, block(x, plan, leak))


class Student(nn.Module):
    """The model; embedding and head are frozen."""

    embedding: torch.Tensor
    head: torch.Tensor

    def __init__(self, config: ModelConfig, settings: Settings) -> None:
        super().__init__()
        self.config = config
        self.settings = settings
        self.blocks = nn.ModuleList(Block(config, is_sparse=settings.is_sparse) for _ in range(config.layers))
        self.final_norm = nn.Parameter(torch.ones(config.hidden))
        self.register_buffer("embedding", torch.zeros(config.vocab, config.hidden), persistent=False)
        self.register_buffer("head", torch.zeros(config.vocab, config.hidden), persistent=False)

    @torch.no_grad()
    def take_frozen(self, prepared: Prepared) -> None:
        """Set embedding and head to the values that host and engine store."""
        one = 1 << FRACTION_BITS
        self.embedding.copy_(half_up(host_table(prepared.embedding).double() * one) / one)
        self.head.copy_(prepared.integer_head)

    @torch.no_grad()
    def start(self, prepared: Prepared, energies: dict[str, torch.Tensor], tell: Callable[[str], None]) -> None:
        """Begin from the teacher's weights, rounded to this model's grid.

        energies: mean squares of the inputs of every matrix, by name.
        """
        device = self.final_norm.device
        for index, block in enumerate(self.layers()):
            for part in PARTS:
                name = layer_part(index, part)
                block.matrix(part).start(prepared.weights[name].to(device), energies[name].to(device))
            block.attention_norm.copy_(prepared.weights[layer_part(index, matrices.ATTENTION_NORM)])
            block.ffn_norm.copy_(prepared.weights[layer_part(index, matrices.FFN_NORM)])
            if (index + 1) % 10 == 0 or index + 1 == self.config.layers:
                tell(f"grids of {index + 1} of {self.config.layers} layers found")
        self.final_norm.copy_(prepared.weights[matrices.FINAL_NORM])

    @torch.no_grad()
    def take(self, stored: Mapping[str, Stored], gains: Mapping[str, np.ndarray], energies: Mapping[str, torch.Tensor]) -> None:
        """Begin as the student that a training ended with, by the names of models.matrices.

        energies: mean squares of the inputs of every matrix.
        """
        for name, weight in self.weights():
            weight.take(stored[name], energies[name])
        for index, block in enumerate(self.layers()):
            for part, gain in ((matrices.ATTENTION_NORM, block.attention_norm), (matrices.FFN_NORM, block.ffn_norm)):
                gain.copy_(torch.from_numpy(gains[layer_part(index, part)]))
        self.final_norm.copy_(torch.from_numpy(gains[matrices.FINAL_NORM]))

    def layers(self) -> Iterator[Block]:
        """Yield the blocks in order."""
        for block in self.blocks:
            yield cast(Block, block)

    def weights(self) -> Iterator[tuple[str, TrainedWeight]]:
        """Yield the matrices by name."""
        for index, block in enumerate(self.layers()):
            for part in PARTS:
                yield layer_part(index, part), block.matrix(part)

    def streams(
        self, tokens: torch.Tensor, plan: AttentionPlan, leak: torch.Tensor, call: BlockCall = plain_call
    ) -> Iterator[torch.Tensor]:
        """Yield the residual stream after each block, [batch, tokens, hidden]."""
        x = functional.embedding(tokens, self.embedding)
        for block in self.layers():
            x = call(block, x, plan, leak)
            yield x

    def final_codes(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes and scales that enter the head, of the stream after the last block."""
        return act_codes(normed(x, self.final_norm, self.config.norm_eps))

    @torch.no_grad()
    def logits(self, tokens: torch.Tensor, plan: AttentionPlan) -> torch.Tensor:
        """Return the logits, float32 [batch, tokens, vocab]."""
        leak = torch.zeros((), device=tokens.device)
        x = None
        for after in self.streams(tokens, plan, leak):
            x = after
        assert x is not None
        codes, scale = self.final_codes(x)
        return functional.linear(codes, self.head) * scale
