"""Pages that SparF, InstInfer's sparse attention, reads from flash: how many pages on average, and which ones, as a load.

A head's step has two reads that depend on one another. First the channel pages in which a picked channel lies, for approximate
scores; then, of the tokens that scored highest, the token pages of keys and values in which a picked token lies. Whole
pages cross the bus; filters behind it drop what was not picked. So the sparsity that the bus sees is that of pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError
from hwsim.offload.flash.geometry import Count, Geometry
from hwsim.offload.flash.layout import KvLayout
from hwsim.offload.flash.load import NO_SET, Integers, Load
from hwsim.offload.flash.selection import ChannelSelection, TokenSelection
from hwsim.units import Bytes, Seconds, Value

__all__ = ["SparF", "Striping", "dense_bytes", "total_compression"]


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
            raise SpecError(f"Selection channels must be those of a head, {channels}, not {self.channels.channels!r}")

    @property
    def compression(self) -> float:
        """Elements that the filters let through, of all keys and values."""
        return total_compression(self.channels.picked, self.channels.channels, self.tokens.share)

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
            raise SpecError(f"Lanes in flight must be at least 1, not {lanes_in_flight!r}")
        if geometry.page.value < self.layout.page.value:
            raise SpecError(f"Layout page must fit the flash page of {geometry.page!r}, not {self.layout.page!r}")
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


def total_compression(picked_channels: int, channels: int, token_share: float) -> float:
    """Return (S r + 2 k d) / (2 S d): what filters let through of keys and values, with r of d channels and k of S tokens."""
    return picked_channels / (2 * channels) + token_share


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
