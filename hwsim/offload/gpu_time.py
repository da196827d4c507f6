"""Time that a GPU takes: for an operator, a roofline in whole waves of tiles above a floor for the launch; for a layer."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError, shown
from hwsim.offload.span import NOTHING, Span, move, overlapped, serial, spend
from hwsim.units import Bytes, BytesPerSecond, Operations, OperationsPerSecond, Seconds, Value, minimum

__all__ = ["ARITHMETIC", "LAUNCHES", "MEMORY", "PEERS", "GpuDecoder", "GpuRates", "Shape", "attention", "product", "stream"]

ARITHMETIC, MEMORY, LAUNCHES, PEERS = "GPU arithmetic", "GPU memory", "launches", "GPU to GPU"
"""Causes to which time is charged: that of an operator, and exchanges among GPUs."""

# Output tiles of one thread block, rows by columns, with which large half-precision products reach their peak: this one, wider
# ones up to twice as wide, and that one turned.
_TILE = 128
# Rows of the tiles for fewer rows than those.
_FEW_ROWS = (16, 64)

# Operators that only move values: a norm and an addition in either half, beside attention two rotations and two appends to the
# cache, in the feed-forward part its activation.
_BESIDE_ATTENTION, _BESIDE_FEED_FORWARD = 6, 3

# Values that an activation moves, in widths of the feed-forward part: read and written; of a gate, two operators on halves of
# one array in PyTorch, which take as long as this on long reads (reports/studies/gpu_baseline/results/h200.json, `pointwise`).
_PLAIN, _GATED = 2, 11

# Tokens of a prompt that serving systems compute at a time, so that their values take no memory to speak of.
_CHUNK = 8192


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuRates:
    """The rates that a GPU reaches.

    Attributes:
        name: what messages call it.
        peak: arithmetic of all multiprocessors, dense, in the type of the products.
        memory: of its memory, by datasheet.
        multiprocessors: that work on tiles side by side.
        product_share: of the peak, in products large enough to fill every wave.
        memory_share: of the memory's rate, in products with few rows.
        attention_share: of the memory's rate, in attention of one query over a long cache.
        prompt_attention_share: of the peak, in attention of a long prompt over itself.
        tile_step: columns by which the widths of tiles differ.
        launch: what an operator takes beside moving values, or beside arithmetic: in a captured graph, or where a host launches
            every kernel, whichever is meant.
        product_launch, attention_launch: what a product, or attention, takes beside reading memory.
    """

    name: str
    peak: OperationsPerSecond
    memory: BytesPerSecond
    multiprocessors: int
    product_share: float
    memory_share: float
    attention_share: float
    prompt_attention_share: float
    tile_step: int
    launch: Seconds
    product_launch: Seconds
    attention_launch: Seconds

    def __post_init__(self) -> None:
        for name in ("product_share", "memory_share", "attention_share", "prompt_attention_share"):
            share = getattr(self, name)
            if not 0 < share <= 1:
                raise SpecError(f"GPU {self.name} {name} must be above 0 and at most 1, not {shown(share)}")
        if self.multiprocessors < 1:
            raise SpecError(f"GPU {self.name} multiprocessors must be 1 or more, not {shown(self.multiprocessors)}")
        if not 1 <= self.tile_step <= _TILE or _TILE % self.tile_step:
            raise SpecError(f"GPU {self.name} tile_step must divide {_TILE}, not {shown(self.tile_step)}")
        for name in ("peak", "memory"):
            if not getattr(self, name).value > 0:
                raise SpecError(f"GPU {self.name} {name} must be above 0, not {shown(getattr(self, name).value)}")
        for name in ("launch", "product_launch", "attention_launch"):
            if not getattr(self, name).value >= 0:
                raise SpecError(f"GPU {self.name} {name} must be 0 s or more, not {shown(getattr(self, name).value)} s")

    @property
    def product_rate(self) -> OperationsPerSecond:
        """Rate of arithmetic in large products."""
        return self.peak * self.product_share

    @property
    def long_read_rate(self) -> BytesPerSecond:
        """Rate at which long reads of the memory run."""
        return self.memory * self.memory_share


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """A product [rows, inner] x [inner, columns]; numbers or arrays that broadcast.

    Attributes:
        rows, columns, inner: elements.
        weight_bits: of an element of the right matrix, scales included.
        activation_bytes: of an element of the left one and of the result.
    """

    rows: Value
    columns: Value
    inner: Value
    weight_bits: Value = 16.0
    activation_bytes: Value = 2.0

    @property
    def operations(self) -> Operations:
        """Number of multiplications and additions."""
        return Operations(2.0 * np.multiply(np.multiply(self.rows, self.columns), self.inner))

    @property
    def bytes(self) -> Bytes:
        """Bytes moved when both matrices are read once and the result is written."""
        weights = np.multiply(self.columns, self.inner) * (self.weight_bits / 8)
        activations = np.multiply(self.rows, np.add(self.inner, self.columns)) * self.activation_bytes
        return Bytes(weights + activations)


def product(gpu: GpuRates, shape: Shape) -> Span:
    """Return the time of a matrix product.

    The result is cut into tiles, each of which one multiprocessor computes over the whole inner dimension; a wave of
    tiles lasts as long when it is not full. With fewer tiles than multiprocessors the inner dimension is split among as
    many as there are (split-K). The tile that ends first is taken.
    """
    per_processor = gpu.product_rate * (1 / gpu.multiprocessors)
    tiles = [(_TILE, columns) for columns in range(_TILE, 2 * _TILE + 1, gpu.tile_step)] + [(2 * _TILE, _TILE)]
    waves = minimum(*(_tiled(shape, tile, gpu.multiprocessors) / per_processor for tile in tiles))
    return _operator(gpu, waves, shape.bytes / gpu.long_read_rate, gpu.product_launch)


def stream(gpu: GpuRates, size: Bytes) -> Span:
    """Return the time of an operator that reads and writes so many bytes and computes little."""
    return serial(spend(MEMORY, size / gpu.long_read_rate), spend(LAUNCHES, gpu.launch))


def attention(gpu: GpuRates, *, operations: Operations, cached: Bytes) -> Span:
    """Return the time of fused attention: its arithmetic, beside one read of the keys and values."""
    arithmetic = operations / (gpu.peak * gpu.prompt_attention_share)
    return _operator(gpu, arithmetic, cached / (gpu.memory * gpu.attention_share), gpu.attention_launch)


def _operator(gpu: GpuRates, arithmetic: Seconds, memory: Seconds, launch: Seconds) -> Span:
    """Return an operator's time: reading takes a while to come up to speed, which arithmetic hides where there is enough of it."""
    computing = serial(spend(ARITHMETIC, arithmetic), spend(LAUNCHES, gpu.launch))
    return overlapped(computing, serial(spend(MEMORY, memory), spend(LAUNCHES, launch)))


