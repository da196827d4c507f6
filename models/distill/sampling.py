"""Text written by the teacher to train on: how it begins, and its tokens, of thousands of sequences at once, by CUDA graphs."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from hwsim.whole_files import whole_file
from models.distill.attention import rotate
from models.distill.prepared import TEXTS, Prepared
from models.distill.settings import Settings
from models.distill.student import normed
from models.distill.teacher import Layer, Teacher

__all__ = ["FREE", "Writer", "prompts", "read_samples", "sample"]

FREE = -1
"""Where the teacher chooses."""

_SHORT = (3, 12)
_LONG = (8, 48)

# Positions read together: a graph is captured for each multiple of so many.
_BUCKET = 64
_WARM_STEPS = 2


def prompts(prepared: Prepared, settings: Settings, batch: int) -> np.ndarray:
    """Return forced tokens of the sequences of a batch, int64 [sequences, length], FREE after them.

    Conversations begin with the chat template up to the user's words, the others with 3 to 12 tokens of public-domain
    text or 8 to 48 of the encyclopedia's, whose style they then keep.
    """
    random = np.random.default_rng([settings.seed, 1 << 20, batch])
    rows = np.full((settings.sample_batch, settings.sample_length), FREE, np.int64)
    draw = random.random(len(rows))
    for row, drawn in zip(rows, draw, strict=True):
        if len(prepared.chat) and drawn < settings.chat_share:
            start = prepared.chat
        else:
            is_long = drawn < settings.chat_share + settings.encyclopedia_share
            text = prepared.texts[TEXTS[1] if is_long else TEXTS[0]]
            count = int(random.integers(*(_LONG if is_long else _SHORT), endpoint=True))
            first = int(random.integers(0, max(1, len(text) - count)))
            start = text[first : first + count]
        start = start[: settings.sample_length]
        row[: len(start)] = start
    return rows


class Writer:
    """A batch of sequences being written."""

    def __init__(self, teacher: Teacher, prepared: Prepared, settings: Settings, *, is_graphed: bool) -> None:
        config, device, dtype = teacher.config, teacher.device, teacher.dtype
        self._teacher, self._settings, self._is_graphed = teacher, settings, is_graphed
        batch, length = settings.sample_batch, settings.sample_length
        shape = (batch, config.kv_heads, length, config.head_dim)
        # Zeros, because unwritten entries are multiplied by zero too, and zero times NaN or infinity is NaN.
        self._keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in teacher.layers]
        self._values = [torch.zeros(shape, device=device, dtype=dtype) for _ in teacher.layers]
        self._rotation = teacher.rotation(length)
        self._forced = torch.full((batch, length), FREE, device=device)
        self._text = torch.zeros((batch, length), device=device, dtype=torch.int64)
        self._token = torch.zeros(batch, device=device, dtype=torch.int64)
        self._pending = torch.zeros(batch, device=device, dtype=torch.int64)
        self._position = torch.zeros(1, device=device, dtype=torch.int64)
        self._turn = torch.from_numpy(prepared.turn.astype(np.int64)).to(device)
        self._ends = torch.from_numpy(prepared.end.astype(np.int64)).to(device)
        self._indices = torch.arange(length, device=device)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    @torch.no_grad()
    def write(self, forced: np.ndarray, seed: int) -> np.ndarray:
        """Return sequences that begin as asked, uint16 [sequences, length].

        forced: tokens, FREE where the teacher chooses, int64 [sequences, length].
        """
        length = self._settings.sample_length
        if self._is_graphed and not self._graphs:
            self._capture()
        torch.manual_seed(seed)
        self._begin(forced)
        for position in range(length - 1):
            bucket = -(-(position + 1) // _BUCKET) * _BUCKET
            if self._is_graphed:
                self._graphs[min(bucket, length)].replay()
            else:
                self._step(min(bucket, length))
        return self._text.cpu().numpy().astype(np.uint16)

    def _begin(self, forced: np.ndarray) -> None:
        self._forced.copy_(torch.from_numpy(forced))
        first = self._forced[:, 0].clamp(min=0)
        self._token.copy_(first)
        self._text.zero_()
        self._text[:, 0] = first
        self._pending.zero_()
        self._position.zero_()

    def _capture(self) -> None:
        """Record a step for every number of positions that may be read."""
        length = self._settings.sample_length
        pool = None
        stream = torch.cuda.Stream()
        for bucket in sorted({min(first + _BUCKET, length) for first in range(0, length, _BUCKET)}, reverse=True):
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_STEPS):
                    self._position.zero_()
                    self._step(bucket)
            torch.cuda.current_stream().wait_stream(stream)
            self._position.zero_()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                self._step(bucket)
            pool = graph.pool() if pool is None else pool
            self._graphs[bucket] = graph

    def _step(self, reach: int) -> None:
        """Feed the current tokens and choose the next; keys before `reach` are read."""
        teacher, settings = self._teacher, self._settings
        x = functional.embedding(self._token, teacher.embedding)
        rotation = self._rotation.index_select(1, self._position)
        hidden = (self._indices[:reach] > self._position)[None, None]
        for index, layer in enumerate(teacher.layers):
            x = self._layer(layer, index, x, rotation, hidden)
        logits = functional.linear(teacher.final(x), teacher.head).float()
        # The largest of logits less the logarithm of exponential noise is a draw from their softmax.
        noise = torch.empty_like(logits).exponential_().clamp_(min=1e-20)
        drawn = (logits.div_(settings.temperature) - noise.log_()).argmax(-1)
        following = self._position + 1
        asked = self._forced.index_select(1, following.clamp(max=settings.sample_length - 1))[:, 0]
        chosen = drawn
        if len(self._turn):
            waiting = self._turn[(len(self._turn) - self._pending).clamp(min=0, max=len(self._turn) - 1)]
            chosen = torch.where(self._pending > 0, waiting, drawn)
        is_end = torch.isin(chosen, self._ends) & (asked == FREE) & (self._pending == 0)
        self._pending.copy_(torch.where(is_end, len(self._turn), (self._pending - 1).clamp(min=0)))
        self._token.copy_(torch.where(asked == FREE, chosen, asked))
        self._text.index_copy_(1, following, self._token[:, None])
        self._position.add_(1)

    def _layer(self, layer: Layer, index: int, x: torch.Tensor, rotation: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the streams, [sequences, hidden], after a layer, whose cache gets the tokens."""
        config = layer.config
        rows = normed(x, layer.attention_norm, config.norm_eps)
        queries, keys, values = layer.heads(rows[:, None])
        reach = hidden.shape[-1]
        read = []
        for cache, new in ((self._keys[index], rotate(keys, rotation)), (self._values[index], values)):
            cache.index_copy_(2, self._position, new.to(cache.dtype))
            read.append(cache[:, :, :reach].flatten(0, 1))
        grouped = rotate(queries, rotation).reshape(-1, config.group, config.head_dim) * config.head_dim**-0.5
        scores = torch.bmm(grouped.to(read[0].dtype), read[0].transpose(1, 2)).float()
        weights = torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1)
        mixed = torch.bmm(weights.to(read[1].dtype), read[1]).float().reshape(len(x), -1)
        x = x + layer.linear("o", mixed)
        gate, up = layer.linear("gateup", normed(x, layer.ffn_norm, config.norm_eps)).chunk(2, dim=-1)
        return x + layer.linear("down", functional.silu(gate) * up)


