"""Feeds many tokens at once, in compiled loops; the bits are those of feeding them one by one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hwsim.arch.formats.sharing import in_parts
from hwsim.arch.numerics import NORM_SHIFT, saturate, score_scale
from hwsim.errors import SpecError
from models.integer import kernels
from models.integer.cache import LayerCache, State
from models.integer.constants import HEAD_SCALE, HEAD_UNIT, epsilon, inverse_hidden, rope_table
from models.integer.kernels import Cached, Rows
from models.integer.model import IntegerModel
from models.integer.ops import KvEntry
from models.integer.saturation import Saturation
from models.integer.weights import Weights
from models.matrices import ATTENTION, ATTENTION_NORM, EMBEDDING, FEED_FORWARD, FFN_NORM, FINAL_NORM, HEAD, HEAD_NORMS, layer_part

__all__ = ["Prefill"]

# Tokens that pass through a layer together; this bounds memory.
_CHUNK = 1024
# Rows of a matrix whose products are formed together: they stay in the processor's caches until they are scaled.
_BLOCK = 1024
# Tokens of a part below which a thread costs more than it saves.
_FEWEST_TOKENS = 64


class _Place(NamedTuple):
    """Where tokens stand: their positions, and the rotations towards the sinks and at their own, [tokens, head_dim, 2]."""

    positions: np.ndarray
    sink_rotations: np.ndarray
    rotations: np.ndarray


class Prefill:
    """The forward pass over many tokens; each stage of a layer is shared among threads by tokens.

    saturation: is told the residual rows after each half of a layer.
    """

    def __init__(self, model: IntegerModel, weights: Weights, saturation: Saturation) -> None:
        self._model = model
        self._config = model.config
        self._weights = weights
        self._saturation = saturation
        self._score_scale = score_scale(model.config.head_dim)

    def hidden_states(self, state: State, tokens: Sequence[int]) -> np.ndarray:
        """Feed tokens and return the residual rows after the last layer, int64 [tokens, hidden].

        SpecError when there is no token, or one is outside the vocabulary.
        """
        if len(tokens) == 0:
            raise SpecError("A text must have at least one token, not none")
        embedded = self._model.embedding.rows(tokens).astype(np.int64)
        parts = []
        for first in range(0, len(tokens), _CHUNK):
            x = embedded[first : first + _CHUNK]
            place = self._place(state, len(x))
            self._saturation.note(EMBEDDING, x)
            for layer in range(self._config.layers):
                x = self._attention(state, layer, x, place)
                self._saturation.note(layer_part(layer, ATTENTION), x)
                x = self.feed_forward(layer, x)
                self._saturation.note(layer_part(layer, FEED_FORWARD), x)
            state.length += len(x)
            parts.append(x)
        return np.concatenate(parts)

    def attention(self, layer: int, x: np.ndarray) -> np.ndarray:
        """Return the residual rows, int64 [tokens, hidden], that the attention of a layer makes of `x`, in an empty text."""
        state = State(self._config, sinks=self._model.sinks, window=self._model.window)
        return self._attention(state, layer, x, self._place(state, len(x)))

    def feed_forward(self, layer: int, x: np.ndarray) -> np.ndarray:
        """Return the residual rows, int64 [tokens, hidden], that the feed-forward of a layer makes of `x`."""
        gateup, down = layer_part(layer, "gateup"), layer_part(layer, "down")
        self._prepare(gateup, down)

        def part(rows: slice) -> np.ndarray:
            flat = self._linear(gateup, self._norm(layer_part(layer, FFN_NORM), x[rows]))
            product = Rows.empty((len(flat), self._config.ffn))
            kernels.swiglu_rows(flat, product)
            return self._residual(down, x[rows], product)

        return _shared(part, len(x))

    def head(self, x: np.ndarray) -> np.ndarray:
        """Return the fixed logits of residual rows, int32 [tokens, vocab]."""
        self._prepare(HEAD)
        out = np.empty((len(x), self._config.vocab), np.int32)
        in_parts(lambda rows: self._results(HEAD, self._norm(FINAL_NORM, x[rows]), out[rows]), len(x), _FEWEST_TOKENS)
        return out

    def _place(self, state: State, tokens: int) -> _Place:
        """Return where the next tokens of a text stand, and make room for them."""
        positions = np.arange(state.length, state.length + tokens)
        state.reserve(state.length + tokens)
        towards_sinks = np.minimum(positions, state.sinks + state.window - 1)
        tables = (rope_table(self._config, own).astype(np.int64) for own in (towards_sinks, positions))
        return _Place(positions, *tables)

    def _attention(self, state: State, layer: int, x: np.ndarray, place: _Place) -> np.ndarray:
        config, tokens, bits = self._config, len(x), self._model.cache.bits
        output = layer_part(layer, "o")
        self._prepare(layer_part(layer, "qkv"), output)
        sink_queries, queries = (Rows.empty((tokens, config.heads, config.head_dim), np.int16) for _ in range(2))
        keys, values = (Cached.empty((tokens, config.kv_heads, config.head_dim)) for _ in range(2))

        def project(rows: slice) -> None:
            heads = self._projected(layer, x[rows])
            query, key, value = np.split(heads, [config.heads, config.heads + config.kv_heads], axis=1)
            for rotations, turned in ((place.sink_rotations, sink_queries), (place.rotations, queries)):
                kernels.query_rows(query, rotations[rows], *self._score_scale, turned.part(rows))
            kernels.kv_rows(key, place.rotations[rows], True, bits, keys.part(rows))
            kernels.kv_rows(value, place.rotations[rows], False, bits, values.part(rows))

        in_parts(project, tokens, _FEWEST_TOKENS)
        held = np.concatenate([state.kept(state.length), place.positions])
        read_keys = _joined(state, state.keys[layer], place.positions, keys)
        read_values = _joined(state, state.values[layer], place.positions, values)

        def attend(rows: slice) -> np.ndarray:
            attended = np.empty((rows.stop - rows.start, config.heads, config.head_dim), np.int64)
            first, own, sinks_only = int(place.positions[rows.start]), queries.part(rows), sink_queries.part(rows)
            kernels.attend_rows(first, state.sinks, state.window, held, sinks_only, own, read_keys, read_values, attended)
            quantized = Rows.empty((len(attended), config.heads * config.head_dim))
            kernels.quantize_rows(attended.reshape(len(attended), -1), quantized)
            return self._residual(output, x[rows], quantized)

        return _shared(attend, tokens)

    def _projected(self, layer: int, x: np.ndarray) -> np.ndarray:
        """Return the query, key and value heads of residual rows, fixed [tokens, heads, head_dim]."""
        name = layer_part(layer, "qkv")
        flat = self._linear(name, self._norm(layer_part(layer, ATTENTION_NORM), x))
        if name in self._model.biases:
            flat = saturate(flat + self._model.biases[name], 32)
        heads = flat.reshape(len(x), -1, self._config.head_dim)
        return self._with_normed_heads(layer, heads) if self._config.has_head_norms else heads

    def _with_normed_heads(self, layer: int, heads: np.ndarray) -> np.ndarray:
        """Return the heads of queries, keys and values, fixed [tokens, heads, head_dim], the first two normalized."""
        config = self._config
        parts = np.split(heads, [config.heads, config.heads + config.kv_heads], axis=1)
        mantissa, exponent = (np.full(config.head_dim, part, np.int64) for part in HEAD_SCALE)
        for index, part in enumerate(HEAD_NORMS):
            normed = self._norm(layer_part(layer, part), np.ascontiguousarray(parts[index]).reshape(-1, config.head_dim))
            values = np.empty(normed.codes.shape, np.int64)
            accumulated = normed.codes.astype(np.int32) * HEAD_UNIT
            kernels.scale_rows(accumulated, mantissa, exponent, normed.mantissa, normed.exponent, 0, values)
            parts[index] = values.reshape(parts[index].shape)
        return np.concatenate(parts, axis=1)

    def _prepare(self, *names: str) -> None:
        """Unpack matrices before threads ask for them together."""
        for name in names:
            self._weights.factor(name)

    def _residual(self, name: str, x: np.ndarray, quantized: Rows) -> np.ndarray:
        return saturate(x + self._linear(name, quantized), 32)

    def _norm(self, name: str, x: np.ndarray) -> Rows:
        gain = self._model.gains[name]
        normed = Rows.empty(x.shape)
        small, length = epsilon(self._config, x.shape[1]), inverse_hidden(self._config, gain, x.shape[1])
        kernels.norm_rows(x, gain.values.astype(np.int64), NORM_SHIFT, small, *length, normed)
        return normed

    def _linear(self, name: str, quantized: Rows) -> np.ndarray:
        out = np.empty((len(quantized.codes), self._weights.factor(name).rows), np.int64)
        self._results(name, quantized, out)
        return out

    def _results(self, name: str, quantized: Rows, out: np.ndarray) -> None:
        """Set out to the fixed results of a matrix, [tokens, rows]."""
        factor = self._weights.factor(name)
        mantissa, exponent = self._weights.row_scale(name)
        for first in range(0, factor.rows, _BLOCK):
            rows = slice(first, first + _BLOCK)
            accumulated = factor.product(quantized.codes, rows)
            kernels.scale_rows(accumulated, mantissa[rows], exponent[rows], quantized.mantissa, quantized.exponent, first, out)


def _shared(work: Callable[[slice], np.ndarray], tokens: int) -> np.ndarray:
    """Return the rows that `work` gives for all tokens, shared among threads."""
    return np.concatenate(in_parts(work, tokens, _FEWEST_TOKENS))


def _joined(state: State, cache: LayerCache, positions: np.ndarray, new: Cached) -> Cached:
    """Return the heads that a cache holds, followed by those of new tokens, and store the new heads that stay.

    new: keys or values of the tokens at `positions`.
    """
    codes, mantissa, exponent, zero = (np.swapaxes(part, 0, 1) for part in new)
    old = cache.read(state.slots_of(state.kept(state.length)))
    kept = state.kept(int(positions[-1]) + 1)
    kept = kept[kept >= positions[0]]
    chosen = kept - positions[0]
    scale = mantissa[:, chosen], exponent[:, chosen]
    cache.write(state.slots_of(kept), KvEntry(codes[:, chosen], scale, zero[:, chosen]))
    pairs = ((old.codes.astype(np.int16), codes), (old.scale[0], mantissa), (old.scale[1], exponent), (old.zero, zero))
    return Cached(*(np.ascontiguousarray(np.concatenate(pair, axis=1)) for pair in pairs))
