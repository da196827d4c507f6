"""The layout of keys and values on flash pages in InstInfer: groups of tokens for whole vectors, groups of channels for scores.

A token page holds all channels of a few consecutive tokens of one head, of the keys or of the values. A channel page holds
a few channels of many consecutive tokens, of the keys only: K is stored twice, V once. Flash is appended to in whole
pages; tokens that do not yet fill one wait in the drive's DRAM and are read from there.

Ref: InstAttention (HPCA 2025): 16 tokens of a head in 4 KB at FP16 and 128 channels; channel pages of 2-8 channels and
256-1024 tokens; groups striped over the channels of the drive in token order.
"""

from dataclasses import dataclass

import numpy as np

from hwsim.errors import SpecError, shown
from hwsim.offload.flash.geometry import Count
from hwsim.units import Bytes

__all__ = ["KvLayout", "KvShape"]


@dataclass(frozen=True, kw_only=True)
class KvShape:
    """Keys and values of one layer."""

    sequences: int
    """Sequences of the batch."""
    heads: int
    """Key-value heads of a layer."""
    head_channels: int
    """Channels of a head."""
    element_bytes: int = 2
    """Bytes of a number."""

    @property
    def lanes(self) -> int:
        """Pairs of sequence and head: what has keys and values of its own."""
        return self.sequences * self.heads

    @property
    def vector_bytes(self) -> int:
        """Bytes of one key, or value, of one head."""
        return self.head_channels * self.element_bytes

    def stored(self, tokens: Count) -> Bytes:
        """Return the bytes of the keys and values of so many tokens, each once."""
        return Bytes(2.0 * self.lanes * self.vector_bytes * np.asarray(tokens))


@dataclass(frozen=True, kw_only=True)
class KvLayout:
    """Pages of a head's keys and values.

    Raises:
        SpecError: token and channel pages of different sizes, or channel pages that do not divide the channels of a head.
    """

    shape: KvShape
    group_tokens: int = 16
    """Tokens of a token page."""
    page_channels: int = 2
    """Channels of a channel page."""
    page_tokens: int = 1024
    """Tokens of a channel page."""

    def __post_init__(self) -> None:
        for name in ("group_tokens", "page_channels", "page_tokens"):
            if getattr(self, name) < 1:
                raise SpecError(f"Layout {name} must be at least 1, not {shown(getattr(self, name))}")
        if self.page_channels * self.page_tokens != self.group_tokens * self.shape.head_channels:
            fitting = self.group_tokens * self.shape.head_channels / self.page_channels
            raise SpecError(
                f"Layout page_tokens must be {fitting:g}, for channel pages as large as token pages, not {shown(self.page_tokens)}"
            )
        if self.shape.head_channels % self.page_channels:
            raise SpecError(f"Layout page_channels must divide {self.shape.head_channels}, not {shown(self.page_channels)}")

    @property
    def page(self) -> Bytes:
        """Size of a page."""
        return Bytes(float(self.group_tokens * self.shape.vector_bytes))

    @property
    def channel_groups(self) -> int:
        """Channel pages beside one another for the same tokens."""
        return self.shape.head_channels // self.page_channels

    def token_pages(self, tokens: Count) -> Count:
        """Return the whole token pages of one head's keys (or values)."""
        return np.asarray(tokens) // self.group_tokens

    def channel_blocks(self, tokens: Count) -> Count:
        """Return the rows of `channel_groups` whole channel pages of one head."""
        return np.asarray(tokens) // self.page_tokens

    def written(self, first: int, last: int, *, has_channel_pages: bool = True) -> Bytes:
        """Return what is programmed of a layer while its sequences grow from `first` to `last` tokens."""
        pages = 2 * (self.token_pages(last) - self.token_pages(first))
        if has_channel_pages:
            pages = pages + self.channel_groups * (self.channel_blocks(last) - self.channel_blocks(first))
        return self.page * float(self.shape.lanes * pages)

    def waiting(self, *, has_channel_pages: bool = True) -> Bytes:
        """Return the most that waits in DRAM, per layer: all sequences one token short of whole pages."""
        short = 2 * (self.group_tokens - 1) * self.shape.vector_bytes
        if has_channel_pages:
            # Keys that wait for their channel page wait for their token page too: held once.
            short = short + (self.page_tokens - self.group_tokens) * self.shape.vector_bytes
        return Bytes(float(self.shape.lanes * short))
