"""The integer reference: the engine's operations for one token in order, run in NumPy with every intermediate named."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from hwsim.arch.numerics import NORM_SHIFT, saturate, score_scale
from models.attention import LambdaShape
from models.integer import ops
from models.integer.cache import State
from models.integer.constants import Gain, epsilon, inverse_hidden, rope_table
from models.integer.kernels import accumulate
from models.integer.model import IntegerModel
from models.integer.ops import Quantized
from models.integer.prefill import Prefill
from models.integer.saturation import Saturation
from models.integer.threads import one_each
from models.integer.weights import Weights
from models.matrices import ATTENTION, ATTENTION_NORM, EMBEDDING, FEED_FORWARD, FFN_NORM, FINAL_NORM, HEAD, HEAD_NORMS, layer_part

__all__ = ["IntegerReference", "Recorder"]

Recorder = Callable[[str, np.ndarray], None]
"""Called with every intermediate of a step, (name, int64 array), in the order of computation."""

_LOGIT_UNIT = 2.0**-16


def _ignore(name: str, values: np.ndarray) -> None:
    """Record nothing."""


class IntegerReference:
    """Runs a compressed model in the engine's arithmetic; every bit is the engine's.

    It reads texts from `open` on: many tokens together (`continued`, `prefill`), or one by one (`step`).

    rows: the halves of its layers and its head, on many tokens at once.
    saturation: what of the residual stream saturated in all texts so far.
    """

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.config = model.config
        self._weights = Weights(model)
        self.saturation = Saturation()
        self.rows = Prefill(model, self._weights, self.saturation)
        self._score_scale = score_scale(model.config.head_dim)
        self._gains = {name: gain.values.astype(np.int64) for name, gain in model.gains.items()}

    def open(self, pattern: LambdaShape | None = None) -> State:
        """Return an empty text.

        pattern: attention in place of the model's own.
        """
        own = self.model if pattern is None else pattern
        return State(self.config, sinks=own.sinks, window=own.window)

    def window_logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the fixed logits after each of `tokens`, int32 [tokens, vocab], from an empty text."""
        return torch.from_numpy(self._fed(self.open(), tokens))

    def continued(self, state: State, tokens: Sequence[int], last: int | None = None) -> torch.Tensor:
        """Feed `tokens` together and return the logits after the last `last` of them as floats, [last, vocab]; None takes all."""
        return torch.from_numpy(self._fed(state, tokens, last)).to(torch.float32).mul_(_LOGIT_UNIT)

    def prefill(self, state: State, tokens: Sequence[int]) -> np.ndarray:
        """Feed `tokens` together and return the fixed logits after the last one, int32 [vocab]."""
        return self._fed(state, tokens, 1)[0]

    @one_each()
    def _fed(self, state: State, tokens: Sequence[int], last: int | None = None) -> np.ndarray:
        """Feed `tokens` and return the fixed logits after the last `last` of them, int32 [last, vocab]; None takes all."""
        x = self.rows.hidden_states(state, tokens)
        return self.rows.head(x if last is None else x[len(x) - last :])

    def step(self, state: State, token: int, record: Recorder = _ignore) -> np.ndarray:
        """Feed one token and return the fixed logits after it, int32 [vocab].

        record: is called with each intermediate: `embedding`, `layers.<n>.<what>` and `<what>` of the head, with vectors
            followed by `.codes` and `.scale` (mantissa, exponent) where quantized, and by `.head<h>` where per head.
        """
        x = self.model.embedding.rows([token])[0].astype(np.int64)
        record(EMBEDDING, x)
        self.saturation.note(EMBEDDING, x)
        state.reserve(state.length + 1)
        rotations = rope_table(self.config, [min(state.length, state.sinks + state.window - 1), state.length])
        for layer in range(self.config.layers):
            x = self._attention(state, layer, x, rotations.astype(np.int64), record)
            self.saturation.note(layer_part(layer, ATTENTION), x)
            x = self._feed_forward(layer, x, record)
            self.saturation.note(layer_part(layer, FEED_FORWARD), x)
        logits = self._dot(HEAD, self._norm(FINAL_NORM, x, record), record)
        state.length += 1
        return logits.astype(np.int32)

    def _attention(self, state: State, layer: int, x: np.ndarray, rotations: np.ndarray, record: Recorder) -> np.ndarray:
        """Return the residual row after the attention of a layer; the layer's cache gets the token.

        rotations: that of the query towards the sinks, and that of query and key at their own position, [2, head_dim, 2].
        """
        config = self.config
        name = layer_part(layer, "qkv")
        flat = self._dot(name, self._norm(layer_part(layer, ATTENTION_NORM), x, record), record)
        bias = self.model.biases.get(name)
        if bias is not None:
            flat = saturate(flat + bias, 32)
        record(name, flat)
        heads = flat.reshape(-1, config.head_dim)
        if config.has_head_norms:
            heads = self._norm_heads(layer, heads, record)
        queries, rest = heads[: config.heads], heads[config.heads :]
        slot = state.slots_of(np.array([state.length]))
        for kind, cache, values in (
            ("key", state.keys[layer], ops.rotate(rest[: config.kv_heads], rotations[1])),
            ("value", state.values[layer], rest[config.kv_heads :]),
        ):
            entry = ops.kv_quantize(values, self.model.cache.bits)
            for head in range(config.kv_heads):
                record(layer_part(layer, f"{kind}.head{head}.codes"), entry.codes[head])
                record(layer_part(layer, f"{kind}.head{head}.parameter"), _row(head, *entry.scale, entry.zero))
            scale = entry.scale[0][:, None], entry.scale[1][:, None]
            cache.write(slot, ops.KvEntry(entry.codes[:, None], scale, entry.zero[:, None]))
        turned = ops.rotate_query(queries[None], rotations[:, None], self._score_scale)
        for part, name in enumerate(("sink_query", "query")):
            for head in range(config.heads):
                record(layer_part(layer, f"{name}.head{head}.codes"), turned.codes[part, head])
                record(layer_part(layer, f"{name}.head{head}.scale"), _row((part, head), *turned.scale))
        attended = self._attend(state, layer, turned, record).reshape(1, -1)
        record(layer_part(layer, "attended"), attended[0])
        quantized = ops.quantize(attended)
        _record_quantized(record, layer_part(layer, "attended"), quantized)
        return self._residual(layer_part(layer, "o"), x, quantized, record)

    def _attend(self, state: State, layer: int, turned: Quantized, record: Recorder) -> np.ndarray:
        """Return what all heads read, fixed [kv_heads, group, head_dim]; scores stand in the order of the slots.

        turned: queries towards the sinks and at their own position, [2, heads, ...].
        """
        config = self.config
        sinks, ring = state.valid(state.length + 1)
        slots = np.arange(sinks + ring)
        keys, values = state.keys[layer].read(slots), state.values[layer].read(slots)
        shape = (2, config.kv_heads, config.group, -1)
        codes = turned.codes.reshape(shape).astype(np.float64)
        query_scale = [part.reshape(shape) for part in turned.scale]
        centered = (keys.codes - keys.zero[..., None]).astype(np.float64)
        parts = []
        for part, run in enumerate((slice(0, sinks), slice(sinks, sinks + ring))):
            products = (codes[part] @ centered[:, run].transpose(0, 2, 1)).astype(np.int64)
            row_scale = keys.scale[0][:, None, run], keys.scale[1][:, None, run]
            parts.append(ops.dot(products, row_scale, (query_scale[0][part], query_scale[1][part])))
        scores = np.concatenate(parts, axis=-1)
        value_scale = values.scale[0][:, None], values.scale[1][:, None]
        coefficients = ops.softmax(scores, np.True_, value_scale, values.zero[:, None])
        sums = coefficients.codes.astype(np.float64) @ values.codes.astype(np.float64)
        for head in range(config.heads):
            at = divmod(head, config.group)
            record(layer_part(layer, f"scores.head{head}"), scores[at])
            record(layer_part(layer, f"coefficients.head{head}.codes"), coefficients.codes[at])
            entry = _row(at, *coefficients.scale, coefficients.zero_sum)
            record(layer_part(layer, f"coefficients.head{head}.scale"), entry)
        return ops.weighted_sum(sums.astype(np.int64), coefficients)

    def _feed_forward(self, layer: int, x: np.ndarray, record: Recorder) -> np.ndarray:
        """Return the residual row after the gated feed-forward of a layer."""
        name = layer_part(layer, "gateup")
        flat = self._dot(name, self._norm(layer_part(layer, FFN_NORM), x, record), record)
        record(name, flat)
        product = ops.swiglu(flat[None, : self.config.ffn], flat[None, self.config.ffn :])
        _record_quantized(record, layer_part(layer, "swiglu"), product)
        return self._residual(layer_part(layer, "down"), x, product, record)

    def _residual(self, name: str, x: np.ndarray, quantized: Quantized, record: Recorder) -> np.ndarray:
        updated = saturate(x + self._dot(name, quantized, record), 32)
        record(name, updated)
        return updated

    def _norm(self, name: str, x: np.ndarray, record: Recorder) -> Quantized:
        normed = ops.norm(x[None], *self._norm_constants(name))
        _record_quantized(record, name, normed)
        return normed

    def _norm_heads(self, layer: int, heads: np.ndarray, record: Recorder) -> np.ndarray:
        """Return the fixed heads of queries, keys and values of a layer, the first two normalized, [heads, head_dim]."""
        config, done = self.config, []
        for part, own in zip(HEAD_NORMS, np.split(heads, [config.heads, config.heads + config.kv_heads])[:2], strict=True):
            name = layer_part(layer, part)
            normed, values = ops.norm_heads(own, *self._norm_constants(name))
            for head in range(len(own)):
                record(f"{name}.head{head}.codes", normed.codes[head])
                record(f"{name}.head{head}.scale", _row(head, *normed.scale))
            done.append(values)
        return np.concatenate([*done, heads[config.heads + config.kv_heads :]])

    def _norm_constants(self, name: str) -> tuple[np.ndarray, int, int, tuple[int, int]]:
        """Return gains, shift, epsilon and inverse length of a normalization."""
        gain: Gain = self.model.gains[name]
        inputs = len(gain.values)
        return self._gains[name], NORM_SHIFT, epsilon(self.config, inputs), inverse_hidden(self.config, gain, inputs)

    def _dot(self, name: str, quantized: Quantized, record: Recorder) -> np.ndarray:
        """Return the fixed results of a matrix for one vector of activations."""
        matrix = self._weights.integer(name)
        accumulated = np.empty(len(matrix), np.int32)
        accumulate(matrix, quantized.codes[0].astype(np.int16), accumulated)
        result = ops.dot(accumulated.astype(np.int64), self._weights.row_scale(name), quantized.scale)
        if name == HEAD:
            record("logits", result)
        return result


def _record_quantized(record: Recorder, name: str, quantized: Quantized) -> None:
    record(f"{name}.codes", quantized.codes[0])
    record(f"{name}.scale", _row(0, *quantized.scale))


def _row(index: int | tuple[int, ...], *columns: np.ndarray) -> np.ndarray:
    """Return one entry of each column, as one vector."""
    return np.array([column[index] for column in columns])
