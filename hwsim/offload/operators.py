"""Time that a GPU takes for one operator: a roofline in whole waves of tiles, above a floor for the launch."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError
from hwsim.offload.span import Span, overlapped, serial, spend
from hwsim.units import Bytes, BytesPerSecond, Operations, OperationsPerSecond, Seconds, Value, minimum

__all__ = ["ARITHMETIC", "LAUNCHES", "MEMORY", "GpuRates", "Shape", "attention", "product", "stream"]

ARITHMETIC, MEMORY, LAUNCHES = "GPU arithmetic", "GPU memory", "launches"
"""Causes to which the time of an operator is charged."""

# Output tiles of one thread block, rows by columns, with which large half-precision products reach their peak: this one, wider
# ones up to twice as wide, and that one turned.
_TILE = 128
# Rows of the tiles for fewer rows than those.
_FEW_ROWS = (16, 64)


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
                raise SpecError(f"GPU {self.name} {name} must be above 0 and at most 1, not {share!r}")
        if self.multiprocessors < 1:
            raise SpecError(f"GPU {self.name} multiprocessors must be 1 or more, not {self.multiprocessors!r}")
        if not 1 <= self.tile_step <= _TILE or _TILE % self.tile_step:
            raise SpecError(f"GPU {self.name} tile_step must divide {_TILE}, not {self.tile_step!r}")
        for name in ("peak", "memory"):
            if not getattr(self, name).value > 0:
                raise SpecError(f"GPU {self.name} {name} must be above 0, not {getattr(self, name).value!r}")
        for name in ("launch", "product_launch", "attention_launch"):
            if not getattr(self, name).value >= 0:
                raise SpecError(f"GPU {self.name} {name} must be 0 s or more, not {getattr(self, name).value!r} s")

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
    weight_bits: float = 16.0
    activation_bytes: float = 2.0

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
