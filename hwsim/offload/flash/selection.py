"""The tokens and channels that sparse attention picks: two random processes, each with one named parameter.

Tokens. A key that matters has neighbours that matter: words are several tokens, phrases several words, and what a text is
about recurs close by. The process is the simplest one with that property, a chain of two states (picked, not picked) along
the sequence. Its density is the share of tokens picked; its one parameter is the mean length of a run of picked tokens.
Independent picks are the chain with runs of 1 / (1 - share).

Channels. SparF and SparQ take the channels in which the query is largest. Energy is concentrated: a few channels of a head
are large for every query. A head's channel scales are drawn log-normal, the query is normal in each; the one parameter is
the spread of the log-normal. Neighbouring channels are not related (OPT has no rotary pairs), so how many channel pages
are touched does not depend on the spread; that the same ones are touched step after step does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError

__all__ = ["ChannelSelection", "TokenSelection"]

Floats = float | npt.NDArray[np.float64]
Counts = int | npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TokenSelection:
    """Picked tokens as a stationary chain of two states.

    Raises:
        SpecError: a share outside 0 ... 1, or runs too short for it: at share p, runs are at least p / (1 - p) and 1 token long.
    """

    share: float
    """Share of all tokens that are picked."""
    run_tokens: float
    """Mean length of a run of picked tokens: the locality parameter."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise SpecError(f"Token share must lie between 0 and 1, not {self.share!r}")
        least = max(1.0, self.share / (1 - self.share))
        if not self.run_tokens >= least:
            raise SpecError(f"Token runs must be at least {least:g} long at a share of {self.share:g}, not {self.run_tokens!r}")

    @classmethod
    def independent(cls, share: float) -> TokenSelection:
        """Return the chain whose tokens are picked each for itself."""
        return cls(share=share, run_tokens=1 / (1 - share))

    @classmethod
    def touching(cls, share: float, group_tokens: int, touched: float) -> TokenSelection:
        """Return the chain that touches this share of groups of consecutive tokens.

        Raises:
            SpecError: no chain does: less than the share itself, or more than picks as far apart as can be.
        """
        if not share < touched < 1 or group_tokens < 2:
            raise SpecError(f"Touched groups must be more than the share of {share:g} and less than 1, not {touched!r}")
        begins = 1 - ((1 - touched) / (1 - share)) ** (1 / (group_tokens - 1))
        return cls(share=share, run_tokens=share / ((1 - share) * begins))

    def group_share(self, group_tokens: Counts) -> Floats:
        """Return the expected share of groups of consecutive tokens in which at least one is picked.

        A group is untouched if its first token is not picked and no run begins in the others: 1 - (1 - p) (1 - a)^(G - 1), with
        a = p / ((1 - p) run), the chance that a run begins behind a token that is not picked.
        """
        begins = self.share / ((1 - self.share) * self.run_tokens)
        return 1 - (1 - self.share) * (1 - begins) ** (np.asarray(group_tokens) - 1)

    def draw(self, rng: np.random.Generator, heads: int, tokens: int) -> npt.NDArray[np.bool_]:
        """Return picks of exactly round(share * tokens) tokens in round(picked / run_tokens) runs, [heads, tokens].

        Given its number of picks and runs, the chain makes every arrangement of them equally likely; so does this.
        """
        picked = min(max(round(self.share * tokens), 1), tokens - 1)
        runs = min(max(round(picked / self.run_tokens), 1), picked, tokens - picked + 1)
        mask = np.zeros((heads, tokens), bool)
        cuts = np.sort(rng.random((heads, picked - 1)).argsort(axis=1)[:, : runs - 1] + 1, axis=1)
        gaps = np.sort(rng.random((heads, tokens - picked + 1)).argsort(axis=1)[:, :runs], axis=1)
        edges = np.concatenate([np.zeros((heads, 1), np.int64), cuts], axis=1)
        begins = gaps + edges
        number = np.arange(picked)
        of_run = (number[None, :, None] >= edges[:, None, :]).sum(axis=2) - 1
        position = np.take_along_axis(begins - edges, of_run, axis=1) + number
        mask[np.arange(heads)[:, None], position] = True
        return mask


@dataclass(frozen=True, kw_only=True)
class ChannelSelection:
    """The channels of a head in which a query is largest.

    Raises:
        SpecError: more channels picked than there are, or none, or a negative spread.
    """

    picked: int
    """Number of channels that are picked (r)."""
    channels: int
    """Channels of a head (d)."""
    spread: float = 1.0
    """Standard deviation of the logarithm of the channels' scales; 0: all alike."""

    def __post_init__(self) -> None:
        if not 1 <= self.picked <= self.channels:
            raise SpecError(f"Picked channels must lie within 1 ... {self.channels}, not {self.picked!r}")
        if not self.spread >= 0:
            raise SpecError(f"Channel spread must be zero or more, not {self.spread!r}")

    def page_share(self, page_channels: int) -> float:
        """Return the expected share of pages of neighbouring channels in which at least one is picked.

        Channels are exchangeable, so a page is missed as often as a random set of r of d misses its c channels:
        1 - C(d - c, r) / C(d, r).
        """
        missed = 1.0
        for number in range(page_channels):
            missed *= max(self.channels - self.picked - number, 0) / (self.channels - number)
        return 1 - missed

    def draw(self, rng: np.random.Generator, heads: int, steps: int = 1) -> npt.NDArray[np.bool_]:
        """Return the channels picked by each head in each step, [steps, heads, channels]; a head keeps its scales."""
        scales = np.exp(self.spread * rng.standard_normal((heads, self.channels)))
        size = np.abs(scales * rng.standard_normal((steps, heads, self.channels)))
        order = size.argsort(axis=2)[:, :, -self.picked :]
        mask = np.zeros(size.shape, bool)
        np.put_along_axis(mask, order, True, axis=2)
        return mask
