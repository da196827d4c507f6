"""Moves through its range what InstAttention does not publish of its flash.

`python -m reports.studies.flash_choices` prints the tables of `docs/flash.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hwsim.offload.flash.geometry import Geometry
from hwsim.offload.flash.layout import KvLayout
from hwsim.offload.flash.rates import drive_rate
from hwsim.offload.flash.selection import ChannelSelection, TokenSelection
from hwsim.offload.flash.sparf import SparF, Striping, dense_bytes
from hwsim.units import Seconds
from reports.studies.validation.flash import DRIVE, FIRST, LAST, LAYOUT, OPT_13B, PUBLISHED_READ, SEED, SPARF, TOUCHED, decode_rate

__all__ = ["Fraction", "Rate", "fractions", "main", "rates"]


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
    run_tokens: float
    """Mean run that gives the published fraction; nan where none does."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Rate of decode reads on a drive, in GB/s, by how many heads are worked on at a time."""

    what: str
    geometry: Geometry
    striping: Striping
    formula: float
    """The long-run rate of a sequential stream."""
    by_heads: dict[int, float]


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
                run_tokens=TokenSelection.touching(token_share, 16, needed).run_tokens if possible else float("nan"),
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
        yield Rate(what=what, geometry=geometry, striping=striping, formula=formula, by_heads=found)


def main() -> None:
    """Print the tables."""
    write = sys.stdout.write
    write("| r | k / S | channels a page | independent | as measured | one run | run for 0.527 |\n|---|---|---|---|---|---|---|\n")
    for each in fractions():
        share = f"{each.picked_channels} | {each.token_share:.4f} | {each.page_channels}"
        write(f"| {share} | {each.independent:.3f} | {each.measured:.3f} | {each.one_run:.3f} | {each.run_tokens:.2f} |\n")
    write(f"\nSeed {SEED}.\n\n| drive | formula | 1 head | 2 | 4 | 16 | all |\n|---|---|---|---|---|---|---|\n")
    for rate in rates():
        write(f"| {rate.what} | {rate.formula:.2f} | {' | '.join(f'{value:.2f}' for value in rate.by_heads.values())} |\n")
    write("\n| tokens a channel page | writes of decode | one token short | waiting, GB a layer |\n|---|---|---|---|\n")
    for page_tokens in (256, 512, 1024):
        layout = KvLayout(shape=OPT_13B, page_channels=2048 // page_tokens, page_tokens=page_tokens)
        prompt = OPT_13B.stored(FIRST)
        whole, short = float(layout.written(FIRST, LAST) / prompt), float(layout.written(FIRST, LAST - 1) / prompt)
        write(f"| {page_tokens} | {whole:.3f} | {short:.3f} | {float(layout.waiting().to('GB')):.3f} |\n")


if __name__ == "__main__":
    main()
