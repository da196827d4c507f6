"""The operators that are measured one by one: launches, copies, products, attention, and moves between host and device."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from reports.studies.gpu_baseline.baseline import (
    BaselineSettings,
    Copy,
    DecodeAttention,
    Gather,
    HostCopy,
    Launch,
    Pointwise,
    PrefillAttention,
    Product,
)
from reports.studies.gpu_baseline.clock import Clock, Work, took

__all__ = [
    "attend",
    "copy",
    "decode_attention",
    "gated",
    "gather",
    "host_copy",
    "launch",
    "pointwise",
    "prefill_attention",
    "product",
]

_LAUNCHES = 200
_GRAIN_BYTES = 1024
_WAYS = {
    "any": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH],
    "flash": [SDPBackend.FLASH_ATTENTION],
    "cudnn": [SDPBackend.CUDNN_ATTENTION],
}
"""`any` is the way that PyTorch itself takes; the others refuse what they cannot do."""


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, way: str, is_causal: bool) -> torch.Tensor:
    """Return attention, [batch, heads, tokens, head_dim]; query heads share key heads where there are fewer of them.

    Raises:
        RuntimeError: the way cannot do it.
    """
    is_shared = query.shape[1] != key.shape[1]
    with sdpa_kernel(_WAYS[way]):
        return functional.scaled_dot_product_attention(query, key, value, is_causal=is_causal, enable_gqa=is_shared)


def launch(clock: Clock, settings: BaselineSettings) -> Iterator[Launch]:
    """Yield what an operator costs that does nothing: one of a captured graph, one of a row that the host launches."""
    x = torch.zeros(1, device=clock.device)
    yield Launch(way="graph", took=clock.graphed([lambda: x.add_(1)]))
    yield Launch(way="host", took=clock.launched(lambda: [x.add_(1) for _ in range(_LAUNCHES)], _LAUNCHES))


def copy(clock: Clock, settings: BaselineSettings) -> Iterator[Copy]:
    """Yield copies within the device; bytes are both read and written."""
    for size in settings.copy_bytes:
        works: list[Work] = []
        for _ in clock.sets(2 * size):
            source = torch.ones(size, dtype=torch.uint8, device=clock.device)
            works.append(partial(torch.empty_like(source).copy_, source))
        yield Copy(bytes=size, took=clock.graphed(works))


def pointwise(clock: Clock, settings: BaselineSettings) -> Iterator[Pointwise]:
    """Yield what stands between products: normalized rows, sums, and gated halves, in half precision."""
    for columns in settings.pointwise_columns:
        gain = torch.ones(columns, device=clock.device, dtype=clock.dtype)
        for rows in settings.pointwise_rows:
            pairs = [_random((2, rows, columns), clock) for _ in clock.sets(2 * rows * columns * clock.dtype.itemsize)]
            ways: dict[str, Sequence[Work]] = {
                "norm": [partial(functional.rms_norm, pair[0], (columns,), gain) for pair in pairs],
                "add": [partial(torch.add, *pair) for pair in pairs],
                # As they come of one product: halves of every row.
                "gate": [partial(gated, *pair.view(rows, -1).chunk(2, dim=1)) for pair in pairs],
            }
            for name, works in ways.items():
                yield Pointwise(operator=name, rows=rows, columns=columns, took=clock.graphed(works))


def gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Return the gated product of the Llama family: two operators."""
    return functional.silu(gate) * up


def product(clock: Clock, settings: BaselineSettings) -> Iterator[Product]:
    """Yield [rows, inner] x [inner, columns] in half precision."""
    for columns, inner in settings.product_shapes:
        for rows in settings.product_rows:
            works: list[Work] = []
            for _ in clock.sets(columns * inner * clock.dtype.itemsize):
                weight, left, out = (_random(shape, clock) for shape in ((columns, inner), (rows, inner), (rows, columns)))
                works.append(partial(torch.mm, left, weight.t(), out=out))
            yield Product(rows=rows, columns=columns, inner=inner, took=clock.graphed(works))


