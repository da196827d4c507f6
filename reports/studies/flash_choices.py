"""The rates and sizes that follow when what InstAttention does not publish of its flash is moved through its range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hwsim.offload.flash.geometry import drive_rate
from hwsim.offload.flash.layout import KvLayout
from hwsim.offload.flash.sparf import ChannelSelection, SparF, Striping, TokenSelection, dense_bytes
from hwsim.units import Seconds
from reports.studies.validation.flash import DRIVE, FIRST, LAST, LAYOUT, OPT_13B, PUBLISHED_READ, SPARF, TOUCHED, decode_rate

__all__ = ["FlashChoices", "Fraction", "Rate", "Written", "fractions", "rates", "study"]


@dataclass(frozen=True, kw_only=True)
class Fraction:
    """Flash bytes of decode over those of dense attention, for one way to a total compression of 1/8."""

    picked_channels: int
    token_share: float
    page_channels: int
    independent: float
    """Tokens picked each for itself."""
    measured: float
    """Tokens that lie together as in SmolLM2-135M."""
    one_run: float
    """All picked tokens next to one another: the least."""
    run_tokens: float | None
    """Mean run that gives the published fraction; None where none does."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Rate of decode reads on a drive, in GB/s, by how many heads are worked on at a time."""

    what: str
    formula: float
    """The long-run rate of a sequential stream."""
    by_heads: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class Written:
    """Writes of decode over those of the prompt, by the tokens of a channel page."""

    page_tokens: int
    whole: float
    one_short: float
    """When the last token is not generated."""
    waiting_gb: float
    """Keys and values of a layer, in GB, that wait for their page to fill."""


@dataclass(frozen=True, kw_only=True)
class FlashChoices:
    """The tables of `docs/flash.md`."""

    fractions: tuple[Fraction, ...]
    rates: tuple[Rate, ...]
    written: tuple[Written, ...]


def study() -> FlashChoices:
    """Return all tables."""
    return FlashChoices(
        fractions=tuple(fractions()), rates=tuple(rates()), written=tuple(_written(tokens) for tokens in (256, 512, 1024))
    )


def _written(page_tokens: int) -> Written:
    layout = KvLayout(shape=OPT_13B, page_channels=2048 // page_tokens, page_tokens=page_tokens)
    prompt = OPT_13B.stored(FIRST)
    whole, short = float(layout.written(FIRST, LAST) / prompt), float(layout.written(FIRST, LAST - 1) / prompt)
    return Written(page_tokens=page_tokens, whole=whole, one_short=short, waiting_gb=float(layout.waiting().to("GB")))


def fractions() -> Iterator[Fraction]:
    """Return the fractions, over shares of channels and tokens and the layouts that InstAttention gives."""
    dense = float(np.sum(dense_bytes(LAYOUT, np.arange(FIRST, LAST)).value))
    published = float(PUBLISHED_READ.value) / dense
    for token_share, touched in TOUCHED.items():
        picked = round((1 / 8 - token_share) * 2 * OPT_13B.head_channels)
        for page_channels in (2, 4, 8):
            layout = KvLayout(shape=OPT_13B, page_channels=page_channels, page_tokens=2048 // page_channels)
            channels = ChannelSelection(picked=picked, channels=OPT_13B.head_channels)

            def fraction(tokens: TokenSelection, layout: KvLayout = layout, channels: ChannelSelection = channels) -> float:
                return SparF(layout=layout, tokens=tokens, channels=channels).flash_fraction(FIRST, LAST)

            one = fraction(TokenSelection(share=token_share, run_tokens=1e9))
            independent = fraction(TokenSelection.independent(token_share))
            # The fraction is linear in the share of groups touched.
            least, most = token_share, float(TokenSelection.independent(token_share).group_share(16))
            needed = least + (published - one) / (independent - one) * (most - least)
            possible = needed > least and needed <= most
            yield Fraction(
                picked_channels=picked,
                token_share=token_share,
                page_channels=page_channels,
                independent=independent,
                measured=fraction(TokenSelection.touching(token_share, 16, touched)),
                one_run=one,
                run_tokens=TokenSelection.touching(token_share, 16, needed).run_tokens if possible else None,
            )


def rates() -> Iterator[Rate]:
    """Return the rates, over dies, sense times, command times and striping."""
    apart = Striping(lane_step=1, value_step=4)
    at_once = replace(DRIVE, ways=128, sense=Seconds(1e-9))
    drives = (
        ("no sense time: striping alone", at_once, Striping()),
        ("no sense time, values half a stripe on", at_once, apart),
        ("32 dies, 50 us", replace(DRIVE, ways=4), Striping()),
        ("64 dies, 50 us", DRIVE, Striping()),
        ("64 dies, 50 us, values half a stripe on", DRIVE, apart),
        ("64 dies, 36 us", replace(DRIVE, sense=Seconds(36e-6)), Striping()),
        ("64 dies, 75 us", replace(DRIVE, sense=Seconds(75e-6)), Striping()),
        ("64 dies, 50 us, no cache register", replace(DRIVE, has_cache_register=False), Striping()),
        ("64 dies of 4 planes, 50 us", replace(DRIVE, planes=4), Striping()),
        ("128 dies, 50 us", replace(DRIVE, ways=16), Striping()),
        ("128 dies, 50 us, commands of 320 ns", replace(DRIVE, ways=16, command=Seconds(320e-9)), Striping()),
        ("128 dies, 75 us", replace(DRIVE, ways=16, sense=Seconds(75e-6)), Striping()),
    )
    for what, geometry, striping in drives:
        found = {
            heads: float(decode_rate(geometry, SPARF, lanes_in_flight=heads, striping=striping).to("GB/s"))
            for heads in (1, 2, 4, 16, OPT_13B.lanes)
        }
        formula = float(drive_rate(geometry).to("GB/s"))
        yield Rate(what=what, formula=formula, by_heads=found)