def sample(
    prepared: Prepared,
    settings: Settings,
    folder: Path,
    teacher: Teacher,
    tell: Callable[[str], None],
    *,
    deadline: float,
    shard: tuple[int, int] = (0, 1),
) -> int:
    """Write `sampled-<batch>.npy` files until all are there or time is up, and return the number of tokens written so far.

    Files that are there are kept, so that an interrupted run goes on.

    deadline: in seconds of time.monotonic; a batch is begun only if it would end in time, were it as long as the last.
    shard: (own number, count); process n of count writes the batches n, n + count, n + 2 count, ...
    """
    count = -(-settings.sample_sequences // settings.sample_batch)
    folder.mkdir(parents=True, exist_ok=True)
    writer: Writer | None = None
    took = 0.0
    for batch in range(shard[0], count, shard[1]):
        path = folder / f"sampled-{batch:04d}.npy"
        if path.is_file():
            continue
        if time.monotonic() + took > deadline:
            tell(f"sampling stops at batch {batch} of {count}: time is up")
            break
        began = time.monotonic()
        if writer is None:
            writer = Writer(teacher, prepared, settings, is_graphed=teacher.device.type == "cuda")
        text = writer.write(prompts(prepared, settings, batch), seed=settings.seed * 1_000_003 + batch)
        with whole_file(path) as part, part.open("wb") as stream:
            np.save(stream, text, allow_pickle=False)
        took = time.monotonic() - began
        tell(f"sampled batch {batch + 1} of {count}: {text.size} tokens in {took:.1f} s, {text.size / took:.0f} tokens/s")
    return sum(text.size for text in read_samples(folder).values())


def read_samples(folder: Path) -> dict[str, np.ndarray]:
    """Return what was written, each file's tokens one after the other, by name."""
    return {path.name: np.load(path, allow_pickle=False).reshape(-1) for path in sorted(folder.glob("sampled-*.npy"))}
