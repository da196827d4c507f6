"""Measures on a real model how the tokens and channels that sparse attention picks lie together: runs, and pages touched.

`python -m reports.studies.locality` reads texts with the shipped SmolLM2-135M and picks as SparF does: the channels in which a query
is largest, approximate scores from them, the tokens that score highest. What it found stands in `docs/flash.md`, beside
what the random processes of `hwsim.offload.flash.selection` say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from hwsim.arch.ledger import Ledger
from hwsim.errors import CheckpointError
from models.attention import Dense, Geometry, LayerAttention
from models.checkpoint import load
from models.checkpoint.shipped import locate
from models.evaluation import evaluation_text
from models.reference.llama import Llama

__all__ = ["GROUPS", "PAGES", "SHARES", "Locality", "main", "measure", "picks", "touched_share"]

GROUPS = (4, 8, 16, 32)
"""Tokens of a group: InstInfer's 16, and others."""
PAGES = (2, 4, 8)
"""Channels of a page: InstInfer's range."""
SHARES = ((1 / 16, 3 / 32), (1 / 8, 1 / 16), (3 / 16, 1 / 32))
"""Channels and tokens picked: three ways to a total compression of 1/8."""


@dataclass(frozen=True, kw_only=True)
class Locality:
    """Picks of all layers, heads and measured queries together."""

    context: int
    """Tokens that the last query sees."""
    channel_share: float
    """Channels picked among those of a head (r / d)."""
    token_share: float
    """Tokens picked among those seen (k / S)."""
    run_tokens: float
    """Mean length of a run of picked tokens."""
    group_share: dict[int, float]
    """Share of groups of so many tokens in which one is picked."""
    page_share: dict[int, float]
    """Share of pages of so many neighbouring channels in which one is picked."""


class _Watched(LayerAttention):
    """Dense attention of one layer that remembers its rotated queries and keys."""

    def __init__(self, inner: LayerAttention, geometry: Geometry) -> None:
        self.inner = inner
        self.geometry = geometry
        self.queries = torch.empty(0)
        self.keys = torch.empty(0)

    @property
    def length(self) -> int:
        return self.inner.length

    def prefill(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(q.shape[1])
        self.queries, self.keys = self.geometry.rotate(q, positions), self.geometry.rotate(k, positions)
        return self.inner.prefill(q, k, v)

    def append(self, k: torch.Tensor, v: torch.Tensor) -> None:
        self.inner.append(k, v)

    def select(self, q: torch.Tensor) -> torch.Tensor:
        return self.inner.select(q)

    def attend(self, q: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
        return self.inner.attend(q, idx)

    def ledger(self) -> Ledger:
        return self.inner.ledger()


def picks(
    queries: torch.Tensor, keys: torch.Tensor, *, channel_share: float, token_share: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the channels and the tokens that SparF picks, [queries, channels] and [queries, tokens].

    queries: [queries, channels], of the last tokens of `keys`, [tokens, channels]; each sees the keys up to its own.
    """
    count, tokens, channels = len(queries), len(keys), keys.shape[1]
    largest = queries.abs().topk(round(channel_share * channels), dim=1).indices
    channel = torch.zeros(queries.shape, dtype=torch.bool).scatter_(1, largest, True)
    seen = torch.arange(tokens - count, tokens)[:, None] + 1
    scores = torch.where(channel, queries, 0.0) @ keys.T
    scores = scores.masked_fill(torch.arange(tokens)[None] >= seen, -torch.inf)
    rank = scores.argsort(dim=1, descending=True).argsort(dim=1)
    return channel.numpy(), (rank < (token_share * seen).round()).numpy()


@torch.no_grad()
def measure(model: Llama, tokens: Sequence[int], shares: Sequence[tuple[float, float]], *, queries: int = 32) -> list[Locality]:
    """Return the locality of what the last `queries` queries of a text pick.

    shares: pairs of the share of channels and the share of tokens that are picked; each gives a result.
    """
    geometry = model.geometry
    watched = [_Watched(Dense().layer(geometry), geometry) for _ in range(model.config.layers)]
    model.hidden_states(tokens, watched)
    found = []
    for channel_share, token_share in shares:
        channels, chosen = [], []
        for layer in watched:
            for head in range(geometry.heads):
                keys = layer.keys[head // (geometry.heads // geometry.kv_heads)]
                channel, token = picks(layer.queries[head, -queries:], keys, channel_share=channel_share, token_share=token_share)
                channels.append(channel)
                chosen.append(token)
        channel, token = np.concatenate(channels), np.stack(chosen)
        runs = token[..., 0].sum() + (token[..., 1:] & ~token[..., :-1]).sum()
        seen = np.arange(len(tokens) - queries, len(tokens)) + 1
        found.append(
            Locality(
                context=len(tokens),
                channel_share=channel_share,
                token_share=token_share,
                run_tokens=float(token.sum() / runs),
                group_share={size: touched_share(token, seen, size) for size in GROUPS},
                page_share={size: float(channel.reshape(len(channel), -1, size).any(axis=2).mean()) for size in PAGES},
            )
        )
    return found


def touched_share(picked: npt.NDArray[np.bool_], seen: npt.NDArray[np.int64], size: int) -> float:
    """Return the share of whole groups that are touched; tokens that do not fill one yet are not on flash.

    picked: [heads, queries, tokens]; seen: tokens that each query sees.
    """
    touched = 0
    for query, count in enumerate(seen // size):
        touched += picked[:, query, : count * size].reshape(len(picked), count, size).any(axis=2).sum()
    return float(touched / (len(picked) * (seen // size).sum()))


def main() -> None:
    """Print what the shipped model picks, a line for each place in the text, context and pair of shares, then their means."""
    checkpoint = load(locate("smollm2-135m"))
    if checkpoint.tokenizer is None:
        raise CheckpointError("Checkpoint smollm2-135m must have a tokenizer, not none")
    tokens = checkpoint.tokenizer.encode(evaluation_text())
    model = Llama(checkpoint)
    found = []
    for begin in (0, 10_000, 20_000, 30_000):
        for context in (1024, 2047):
            for each in measure(model, tokens[begin : begin + context], SHARES):
                sys.stdout.write(json.dumps({"begin": begin, **asdict(each)}) + "\n")
                found.append(each)
    for channel_share, token_share in SHARES:
        alike = [each for each in found if each.channel_share == channel_share]
        groups = {size: float(np.mean([each.group_share[size] for each in alike])) for size in GROUPS}
        pages = {size: float(np.mean([each.page_share[size] for each in alike])) for size in PAGES}
        runs = float(np.mean([each.run_tokens for each in alike]))
        mean = {"channel_share": channel_share, "token_share": token_share, "run_tokens": runs}
        sys.stdout.write(json.dumps({"mean": mean, "group_share": groups, "page_share": pages}) + "\n")


if __name__ == "__main__":
    main()
