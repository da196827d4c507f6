"""The teacher: the float model, asked for predictions, for the inputs of its layers, and for text token by token."""

import math
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from models import matrices
from models.distill.attention import AttentionPlan, rotate
from models.distill.prepared import Prepared
from models.distill.student import normed
from models.matrices import PARTS, layer_part
from models.reference.rope import Rotary

__all__ = ["Layer", "LayerCall", "Teacher", "forward"]

Record = Callable[[str, torch.Tensor], None]
"""Called with the name of a matrix's part and its inputs."""


def _nothing(part: str, rows: torch.Tensor) -> None:
    """Record nothing."""


class Layer:
    """One layer's weights: matrices in the type of the products, gains in float32."""

    def __init__(self, prepared: Prepared, index: int, device: torch.device, dtype: torch.dtype) -> None:
        self.config = prepared.config
        weights = prepared.weights
        self.matrices = {part: weights[layer_part(index, part)].to(device, dtype) for part in PARTS}
        self.attention_norm = weights[layer_part(index, matrices.ATTENTION_NORM)].to(device)
        self.ffn_norm = weights[layer_part(index, matrices.FFN_NORM)].to(device)

    def linear(self, part: str, inputs: torch.Tensor) -> torch.Tensor:
        """Return a matrix's results in float32."""
        weight = self.matrices[part]
        return functional.linear(inputs.to(weight.dtype), weight).float()

    def heads(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return queries, keys and values of normalized rows, [..., heads, tokens, head_dim]."""
        config = self.config
        flat = self.linear("qkv", x).unflatten(-1, (-1, config.head_dim)).transpose(-3, -2)
        return flat.split([config.heads, config.kv_heads, config.kv_heads], dim=-3)


LayerCall = Callable[[Layer, torch.Tensor, torch.Tensor], torch.Tensor]
"""Runs a layer, compiled or not: (layer, stream, rotation) to the stream after it."""


def forward(
    layer: Layer, x: torch.Tensor, rotation: torch.Tensor, record: Record = _nothing, plan: AttentionPlan | None = None
) -> torch.Tensor:
    """Return the stream after a layer, float32 [batch, tokens, hidden].

    rotation: cosine and sine of the tokens' positions, [2, tokens, head_dim / 2].
    record: is called with the inputs of every matrix.
    plan: that of Λ attention; None for dense attention.
    """
    config, dtype = layer.config, layer.matrices["o"].dtype
    rows = normed(x, layer.attention_norm, config.norm_eps)
    record("qkv", rows)
    queries, keys, values = layer.heads(rows)
    own, turned = rotate(queries, rotation), rotate(keys, rotation)
    if plan is None:
        mixed = functional.scaled_dot_product_attention(
            own.to(dtype), turned.to(dtype), values.to(dtype), is_causal=True, enable_gqa=config.group > 1
        ).float()
    else:
        mixed = _lambda(own, rotate(queries, plan.towards_sinks), turned, values, plan)
    rows = mixed.transpose(1, 2).flatten(2)
    record("o", rows)
    x = x + layer.linear("o", rows)
    rows = normed(x, layer.ffn_norm, config.norm_eps)
    record("gateup", rows)
    gate, up = layer.linear("gateup", rows).chunk(2, dim=-1)
    rows = functional.silu(gate) * up
    record("down", rows)
    return x + layer.linear("down", rows)


def _lambda(
    own: torch.Tensor, towards_sinks: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, plan: AttentionPlan
) -> torch.Tensor:
    keys, values = (part.repeat_interleave(plan.group, dim=1) for part in (keys, values))
    columns = keys.transpose(-1, -2)
    scores = torch.where(plan.is_sink[:, 0], towards_sinks @ columns, own @ columns) / math.sqrt(own.shape[-1])
    return torch.softmax(scores.masked_fill(~plan.mask, -torch.inf), dim=-1) @ values


class Teacher:
    """The float model on a device; products are computed in `dtype`."""

    def __init__(self, prepared: Prepared, device: torch.device, dtype: torch.dtype) -> None:
        self.config = prepared.config
        self.layers = [Layer(prepared, index, device, dtype) for index in range(self.config.layers)]
        self.embedding = prepared.embedding.to(device)
        self.head = prepared.head.to(device, dtype)
        self.final_norm = prepared.weights[matrices.FINAL_NORM].to(device)
        self.device, self.dtype = device, dtype
        self._rotary = Rotary(self.config)

    def rotation(self, length: int) -> torch.Tensor:
        """Return cosine and sine of the first positions, [2, length, head_dim / 2]."""
        return torch.stack(self._rotary.tables(torch.arange(length))).to(self.device)

    @torch.no_grad()
    def streams(self, tokens: torch.Tensor, rotation: torch.Tensor, call: LayerCall = forward) -> list[torch.Tensor]:
        """Return the streams before the first layer and after each, float32 [batch, tokens, hidden]."""
        found = [functional.embedding(tokens, self.embedding)]
        for layer in self.layers:
            found.append(call(layer, found[-1], rotation))
        return found

    def final(self, x: torch.Tensor) -> torch.Tensor:
        """Return what enters the head, in the type of the products."""
        return normed(x, self.final_norm, self.config.norm_eps).to(self.dtype)

    @torch.no_grad()
    def logits(self, tokens: torch.Tensor, plan: AttentionPlan | None = None) -> torch.Tensor:
        """Return the logits, float32 [batch, tokens, vocab], under dense or Λ attention."""
        rotation = self.rotation(tokens.shape[1])
        x = functional.embedding(tokens, self.embedding)
        for layer in self.layers:
            x = forward(layer, x, rotation, plan=plan)
        return functional.linear(self.final(x), self.head).float()

    @torch.no_grad()
    def energies(self, batches: Iterator[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the mean square of every input of every matrix over batches of tokens, float32 [inputs] by name."""
        sums: dict[str, torch.Tensor] = {}
        rows = 0
        for tokens in batches:
            rotation = self.rotation(tokens.shape[1])
            x = functional.embedding(tokens, self.embedding)
            rows += tokens.numel()
            for index, layer in enumerate(self.layers):

                def add(part: str, inputs: torch.Tensor, index: int = index) -> None:
                    name = layer_part(index, part)
                    squares = inputs.square().sum((0, 1), dtype=torch.float64)
                    sums[name] = sums[name] + squares if name in sums else squares

                x = forward(layer, x, rotation, record=add)
        return {name: (total / rows).float() for name, total in sums.items()}
