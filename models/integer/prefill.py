"""Knows how to feed many tokens at once, in PyTorch, with the bits of feeding them one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from hwsim.arch.numerics import saturate
from hwsim.errors import SpecError
from models.integer import ops
from models.integer.cache import State
from models.integer.constants import NORM_SHIFT, epsilon, inverse_hidden, rope_table, score_scale
from models.integer.exact import scaled
from models.integer.model import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD, IntegerModel, layer_part
from models.integer.ops import KvEntry, Quantized
from models.integer.weights import Weights

__all__ = ["Prefill"]

# Tokens that pass through a layer together: bounds memory.
_CHUNK = 1024
# Queries whose scores are formed together: small enough that a window of 252 keys wastes little.
_BLOCK = 64
# Elements an elementwise operation handles at once: its temporaries stay in the processor's cache.
_ELEMENTS = 1 << 16


class Prefill:
    """The forward pass over many tokens."""

    def __init__(self, model: IntegerModel, weights: Weights) -> None:
        self._model = model
        self._config = model.config
        self._weights = weights
        self._epsilon = epsilon(model.config)
        self._score_scale = score_scale(model.config)

    @torch.no_grad()
    def hidden_states(self, state: State, tokens: Sequence[int]) -> torch.Tensor:
        """Feed tokens and return the residual rows after the last layer, int64 [tokens, hidden].

        Raises:
            SpecError: there is no token, or one is outside the vocabulary.
        """
        if len(tokens) == 0:
            raise SpecError("Tokens must be at least one, not none")
        embedded = self._model.embedding.rows(tokens)
        parts = []
        for first in range(0, len(tokens), _CHUNK):
            x = torch.from_numpy(embedded[first : first + _CHUNK]).to(torch.int64)
            state.reserve(state.length + len(x))
            for layer in range(self._config.layers):
                x = self._attention(state, layer, x)
                x = self._feed_forward(layer, x)
            state.length += len(x)
            parts.append(x)
        return torch.cat(parts)

    @torch.no_grad()
    def head(self, x: torch.Tensor) -> torch.Tensor:
        """Return the fixed logits of residual rows, int32 [tokens, vocab]."""
        normed = self._norm(FINAL_NORM, x)
        weights = self._weights.double(HEAD)
        out = torch.empty((len(x), self._config.vocab), dtype=torch.int32)
        for rows in _slices(len(x), _BLOCK):
            out[rows] = self._results(HEAD, weights, _take(normed, rows)).to(torch.int32)
        return out

    def _attention(self, state: State, layer: int, x: torch.Tensor) -> torch.Tensor:
        config, tokens = self._config, len(x)
        name = layer_part(layer, "qkv")
        flat = self._linear(name, self._norm(layer_part(layer, ATTENTION_NORM), x))
        if name in self._model.biases:
            flat = saturate(flat + torch.from_numpy(self._model.biases[name]), 32)
        heads = flat.view(tokens, -1, config.head_dim)
        positions = np.arange(state.length, state.length + tokens)
        rotation = self._rotations(positions)
        towards_sinks = self._rotations(np.minimum(positions, state.sinks + state.window - 1))
        new_keys = ops.kv_quantize(ops.rotate(heads[:, config.heads : config.heads + config.kv_heads], rotation))
        new_values = ops.kv_quantize(heads[:, config.heads + config.kv_heads :])
        held = state.kept(state.length)
        keys = _joined(state.keys[layer].read(state.slots_of(held)), new_keys)
        values = _joined(state.values[layer].read(state.slots_of(held)), new_values)
        key_positions = torch.from_numpy(np.concatenate([held, positions]))
        self._store(state, layer, positions, new_keys, new_values)
        attended = torch.empty((tokens, config.heads, config.head_dim), dtype=torch.int64)
        for rows in _slices(tokens, _BLOCK):
            queries = heads[rows, : config.heads]
            turned = [ops.rotate_query(queries, r[rows], self._score_scale) for r in (towards_sinks, rotation)]
            own = torch.from_numpy(positions[rows])
            attended[rows] = self._block(state, turned, own, keys, values, key_positions)
        return self._residual(layer_part(layer, "o"), x, _by_rows(ops.quantize, attended.view(tokens, -1)))

    def _block(
        self,
        state: State,
        turned: list[Quantized],
        positions: torch.Tensor,
        keys: KvEntry,
        values: KvEntry,
        key_positions: torch.Tensor,
    ) -> torch.Tensor:
        """Return what a block of queries reads, fixed [queries, heads, head_dim].

        keys, values: [kv_heads, tokens, ...] of the tokens at `key_positions`, ascending.
        """
        config, queries = self._config, len(positions)
        sinks = int((key_positions < min(state.sinks, int(positions[-1]) + 1)).sum())
        first = int((key_positions < int(positions[0]) - state.window + 1).sum())
        stop = int((key_positions <= int(positions[-1])).sum())
        ring = slice(max(first, sinks), stop)
        spans = (slice(0, sinks), ring)
        shape = (config.kv_heads, config.group * queries, -1)
        parts = []
        for query, span in zip(turned, spans, strict=True):
            codes = query.codes.to(torch.float64).transpose(0, 1).reshape(shape)
            scale = tuple(part.transpose(0, 1).reshape(shape) for part in query.scale)
            centered = (keys.codes[:, span] - keys.zero[:, span, None]).to(torch.float64)
            row_scale = keys.scale[0][:, None, span], keys.scale[1][:, None, span]
            if span.start < span.stop:
                parts.append(scaled(codes @ centered.transpose(1, 2), row_scale, (scale[0], scale[1])))
        scores = torch.cat(parts, dim=-1).to(torch.int64)
        both = torch.cat([torch.arange(span.start, span.stop) for span in spans])
        read = key_positions[both]
        own = positions[:, None]
        valid = (read <= own) & ((read < state.sinks) | (read > own - state.window))
        weighed = KvEntry(
            values.codes[:, both], (values.scale[0][:, both], values.scale[1][:, both]), values.zero[:, both]
        )
        coefficients = ops.softmax(
            scores,
            valid.repeat(config.group, 1),
            (weighed.scale[0][:, None], weighed.scale[1][:, None]),
            weighed.zero[:, None],
        )
        sums = coefficients.codes.to(torch.float64) @ weighed.codes.to(torch.float64)
        mixed = ops.weighted_sum(sums.to(torch.int64), coefficients)
        return mixed.view(config.heads, queries, config.head_dim).transpose(0, 1)

    def _store(self, state: State, layer: int, positions: np.ndarray, keys: KvEntry, values: KvEntry) -> None:
        """Put those of the new tokens into the caches that are still held after the last of them."""
        kept = state.kept(int(positions[-1]) + 1)
        kept = kept[kept >= positions[0]]
        index = torch.from_numpy(kept - positions[0])
        for cache, entry in ((state.keys[layer], keys), (state.values[layer], values)):
            mantissa, exponent, zero = (part[index].T.numpy() for part in (*entry.scale, entry.zero))
            codes = entry.codes[index].transpose(0, 1).numpy()
            cache.write(state.slots_of(kept), KvEntry(codes, (mantissa, exponent), zero))

    def _feed_forward(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        flat = self._linear(layer_part(layer, "gateup"), self._norm(layer_part(layer, FFN_NORM), x))
        ffn = self._config.ffn
        product = _by_rows(lambda rows: ops.swiglu(rows[:, :ffn], rows[:, ffn:]), flat)
        return self._residual(layer_part(layer, "down"), x, product)

    def _residual(self, name: str, x: torch.Tensor, quantized: Quantized) -> torch.Tensor:
        return saturate(x + self._linear(name, quantized), 32)

    def _norm(self, name: str, x: torch.Tensor) -> Quantized:
        gain = self._model.gains[name]
        values = torch.from_numpy(gain.values).to(torch.int64)
        inverse = inverse_hidden(self._config, gain)
        return _by_rows(lambda rows: ops.norm(rows, values, NORM_SHIFT, self._epsilon, inverse), x)

    def _linear(self, name: str, quantized: Quantized) -> torch.Tensor:
        return self._results(name, self._weights.double(name), quantized)

    def _results(self, name: str, weights: torch.Tensor, quantized: Quantized) -> torch.Tensor:
        """Return the fixed results of a matrix, int64 [tokens, rows]."""
        mantissa, exponent = (torch.from_numpy(part) for part in self._weights.row_scale(name))
        accumulated = quantized.codes.to(torch.float64) @ weights.T
        out = torch.empty(accumulated.shape, dtype=torch.int64)
        for rows in _slices(len(out), max(1, _ELEMENTS // out.shape[1])):
            scale = quantized.scale[0][rows, None], quantized.scale[1][rows, None]
            out[rows] = scaled(accumulated[rows], (mantissa, exponent), scale)
        return out

    def _rotations(self, positions: np.ndarray) -> torch.Tensor:
        """Return rotations that broadcast over heads, int64 [tokens, 1, head_dim, 2]."""
        return torch.from_numpy(rope_table(self._config, positions)).to(torch.int64)[:, None]


def _slices(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _take(quantized: Quantized, rows: slice) -> Quantized:
    return Quantized(quantized.codes[rows], (quantized.scale[0][rows], quantized.scale[1][rows]))


def _by_rows(function: Callable[[torch.Tensor], Quantized], x: torch.Tensor) -> Quantized:
    """Return what `function` makes of x, [tokens, elements], a few rows at a time."""
    parts = [function(x[rows]) for rows in _slices(len(x), max(1, _ELEMENTS // x.shape[1]))]
    mantissa, exponent = (torch.cat([part.scale[index] for part in parts]) for index in (0, 1))
    return Quantized(torch.cat([part.codes for part in parts]), (mantissa, exponent))


def _joined(held: KvEntry, new: KvEntry) -> KvEntry:
    """Return cache entries, [kv_heads, tokens, ...], of tokens held and of new tokens, [tokens, kv_heads, ...]."""

    def join(old: np.ndarray, fresh: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.from_numpy(old), fresh.transpose(0, 1)], dim=1)

    scale = join(held.scale[0], new.scale[0]), join(held.scale[1], new.scale[1])
    return KvEntry(join(held.codes, new.codes), scale, join(held.zero, new.zero))