def _tiled(shape: Shape, tile: tuple[int, int], multiprocessors: int) -> Operations:
    """Return the arithmetic of one multiprocessor, waves that are not full counted as full."""
    rows: Value = float(tile[0])
    for few in reversed(_FEW_ROWS):
        rows = np.where(np.less_equal(shape.rows, few), float(few), rows)
    tiles: npt.NDArray[np.float64] = np.ceil(np.divide(shape.rows, rows)) * np.ceil(np.divide(shape.columns, tile[1]))
    turns = np.ceil(tiles / multiprocessors) / np.maximum(1.0, np.floor(multiprocessors / tiles))
    return Operations(2.0 * tile[1] * np.multiply(np.multiply(rows, turns), shape.inner))


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

    def __post_init__(self) -> None:
        self.work.network.check_shared(self.gpus)

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
        # A key serves several queries: GPUs beyond the number of those that are kept have copies.
        cached = self.work.cache_bytes(keys) * (1 / min(self.gpus, self.work.network.kv_heads))
        return attention(self.gpu, operations=operations, cached=cached)

    def head(self) -> Span:
        """Return the time of the head, for the last token of every sequence."""
        return self._products(self.work.batch, [(self.work.network.vocab, self.work.network.hidden)])

    def prompt(self) -> Span:
        """Return the time of a layer for the whole prompt, causally: dense, every token attends to half of it in the mean."""
        return serial(self.linear(self.work.prompt), self.attention(self.work.prompt, self.work.prompt_context))

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
