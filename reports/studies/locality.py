"""How the tokens and channels that sparse attention picks on a real model lie together: runs, and pages touched.

The shipped SmolLM2-135M reads texts and picks as SparF does: the channels in which a query is largest, approximate scores from
them, the tokens that score highest. What it found stands in `docs/flash.md`, beside what the random processes of
`hwsim.offload.flash.sparf` say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from hwsim.errors import CheckpointError
from models.attention import Dense, Geometry, LayerAttention
from models.checkpoint import load
from models.checkpoint.shipped import locate
from models.evaluation import evaluation_text
from models.reference.llama import Llama

__all__ = ["GROUPS", "PAGES", "SHARES", "LocalityStudy", "Picked", "mean", "measure", "picks", "study", "touched_share"]

GROUPS = (4, 8, 16, 32)
"""Tokens of a group: InstInfer's 16, and others."""
PAGES = (2, 4, 8)
"""Channels of a page: InstInfer's range."""
SHARES = ((1 / 16, 3 / 32), (1 / 8, 1 / 16), (3 / 16, 1 / 32))
"""Channels and tokens picked: three ways to a total compression of 1/8."""


@dataclass(frozen=True, kw_only=True)
class Picked:
    """How the channels and tokens lie together that all layers, heads and measured queries pick."""

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
    context: int | None = None
    """Tokens that the last query sees; None for a mean."""


@dataclass(frozen=True, kw_only=True)
class LocalityStudy:
    """Picks at several places of a text, with contexts of several lengths."""

    places: tuple[tuple[int, Picked], ...]
    """The token that each context begins at, and what was picked."""
    means: tuple[Picked, ...]
    """Means over all places, for each pair of shares."""


class _Watched(LayerAttention):
    """Dense attention of one layer that remembers its rotated queries and keys."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(Dense(), geometry)
        self.geometry = geometry
        self.queries = torch.empty(0)
        self.keys = torch.empty(0)

    def prefill(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(q.shape[1])
        self.queries, self.keys = self.geometry.rotate(q, positions), self.geometry.rotate(k, positions)
        return super().prefill(q, k, v)


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
def measure(model: Llama, tokens: Sequence[int], shares: Sequence[tuple[float, float]], *, queries: int = 32) -> list[Picked]:
    """Return the locality of what the last `queries` queries of a text pick.

    shares: pairs of the share of channels and the share of tokens that are picked; each gives a result.
    """
    geometry = model.geometry
    shared = geometry.heads // geometry.kv_heads
    watched = [_Watched(geometry) for _ in range(model.config.layers)]
    model.hidden_states(tokens, watched)
    found = []
    for channel_share, token_share in shares:
        picked = [
            picks(layer.queries[head, -queries:], layer.keys[head // shared], channel_share=channel_share, token_share=token_share)
            for layer in watched
            for head in range(geometry.heads)
        ]
        channel, token = np.concatenate([each for each, _ in picked]), np.stack([each for _, each in picked])
        runs = token[..., 0].sum() + (token[..., 1:] & ~token[..., :-1]).sum()
        seen = np.arange(len(tokens) - queries, len(tokens)) + 1
        found.append(
            Picked(
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


def study() -> LocalityStudy:
    """Return what the shipped model picks at four places of the evaluation text, with 1024 and 2047 tokens of context."""
    checkpoint = load(locate("smollm2-135m"))
    if checkpoint.tokenizer is None:
        raise CheckpointError("Checkpoint smollm2-135m must have a tokenizer, not none")
    tokens, model = checkpoint.tokenizer.encode_whole(evaluation_text()), Llama(checkpoint)
    places = tuple(
        (begin, found)
        for begin in (0, 10_000, 20_000, 30_000)
        for context in (1024, 2047)
        for found in measure(model, tokens[begin : begin + context], SHARES)
    )
    found = [each for _, each in places]
    return LocalityStudy(places=places, means=tuple(mean([each for each in found if each.channel_share == c]) for c, _ in SHARES))


def mean(found: Sequence[Picked]) -> Picked:
    """Return the mean of what was picked with the same shares."""
    return replace(
        found[0],
        context=None,
        run_tokens=float(np.mean([each.run_tokens for each in found])),
        group_share={size: float(np.mean([each.group_share[size] for each in found])) for size in GROUPS},
        page_share={size: float(np.mean([each.page_share[size] for each in found])) for size in PAGES},
    )
