"""Knows the order of the engine's operations for one token, and runs them in NumPy with every intermediate named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from models.integer import ops
from models.integer.cache import State
from models.integer.constants import NORM_SHIFT, Gain, epsilon, inverse_hidden, rope_table, score_scale
from models.integer.kernels import accumulate
from models.integer.model import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD, IntegerModel, layer_part
from models.integer.ops import Quantized
from models.integer.prefill import Prefill
from models.integer.weights import Weights

__all__ = ["IntegerReference", "Recorder"]

Recorder = Callable[[str, np.ndarray], None]
"""Told every intermediate of a step: (name, int64 array), in the order of computation."""

_LOGIT_UNIT = 2.0**-16


def _ignore(name: str, values: np.ndarray) -> None:
    """Record nothing."""


class IntegerReference:
    """Runs a compressed model in the engine's arithmetic; every bit is the engine's.

    It predicts like the float reference (`logits`), and continues texts token by token (`open`, `prefill`, `step`).
    """

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.config = model.config
        self._weights = Weights(model)
        self._prefill = Prefill(model, self._weights)
        self._epsilon = epsilon(model.config)
        self._score_scale = score_scale(model.config)
        self._gains = {name: gain.values.astype(np.int64) for name, gain in model.gains.items()}
        self._inverse_hidden = {name: inverse_hidden(model.config, gain) for name, gain in model.gains.items()}

    def open(self) -> State:
        """Return an empty text."""
        return State(self.config, sinks=self.model.sinks, window=self.model.window)

    def window_logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the fixed logits after each of `tokens`, int32 [tokens, vocab], from an empty text."""
        return self._prefill.head(self._prefill.hidden_states(self.open(), tokens))

    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the logits after each of `tokens` as floats, [tokens, vocab], from an empty text."""
        return self.window_logits(tokens).to(torch.float32).mul_(_LOGIT_UNIT)

    def prefill(self, state: State, tokens: Sequence[int]) -> np.ndarray:
        """Feed `tokens` together and return the fixed logits after the last one, int32 [vocab]."""
        return self._prefill.head(self._prefill.hidden_states(state, tokens)[-1:])[0].numpy()

    def step(self, state: State, token: int, record: Recorder = _ignore) -> np.ndarray:
        """Feed one token and return the fixed logits after it, int32 [vocab].

        record: told each intermediate: `embedding`, `layers.<n>.<what>` and `<what>` of the head, with vectors
            followed by `.codes` and `.scale` (mantissa, exponent) where quantized, and by `.head<h>` where per head.
        """
        x = self.model.embedding.rows([token])[0].astype(np.int64)
        record("embedding", x)
        state.reserve(state.length + 1)
        for layer in range(self.config.layers):
            x = self._attention(state, layer, x, record)
            x = self._feed_forward(layer, x, record)
        logits = self._dot(HEAD, self._norm(FINAL_NORM, x, record), record)
        state.length += 1
        return logits.astype(np.int32)

    def _attention(self, state: State, layer: int, x: np.ndarray, record: Recorder) -> np.ndarray:
        """Return the residual row after the attention of a layer; the layer's cache gets the token."""
        config, position = self.config, state.length
        name = layer_part(layer, "qkv")
        flat = self._dot(name, self._norm(layer_part(layer, ATTENTION_NORM), x, record), record)
        bias = self.model.biases.get(name)
        if bias is not None:
            flat = ops.saturate(flat + bias, 32)
        record(name, flat)
        heads = flat.reshape(-1, config.head_dim)
        queries, rest = heads[: config.heads], heads[config.heads :]
        own, towards_sinks = rope_table(
            config, [position, min(position, state.sinks + state.window - 1)]
        ).astype(np.int64)
        slot = state.slots_of(np.array([position]))
        for kind, cache, values in (
            ("key", state.keys[layer], ops.rotate(rest[: config.kv_heads], own)),
            ("value", state.values[layer], rest[config.kv_heads :]),
        ):
            entry = ops.kv_quantize(values)
            for head in range(config.kv_heads):
                record(layer_part(layer, f"{kind}.head{head}.codes"), entry.codes[head])
                parameter = np.array([entry.scale[0][head], entry.scale[1][head], entry.zero[head]])
                record(layer_part(layer, f"{kind}.head{head}.parameter"), parameter)
            scale = entry.scale[0][:, None], entry.scale[1][:, None]
            cache.write(slot, ops.KvEntry(entry.codes[:, None], scale, entry.zero[:, None]))
        rotated = [ops.rotate_query(queries, rotation, self._score_scale) for rotation in (towards_sinks, own)]
        for head in range(config.heads):
            for part, query in zip(("sink_query", "query"), rotated, strict=True):
                _record_quantized(record, layer_part(layer, f"{part}.head{head}"), query, head)
        mixed = [self._head(state, layer, kv_head, rotated, record) for kv_head in range(config.kv_heads)]
        attended = np.concatenate(mixed).reshape(-1)
        record(layer_part(layer, "attended"), attended)
        quantized = ops.quantize(attended[None])
        _record_quantized(record, layer_part(layer, "attended"), quantized, 0)
        return self._residual(layer_part(layer, "o"), x, quantized, record)

    def _head(
        self, state: State, layer: int, kv_head: int, rotated: list[Quantized], record: Recorder
    ) -> np.ndarray:
        """Return what the query heads of one key/value head read, fixed [group, head_dim]."""
        config = self.config
        counts = state.valid(state.length + 1)
        own = slice(kv_head * config.group, (kv_head + 1) * config.group)
        slots = np.arange(sum(counts))
        keys, values = state.keys[layer].read(slots), state.values[layer].read(slots)
        parts = []
        for query, first, count in zip(rotated, (0, counts[0]), counts, strict=True):
            run = slice(first, first + count)
            codes = query.codes[own]
            products = codes @ (keys.codes[kv_head, run] - keys.zero[kv_head, run, None]).T
            row_scale = keys.scale[0][kv_head, run], keys.scale[1][kv_head, run]
            parts.append(ops.dot(products, row_scale, (query.scale[0][own, None], query.scale[1][own, None])))
        scores = np.concatenate(parts, axis=-1)
        value_scale = values.scale[0][kv_head], values.scale[1][kv_head]
        coefficients = ops.softmax(scores, np.True_, value_scale, values.zero[kv_head])
        sums = ops.weighted_sum(coefficients.codes @ values.codes[kv_head], coefficients)
        for row in range(config.group):
            head = f"head{kv_head * config.group + row}"
            record(layer_part(layer, f"scores.{head}"), scores[row])
            record(layer_part(layer, f"coefficients.{head}.codes"), coefficients.codes[row])
            entry = coefficients.scale[0][row], coefficients.scale[1][row], coefficients.zero_sum[row]
            record(layer_part(layer, f"coefficients.{head}.scale"), np.array(entry))
        return sums

    def _feed_forward(self, layer: int, x: np.ndarray, record: Recorder) -> np.ndarray:
        """Return the residual row after the gated feed-forward of a layer."""
        name = layer_part(layer, "gateup")
        flat = self._dot(name, self._norm(layer_part(layer, FFN_NORM), x, record), record)
        record(name, flat)
        product = ops.swiglu(flat[None, : self.config.ffn], flat[None, self.config.ffn :])
        _record_quantized(record, layer_part(layer, "swiglu"), product, 0)
        return self._residual(layer_part(layer, "down"), x, product, record)

    def _residual(self, name: str, x: np.ndarray, quantized: Quantized, record: Recorder) -> np.ndarray:
        updated = ops.saturate(x + self._dot(name, quantized, record), 32)
        record(name, updated)
        return updated

    def _norm(self, name: str, x: np.ndarray, record: Recorder) -> Quantized:
        gain: Gain = self.model.gains[name]
        normed = ops.norm(x[None], self._gains[name], NORM_SHIFT, self._epsilon, inverse_hidden(self.config, gain))
        _record_quantized(record, name, normed, 0)
        return normed

    def _dot(self, name: str, quantized: Quantized, record: Recorder) -> np.ndarray:
        """Return the fixed results of a matrix for one vector of activations."""
        matrix = self._weights.integer(name)
        accumulated = np.empty(len(matrix), np.int32)
        accumulate(matrix, quantized.codes[0].astype(np.int16), accumulated)
        result = ops.dot(accumulated.astype(np.int64), self._weights.row_scale(name), quantized.scale)
        if name == HEAD:
            record("logits", result)
        return result


def _record_quantized(record: Recorder, name: str, quantized: Quantized, row: int) -> None:
    record(f"{name}.codes", quantized.codes[row])
    record(f"{name}.scale", np.array([quantized.scale[0][row], quantized.scale[1][row]]))
