"""Knows which operators are measured one by one: launches, copies, products, attention, and moves between host and device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from reports.gpu_baseline.clock import Clock

__all__ = ["MEASUREMENTS", "attend"]

Row = dict[str, Any]
Settings = Mapping[str, Any]


def _launches(clock: Clock, settings: Settings) -> Iterator[Row]:
    """Yield what an operator costs that does nothing."""
    x = torch.zeros(1, device=clock.device)
    yield {"way": "graph", "seconds": clock.graphed(lambda: x.add_(1))}
    yield {"way": "host", "seconds": clock.launched(lambda: x.add_(1))}


def _copies(clock: Clock, settings: Settings) -> Iterator[Row]:
    """Yield copies within the device; bytes are both read and written."""
    for size in settings["copy_bytes"]:
        source = torch.empty(size, dtype=torch.uint8, device=clock.device)
        target = torch.empty_like(source)
        yield {"bytes": size, "seconds": clock.graphed(partial(target.copy_, source))}


def _products(clock: Clock, settings: Settings) -> Iterator[Row]:
    """Yield [rows, inner] x [inner, columns] in half precision."""
    for columns, inner in settings["product_shapes"]:
        weight = _random((columns, inner), clock)
        for rows in settings["product_rows"]:
            left, out = _random((rows, inner), clock), _random((rows, columns), clock)
            seconds = clock.graphed(partial(torch.mm, left, weight.t(), out=out))
            yield {"rows": rows, "columns": columns, "inner": inner, "seconds": seconds}


def _decode_attention(clock: Clock, settings: Settings) -> Iterator[Row]:
    """Yield one query of every sequence over its cache."""
    for heads, kv_heads in settings["attention_heads"]:
        for keys in settings["decode_keys"]:
            for batch in settings["decode_batches"]:
                query = _random((batch, heads, 1, settings["head_dim"]), clock)
                cache = [_random((batch, kv_heads, keys, settings["head_dim"]), clock) for _ in range(2)]
                seconds = clock.graphed(partial(attend, query, *cache, is_causal=False))
                yield {"heads": heads, "kv_heads": kv_heads, "keys": keys, "batch": batch, "seconds": seconds}


def _prefill_attention(clock: Clock, settings: Settings) -> Iterator[Row]:
    """Yield causal attention over a whole prompt."""
    for heads, kv_heads in settings["attention_heads"]:
        for tokens in settings["prefill_tokens"]:
            query = _random((1, heads, tokens, settings["head_dim"]), clock)
            cache = [_random((1, kv_heads, tokens, settings["head_dim"]), clock) for _ in range(2)]
            seconds = clock.launched(partial(attend, query, *cache, is_causal=True))
            yield {"heads": heads, "kv_heads": kv_heads, "tokens": tokens, "seconds": seconds}


def _host_copies(clock: Clock, settings: Settings) -> Iterator[Row]:
    """Yield copies between host and device, from memory that is pinned and that is not, both ways."""
    for size in settings["host_bytes"]:
        there = torch.empty(size, dtype=torch.uint8, device=clock.device)
        for is_pinned in (True, False):
            here = torch.empty(size, dtype=torch.uint8, pin_memory=is_pinned and clock.device.type == "cuda")
            for way in ("to device", "to host"):
                source, target = (here, there) if way == "to device" else (there, here)
                seconds = clock.launched(partial(target.copy_, source, non_blocking=is_pinned))
                yield {"bytes": size, "is_pinned": is_pinned, "way": way, "seconds": seconds}


def _gathers(clock: Clock, settings: Settings) -> Iterator[Row]:
    """Yield scattered pieces of host memory, brought together by the processor and then copied to the device."""
    total = settings["gather_total_bytes"]
    for size in settings["gather_bytes"]:
        count = total // size
        random = torch.Generator().manual_seed(1)
        source = torch.zeros((2 * count, size), dtype=torch.uint8)
        chosen = torch.randperm(2 * count, generator=random)[:count]
        staging = torch.empty((count, size), dtype=torch.uint8, pin_memory=clock.device.type == "cuda")
        there = torch.empty((count, size), dtype=torch.uint8, device=clock.device)
        seconds = clock.launched(partial(_gather, source, chosen, staging, there))
        yield {"piece_bytes": size, "bytes": count * size, "seconds": seconds}


MEASUREMENTS: Mapping[str, Callable[[Clock, Settings], Iterator[Row]]] = {
    "launch": _launches,
    "copy": _copies,
    "product": _products,
    "decode_attention": _decode_attention,
    "prefill_attention": _prefill_attention,
    "host_copy": _host_copies,
    "gather": _gathers,
}
"""By name; a GPU model may be fitted to these."""


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, is_causal: bool) -> torch.Tensor:
    """Return fused attention; key heads are shared where there are fewer of them."""
    is_shared = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(query, key, value, is_causal=is_causal, enable_gqa=is_shared)


def _gather(source: torch.Tensor, chosen: torch.Tensor, staging: torch.Tensor, there: torch.Tensor) -> None:
    torch.index_select(source, 0, chosen, out=staging)
    there.copy_(staging, non_blocking=True)


def _random(shape: tuple[int, ...], clock: Clock) -> torch.Tensor:
    # Zeros draw less power and so run faster than any data.
    return torch.randn(shape, device=clock.device, dtype=clock.dtype)
