"""The forward pass of a Llama-family decoder, in the order in which it runs."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from hwsim.errors import SpecError, shown
from models.attention import Dense, Geometry, LambdaShape, LayerAttention, Pattern
from models.checkpoint import Checkpoint
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, HEAD, block
from models.config import ModelConfig
from models.matrices import HEAD_NORMS, KEY_NORM, QUERY_NORM
from models.reference.rope import Rotary

__all__ = ["Llama", "rms_norm", "trained_pattern"]


def rms_norm(hidden: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """Return `hidden`, [..., hidden], each vector divided by its root mean square and scaled by `weight`."""
    return hidden * torch.rsqrt(hidden.square().mean(dim=-1, keepdim=True) + eps) * weight


def trained_pattern(config: ModelConfig) -> Pattern:
    """Return the attention the model was trained with: dense, or its sliding window."""
    if config.sliding_window is None:
        return Dense()
    return LambdaShape(sinks=0, window=config.sliding_window)


class Llama:
    """The float reference of one checkpoint.

    checkpoint: weights, read by name when first needed.
    pattern: attention of every layer; None takes the one the model was trained with.
    is_resident: whether weights stay in memory once read; a model larger than memory sets it to false.

    Not differentiated: everything runs without gradients.
    """

    def __init__(self, checkpoint: Checkpoint, *, pattern: Pattern | None = None, is_resident: bool = True) -> None:
        self.checkpoint = checkpoint
        self.config: ModelConfig = checkpoint.config
        self.pattern = trained_pattern(checkpoint.config) if pattern is None else pattern
        self.geometry = Geometry(
            heads=checkpoint.config.heads,
            kv_heads=checkpoint.config.kv_heads,
            head_dim=checkpoint.config.head_dim,
            rotate=Rotary(checkpoint.config),
        )
        self._is_resident = is_resident
        self._resident: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the logits after each of `tokens`, [tokens, vocab], from an empty cache."""
        return self.head(self.hidden_states(tokens, self.open()))

    @torch.no_grad()
    def hidden_states(self, tokens: Sequence[int], caches: Sequence[LayerAttention]) -> torch.Tensor:
        """Return the residual stream after the last block, [tokens, hidden]; the caches grow by the tokens."""
        hidden = self.embed(tokens)
        for index, attention in enumerate(caches):
            hidden = self.layer(index, hidden, attention)
        return hidden

    def open(self, pattern: Pattern | None = None) -> list[LayerAttention]:
        """Return one empty cache per layer, of `pattern` or the model's own."""
        chosen = self.pattern if pattern is None else pattern
        return [chosen.layer(self.geometry) for _ in range(self.config.layers)]

    @torch.no_grad()
    def embed(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the embeddings of `tokens`, [tokens, hidden]; SpecError on a token outside the vocabulary."""
        if len(tokens) == 0:
            raise SpecError("A text must have at least one token, not none")
        for token in tokens:
            if not 0 <= token < self.config.vocab:
                raise SpecError(f"Token must be between 0 and {self.config.vocab - 1}, not {shown(token)}")
        return functional.embedding(torch.tensor(tokens), self.weight(f"{EMBEDDING}.weight"))

    @torch.no_grad()
    def layer(self, index: int, hidden: torch.Tensor, attention: LayerAttention | None = None) -> torch.Tensor:
        """Return the residual stream after block `index`.

        hidden: the stream before it, [tokens, hidden], of consecutive tokens.
        attention: the layer's cache, whose length is the position of the first token; None for an empty one.
        """
        cache = self.pattern.layer(self.geometry) if attention is None else attention
        hidden = hidden + self.attention(index, self.norm(block(index, "input_layernorm"), hidden), cache)
        return hidden + self.feed_forward(index, self.norm(block(index, "post_attention_layernorm"), hidden))

    def norm(self, name: str, hidden: torch.Tensor) -> torch.Tensor:
        """Return `hidden`, [..., hidden], under the RMSNorm called `name`."""
        return rms_norm(hidden, self.weight(f"{name}.weight"), self.config.norm_eps)

    def attention(self, index: int, normed: torch.Tensor, cache: LayerAttention) -> torch.Tensor:
        """Return the update that the attention of block `index` makes, [tokens, hidden]."""
        q = self._heads(self.linear(block(index, "self_attn.q_proj"), normed))
        k = self._heads(self.linear(block(index, "self_attn.k_proj"), normed))
        v = self._heads(self.linear(block(index, "self_attn.v_proj"), normed))
        if self.config.has_head_norms:
            q, k = self.norm(block(index, HEAD_NORMS[QUERY_NORM]), q), self.norm(block(index, HEAD_NORMS[KEY_NORM]), k)
        if len(normed) == 1:
            cache.append(k, v)
            mixed = cache.attend(q, cache.select(q))
        else:
            mixed = cache.prefill(q, k, v)
        return self.linear(block(index, "self_attn.o_proj"), mixed.transpose(0, 1).flatten(1))

    def feed_forward(self, index: int, normed: torch.Tensor) -> torch.Tensor:
        """Return the update that the gated feed-forward layer of block `index` makes, [tokens, hidden]."""
        gate = functional.silu(self.linear(block(index, "mlp.gate_proj"), normed))
        up = self.linear(block(index, "mlp.up_proj"), normed)
        return self.linear(block(index, "mlp.down_proj"), gate * up)

    @torch.no_grad()
    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits, [tokens, vocab], of the residual stream after the last block."""
        return self.linear(HEAD, self.norm(FINAL_NORM, hidden))

    def linear(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        """Return the linear layer `name`, the head included, of `inputs`, [tokens, in] to [tokens, out]."""
        if name == HEAD and self.config.tied_head:
            return functional.linear(inputs, self.weight(f"{EMBEDDING}.weight"))
        bias = f"{name}.bias"
        return functional.linear(
            inputs, self.weight(f"{name}.weight"), self.weight(bias) if bias in self.checkpoint.weights else None
        )

    def weight(self, name: str) -> torch.Tensor:
        """Return the tensor called `name`, float32."""
        if name in self._resident:
            return self._resident[name]
        tensor = self.checkpoint.tensor(name)
        if self._is_resident:
            self._resident[name] = tensor
        return tensor

    def _heads(self, flat: torch.Tensor) -> torch.Tensor:
        """Split [tokens, heads * head_dim] into [heads, tokens, head_dim]."""
        return flat.view(len(flat), -1, self.config.head_dim).transpose(0, 1)