def decode_attention(clock: Clock, settings: BaselineSettings) -> Iterator[DecodeAttention]:
    """Yield one query of every sequence over its cache."""
    for heads, kv_heads in settings.attention_heads:
        for keys in settings.decode_keys:
            for batch in settings.decode_batches:
                shapes = [(batch, count, length, settings.head_dim) for count, length in ((heads, 1), *2 * ((kv_heads, keys),))]
                sets = clock.sets(2 * math.prod(shapes[1]) * clock.dtype.itemsize)
                operands = [[_random(shape, clock) for shape in shapes] for _ in sets]
                for way in settings.decode_ways:
                    works = [partial(attend, *each, way=way, is_causal=False) for each in operands]
                    timed = took(partial(clock.graphed, works))
                    yield DecodeAttention(heads=heads, kv_heads=kv_heads, keys=keys, batch=batch, way=way, took=timed)


def prefill_attention(clock: Clock, settings: BaselineSettings) -> Iterator[PrefillAttention]:
    """Yield causal attention over a whole prompt."""
    for heads, kv_heads in settings.attention_heads:
        for tokens in settings.prefill_tokens:
            operands = [_random((1, count, tokens, settings.head_dim), clock) for count in (heads, kv_heads, kv_heads)]
            for way in settings.prefill_ways:
                work = partial(attend, *operands, way=way, is_causal=True)
                timed = took(partial(clock.launched, work))
                yield PrefillAttention(heads=heads, kv_heads=kv_heads, tokens=tokens, way=way, took=timed)


def host_copy(clock: Clock, settings: BaselineSettings) -> Iterator[HostCopy]:
    """Yield copies between host and device, from memory that is pinned and that is not, both ways."""
    for size in settings.host_bytes:
        there = torch.ones(size, dtype=torch.uint8, device=clock.device)
        for is_pinned in (True, False):
            # Filled: memory that was never written to is one page of zeros, which every cache holds.
            here = torch.ones(size, dtype=torch.uint8, pin_memory=is_pinned and clock.device.type == "cuda")
            for way in ("to device", "to host"):
                source, target = (here, there) if way == "to device" else (there, here)
                timed = clock.launched(partial(target.copy_, source, non_blocking=is_pinned))
                yield HostCopy(bytes=size, is_pinned=is_pinned, way=way, took=timed)


def gather(clock: Clock, settings: BaselineSettings) -> Iterator[Gather]:
    """Yield scattered pieces of host memory, brought together by the processor and then copied to the device."""
    total = settings.gather_total_bytes
    for size in settings.gather_bytes:
        count = total // size
        random = torch.Generator().manual_seed(1)
        # PyTorch shares small pieces among its threads, and copies large ones one by one: a fifth of the rate.
        grain = min(size, _GRAIN_BYTES)
        parts = size // grain
        source = torch.ones((2 * count * parts, grain), dtype=torch.uint8)
        pieces = torch.randperm(2 * count, generator=random)[:count, None]
        chosen = (pieces * parts + torch.arange(parts)).flatten()
        staging = torch.ones((count * parts, grain), dtype=torch.uint8, pin_memory=clock.device.type == "cuda")
        there = torch.empty((count * parts, grain), dtype=torch.uint8, device=clock.device)
        timed = clock.launched(partial(_gather, source, chosen, staging, there))
        yield Gather(piece_bytes=size, bytes=count * size, took=timed)


def _gather(source: torch.Tensor, chosen: torch.Tensor, staging: torch.Tensor, there: torch.Tensor) -> None:
    torch.index_select(source, 0, chosen, out=staging)
    there.copy_(staging, non_blocking=True)


def _random(shape: tuple[int, ...], clock: Clock) -> torch.Tensor:
    # Zeros draw less power and so run faster than any data.
    return torch.randn(shape, device=clock.device, dtype=clock.dtype)
