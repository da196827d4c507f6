"""Time that a GPU takes for a layer of a decoder: its products, its attention, and what lies between them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.offload.operators import LAUNCHES, GpuRates, Shape, attention, product, stream
from hwsim.offload.span import NOTHING, Span, move, serial, spend
from hwsim.units import Bytes, BytesPerSecond, Value

__all__ = ["PEERS", "GpuDecoder"]

PEERS = "GPU to GPU"
"""Cause to which exchanges among GPUs are charged."""

# Operators that only move values: a norm and an addition in either half, beside attention two rotations and two appends to the
# cache, in the feed-forward part its activation.
_BESIDE_ATTENTION, _BESIDE_FEED_FORWARD = 6, 3

# Values that an activation moves, in widths of the feed-forward part: read and written; of a gate, two operators on halves of
# one array in PyTorch, which take as long as this on long reads (reports/studies/gpu_baseline/results/h200.json, `pointwise`).
_PLAIN, _GATED = 2, 11

# Tokens of a prompt that serving systems compute at a time, so that their values take no memory to speak of.
_CHUNK = 8192


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuDecoder:
    """A workload on GPUs that share every matrix and every head.

    Attributes:
        gpu: what one reaches.
        work: what runs.
        gpus: how many share it.
        peer_rate: of what each sends to the others while all receive; of use where there are several.
    """

    gpu: GpuRates
    work: Workload
    gpus: int = 1
    peer_rate: BytesPerSecond = dataclasses.field(default_factory=lambda: BytesPerSecond(math.inf))

    def layer(self, tokens: Value, keys: Value) -> Span:
        """Return the time of a layer for so many tokens of every sequence, each of which attends to so many keys."""
        return serial(self.linear(tokens), self.attention(tokens, keys))

    def linear(self, tokens: Value) -> Span:
        """Return the time of a layer's products and of what lies between them."""
        return serial(self.projections(tokens), self.feed_forward(tokens))

    def projections(self, tokens: Value) -> Span:
        """Return the time around attention: queries, keys, values, their rotation and storage, the output, norm and addition."""
        network = self.work.network
        width, entries = network.heads * network.head_dim, 2 * network.kv_heads * network.head_dim
        sizes = [(width + entries, network.hidden), (network.hidden, width)]
        return self._half(tokens, sizes, 5 * network.hidden + 2 * (width + entries), _BESIDE_ATTENTION)

    def feed_forward(self, tokens: Value) -> Span:
        """Return the time of the feed-forward part, its norm and addition."""
        network = self.work.network
        up = network.ffn * (2 if network.is_gated else 1)
        sizes = [(up, network.hidden), (network.hidden, network.ffn)]
        activation = (_GATED if network.is_gated else _PLAIN) * network.ffn
        return self._half(tokens, sizes, 5 * network.hidden + activation, _BESIDE_FEED_FORWARD)

    def attention(self, tokens: Value, keys: Value) -> Span:
        """Return the time of a layer's attention."""
        operations = self.work.attention_operations(tokens, keys) * (1 / self.gpus)
        return attention(self.gpu, operations=operations, cached=self.work.cache_bytes(keys) * (1 / self.gpus))

    def head(self) -> Span:
        """Return the time of the head, for the last token of every sequence."""
        return self._products(self.work.batch, [(self.work.network.vocab, self.work.network.hidden)])

    def prompt(self) -> Span:
        """Return the time of a layer for the whole prompt, causally: every token attends to half of it in the mean."""
        keys = np.minimum(np.divide(self.work.prompt, 2), self.work.window)
        return serial(self.linear(self.work.prompt), self.attention(self.work.prompt, keys))

    def working(self) -> Bytes:
        """Return the widest values of a layer, for as much of one sequence's prompt as is computed at a time."""
        network = self.work.network
        tokens = np.minimum(self.work.prompt, _CHUNK)
        return Bytes(np.multiply(tokens, (2 * network.hidden + 2 * network.ffn) * self.work.activation_bytes))

    def _half(self, tokens: Value, sizes: Sequence[tuple[int, int]], values: int, operators: int) -> Span:
        """Return the time of products, and of operators between them that read and write so many values of every token."""
        rows = np.multiply(self.work.batch, tokens)
        between = Bytes(np.multiply(rows, values * self.work.activation_bytes / self.gpus))
        launches = spend(LAUNCHES, self.gpu.launch * (operators - 1))
        return serial(self._products(rows, sizes), stream(self.gpu, between), launches, self._summed(rows))

    def _summed(self, rows: Value) -> Span:
        """Return the sum of every GPU's part of the hidden values, at every GPU: each sends 2 (n - 1) / n of them.

        Ref: Patarasu and Yuan, Bandwidth optimal all-reduce algorithms for clusters of workstations (2009).
        """
        if self.gpus == 1:
            return NOTHING
        share = 2 * (self.gpus - 1) / self.gpus
        amount = Bytes(np.multiply(rows, share * self.work.network.hidden * self.work.activation_bytes))
        return serial(move(PEERS, amount, amount / self.peer_rate), spend(LAUNCHES, self.gpu.launch))

    def _products(self, rows: Value, sizes: Sequence[tuple[int, int]]) -> Span:
        bits, size = self.work.weight_bits, self.work.activation_bytes
        shapes = (
            Shape(rows=rows, columns=columns / self.gpus, inner=inner, weight_bits=bits, activation_bytes=size)
            for columns, inner in sizes
        )
        return serial(*(product(self.gpu, shape) for shape in shapes))
