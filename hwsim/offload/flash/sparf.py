"""Pages that SparF, InstInfer's sparse attention, reads from flash: how many pages on average, and which ones, as a load.

A head's step has two reads that depend on one another. First the channel pages in which a picked channel lies, for approximate
scores; then, of the tokens that scored highest, the token pages of keys and values in which a picked token lies. Whole
pages cross the bus; filters behind it drop what was not picked. So the sparsity that the bus sees is that of pages.

Which tokens and channels are picked are two random processes, each with one named parameter.

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
from typing import cast

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError, shown
from hwsim.offload.flash.events import NO_SET, Load
from hwsim.offload.flash.geometry import Count, Geometry
from hwsim.offload.flash.kernel import Integers
from hwsim.offload.flash.layout import KvLayout
from hwsim.units import Bytes, Seconds, Value

__all__ = ["ChannelSelection", "SparF", "Striping", "TokenSelection", "dense_bytes"]

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
            raise SpecError(f"Token share must lie between 0 and 1, not {shown(self.share)}")
        least = max(1.0, self.share / (1 - self.share))
        if not self.run_tokens >= least:
            raise SpecError(
                f"Token runs must be at least {least:g} long at a share of {self.share:g}, not {shown(self.run_tokens)}"
            )

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
            raise SpecError(f"Touched groups must be more than the share of {share:g} and less than 1, not {shown(touched)}")
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
            raise SpecError(f"Picked channels must lie within 1 ... {self.channels}, not {shown(self.picked)}")
        if not self.spread >= 0:
            raise SpecError(f"Channel spread must be zero or more, not {shown(self.spread)}")

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


@dataclass(frozen=True, kw_only=True)
class Striping:
    """Where pages lie. Every region of a lane's pages (keys, values, channel pages) goes over the channels in token order."""

    lane_step: int = 0
    """Channels by which the start of a lane's stripes is moved on from lane to lane; 0: all start in channel 0."""
    value_step: int = 0
    """Channels by which the stripes of values are moved on from those of keys; 0: both of a token lie in one channel."""

    def place(self, geometry: Geometry, lane: Integers, region: Integers, page: Integers, stride: int) -> tuple[Integers, Integers]:
        """Return die and plane of pages.

        region: 0 keys, 1 values, 2 channel pages; page: number within its region; stride: pages reserved for a region.

        Stripes go over channels first, then dies, then planes.
        """
        channels, dies = int(geometry.channels), int(geometry.dies_per_channel)
        rows = -(-stride // channels)
        channel = (page + lane * self.lane_step + (region == 1) * self.value_step) % channels
        row = (lane * 3 + region) * rows + page // channels
        return channel * dies + row % dies, row // dies % int(geometry.planes)


@dataclass(frozen=True, kw_only=True)
class SparF:
    """Sparse attention over a layout."""

    layout: KvLayout
    tokens: TokenSelection
    channels: ChannelSelection

    def __post_init__(self) -> None:
        if self.channels.channels != self.layout.shape.head_channels:
            channels = self.layout.shape.head_channels
            raise SpecError(f"Selection channels must be those of a head, {channels}, not {shown(self.channels.channels)}")

    @property
    def compression(self) -> float:
        """Share of keys and values that filters let through, with r of d channels and k of S tokens: (S r + 2 k d) / (2 S d)."""
        return self.channels.picked / (2 * self.channels.channels) + self.tokens.share

    def read_bytes(self, tokens: Count) -> Bytes:
        """Return the expected flash bytes of one step of a layer at so many tokens of context: an array gives an array."""
        layout = self.layout
        channel_pages = layout.channel_blocks(tokens) * layout.channel_groups * self.channels.page_share(layout.page_channels)
        token_pages = 2 * layout.token_pages(tokens) * self.tokens.group_share(layout.group_tokens)
        return layout.page * cast(Value, (channel_pages + token_pages) * layout.shape.lanes)

    def flash_fraction(self, first: int, last: int) -> float:
        """Return flash bytes of the steps at `first` ... `last` - 1 tokens of context over those of reading all keys and values."""
        contexts = np.arange(first, last)
        sparse, dense = self.read_bytes(contexts), dense_bytes(self.layout, contexts)
        return float(np.sum(sparse.value) / np.sum(dense.value))

    def load(
        self, geometry: Geometry, striping: Striping, rng: np.random.Generator, *, tokens: int, lanes: int, lanes_in_flight: int
    ) -> Load:
        """Return the reads of one step for `lanes` heads, of which so many are worked on at a time.

        A lane's place is free for the next when all its reads are done. Scores and attention take no time of their own.

        Raises:
            SpecError: pages of another size than the flash's, or no lane in flight.
        """
        if lanes_in_flight < 1:
            raise SpecError(f"Lanes in flight must be at least 1, not {shown(lanes_in_flight)}")
        if geometry.page.value < self.layout.page.value:
            raise SpecError(f"Layout page must fit the flash page of {shown(geometry.page)}, not {shown(self.layout.page)}")
        layout = self.layout
        groups, blocks = int(layout.token_pages(tokens)), int(layout.channel_blocks(tokens))
        stride = max(groups, blocks * layout.channel_groups)
        picked_tokens = self.tokens.draw(rng, lanes, tokens)[:, : groups * layout.group_tokens]
        token_page = np.any(picked_tokens.reshape(lanes, groups, layout.group_tokens), axis=2)
        picked_channels = self.channels.draw(rng, lanes)[0]
        channel_page = np.any(picked_channels.reshape(lanes, layout.channel_groups, layout.page_channels), axis=2)
        lane, page, region = _reads(token_page, np.tile(channel_page, (1, blocks)))
        die, plane = striping.place(geometry, lane, region, page, stride)
        # Two sets a lane: channel pages, then token pages.
        number = np.arange(2 * lanes)
        after = number - 1
        after[::2] = np.maximum(number[::2] + 1 - 2 * lanes_in_flight, NO_SET)
        return Load(
            die=die,
            plane=plane,
            is_program=np.zeros(len(die), bool),
            page_set=2 * lane + (region != 2),
            after=after,
            earliest=Seconds(np.zeros(2 * lanes)),
            moved=Bytes(np.full(len(die), layout.page.value)),
        )


def dense_bytes(layout: KvLayout, tokens: Count) -> Bytes:
    """Return the bytes of one step of a layer that reads all keys and values."""
    return layout.shape.stored(tokens)


def _reads(token_page: npt.NDArray[np.bool_], channel_page: npt.NDArray[np.bool_]) -> tuple[Integers, Integers, Integers]:
    """Return lane, page and region of the pages to read, lane after lane: channel pages, then keys and values token by token."""
    scored_lane, scored_page = np.nonzero(channel_page)
    lane, page = np.nonzero(token_page)
    lanes = np.concatenate([scored_lane, np.repeat(lane, 2)])
    pages = np.concatenate([scored_page, np.repeat(page, 2)])
    regions = np.concatenate([np.full(len(scored_lane), 2), np.tile([0, 1], len(lane))])
    order = np.lexsort((np.arange(len(lanes)), lanes))
    return lanes[order], pages[order], regions[order]
