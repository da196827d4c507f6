"""Knows how to feed many tokens at once, in compiled loops, with the bits of feeding them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from hwsim.arch.numerics import NORM_SHIFT, saturate
from hwsim.errors import SpecError
from models.integer import kernels
from models.integer.cache import LayerCache, State
from models.integer.constants import epsilon, inverse_hidden, rope_table, score_scale
from models.integer.model import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD, IntegerModel, layer_part
from models.integer.ops import KvEntry
from models.integer.weights import Weights

__all__ = ["Prefill"]

# Tokens that pass through a layer together: bounds memory.
_CHUNK = 1024
# Tokens whose logits are formed together: bounds memory.
_HEAD_CHUNK = 128


class _Rows(NamedTuple):
    """Quantized vectors of many tokens: codes with the tokens first, and one scale each."""

    codes: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...], dtype: type) -> _Rows:
        """Return room for codes of this shape, the last axis being the elements."""
        return cls(np.empty(shape, dtype), np.empty(shape[:-1], np.int64), np.empty(shape[:-1], np.int64))


class _Cached(NamedTuple):
    """Keys or values of a layer, heads first: int16 codes [kv_heads, tokens, head_dim], the rest [kv_heads, tokens]."""

    codes: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray
    zero: np.ndarray


class Prefill:
    """The forward pass over many tokens."""

    def __init__(self, model: IntegerModel, weights: Weights) -> None:
        self._model = model
        self._config = model.config
        self._weights = weights
        self._epsilon = epsilon(model.config)
        self._score_scale = score_scale(model.config)

    def hidden_states(self, state: State, tokens: Sequence[int]) -> np.ndarray:
        """Feed tokens and return the residual rows after the last layer, int64 [tokens, hidden].

        Raises:
            SpecError: there is no token, or one is outside the vocabulary.
        """
        if len(tokens) == 0:
            raise SpecError("Tokens must be at least one, not none")
        embedded = self._model.embedding.rows(tokens).astype(np.int64)
        parts = []
        for first in range(0, len(tokens), _CHUNK):
            x = embedded[first : first + _CHUNK]
            positions = np.arange(state.length, state.length + len(x))
            state.reserve(state.length + len(x))
            rotations = [
                rope_table(self._config, own).astype(np.int64)
                for own in (np.minimum(positions, state.sinks + state.window - 1), positions)
            ]
            for layer in range(self._config.layers):
                x = self._attention(state, layer, x, positions, rotations)
                x = self._feed_forward(layer, x)
            state.length += len(x)
            parts.append(x)
        return np.concatenate(parts)

    def head(self, x: np.ndarray) -> np.ndarray:
        """Return the fixed logits of residual rows, int32 [tokens, vocab]."""
        normed = self._norm(FINAL_NORM, x)
        weights = self._weights.double(HEAD)
        out = np.empty((len(x), self._config.vocab), np.int32)
        for start in range(0, len(x), _HEAD_CHUNK):
            rows = slice(start, min(start + _HEAD_CHUNK, len(x)))
            self._results(HEAD, weights, _Rows(*(part[rows] for part in normed)), out[rows])
        return out

    def _attention(self, state: State, layer: int, x: np.ndarray, positions: np.ndarray, rotations: list[np.ndarray]) -> np.ndarray:
        config, tokens = self._config, len(x)
        name = layer_part(layer, "qkv")
        flat = self._linear(name, self._norm(layer_part(layer, ATTENTION_NORM), x))
        if name in self._model.biases:
            flat = saturate(flat + self._model.biases[name], 32)
        queries, keys, values = np.split(
            flat.reshape(tokens, -1, config.head_dim), [config.heads, config.heads + config.kv_heads], axis=1
        )
        turned = []
        for rotation in rotations:
            rows = _Rows.empty(queries.shape, np.int16)
            kernels.query_rows(queries, rotation, *self._score_scale, *rows)
            turned.append(rows)
        held = np.concatenate([state.kept(state.length), positions])
        read_keys = self._cached(state, state.keys[layer], positions, keys, rotations[1], is_key=True)
        read_values = self._cached(state, state.values[layer], positions, values, rotations[1], is_key=False)
        attended = np.empty((tokens, config.heads, config.head_dim), np.int64)
        kernels.attend_rows(
            int(positions[0]),
            state.sinks,
            state.window,
            held,
            *turned[0],
            *turned[1],
            *read_keys,
            *read_values,
            attended,
        )
        quantized = _Rows.empty((tokens, config.heads * config.head_dim), np.float64)
        kernels.quantize_rows(attended.reshape(tokens, -1), *quantized)
        return self._residual(layer_part(layer, "o"), x, quantized)

    def _cached(
        self,
        state: State,
        cache: LayerCache,
        positions: np.ndarray,
        heads: np.ndarray,
        rotations: np.ndarray,
        *,
        is_key: bool,
    ) -> _Cached:
        """Return what a cache holds followed by the heads of new tokens, and put those into it that stay.

        heads: fixed [tokens, kv_heads, head_dim], of the tokens at `positions`.
        """
        tokens, kv_heads, width = heads.shape
        new = _Cached(np.empty((kv_heads, tokens, width), np.int16), *np.empty((3, kv_heads, tokens), np.int64))
        kernels.kv_rows(heads, rotations, is_key, *new)
        old = cache.read(state.slots_of(state.kept(state.length)))
        kept = state.kept(int(positions[-1]) + 1)
        kept = kept[kept >= positions[0]]
        codes, mantissa, exponent, zero = (part[:, kept - positions[0]] for part in new)
        cache.write(state.slots_of(kept), KvEntry(codes, (mantissa, exponent), zero))
        return _Cached(
            np.concatenate([old.codes.astype(np.int16), new.codes], axis=1),
            np.concatenate([old.scale[0], new.mantissa], axis=1),
            np.concatenate([old.scale[1], new.exponent], axis=1),
            np.concatenate([old.zero, new.zero], axis=1),
        )

    def _feed_forward(self, layer: int, x: np.ndarray) -> np.ndarray:
        flat = self._linear(layer_part(layer, "gateup"), self._norm(layer_part(layer, FFN_NORM), x))
        product = _Rows.empty((len(x), self._config.ffn), np.float64)
        kernels.swiglu_rows(flat, *product)
        return self._residual(layer_part(layer, "down"), x, product)

    def _residual(self, name: str, x: np.ndarray, quantized: _Rows) -> np.ndarray:
        return saturate(x + self._linear(name, quantized), 32)

    def _norm(self, name: str, x: np.ndarray) -> _Rows:
        gain = self._model.gains[name]
        normed = _Rows.empty(x.shape, np.float64)
        length = inverse_hidden(self._config, gain)
        kernels.norm_rows(x, gain.values.astype(np.int64), NORM_SHIFT, self._epsilon, *length, *normed)
        return normed

    def _linear(self, name: str, quantized: _Rows) -> np.ndarray:
        weights = self._weights.double(name)
        out = np.empty((len(quantized.codes), len(weights)), np.int64)
        self._results(name, weights, quantized, out)
        return out

    def _results(self, name: str, weights: torch.Tensor, quantized: _Rows, out: np.ndarray) -> None:
        """Set out to the fixed results of a matrix, [tokens, rows].

        Sums of integers below 2**53 are exact in float64 in any order, which is how a processor multiplies fastest.
        """
        accumulated = (torch.from_numpy(quantized.codes) @ weights.T).numpy()
        kernels.scale_rows(accumulated, *self._weights.row_scale(name), quantized.mantissa, quantized.exponent, out)
