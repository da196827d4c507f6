"""What comes from all regions is brought together in the shared one: the words of a DOT, and the sums of an AXPY."""

import dataclasses
import functools
import operator
from collections.abc import Sequence

from amaranth import Cat, Module, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.adders import thirds
from rtl.copies import copies
from rtl.matrix.records import ENTRY
from rtl.matrix.region import Share, feeds, residues
from rtl.matrix.stages import LEAVE, MERGED, PARAMETER, ROW_DRAIN
from rtl.pipeline import Pipeline

__all__ = ["Gather", "LaneTree"]

_LANES_A_COPY = 4
"""Lanes whose sums one register chooses: it has a load or two a bit."""


class Gather(wiring.Component):
    """The words of a DOT: of each lane, what the region gives that has the chosen slice.

    Members:
        entries_R (stage PARAMETER + 1), row_sums_R (stage ROW_DRAIN + 2): those of region number R.
        entries, row_sums: of each lane, GATHER stages after they left the slices.
    """

    def __init__(self, config: EngineConfig, shares: Sequence[Share]):
        self.config, self.shares = config, shares
        lanes = config.vector.lanes
        members = {"entries": Out(data.ArrayLayout(ENTRY, lanes)), "row_sums": Out(data.ArrayLayout(32, lanes))}
        for number, share in enumerate(shares):
            for name in ("entries", "row_sums"):
                members[f"{name}_{number}"] = In(getattr(share, name))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        for name, stage in (("entries", PARAMETER + 1), ("row_sums", ROW_DRAIN + 2)):
            arrived = [
                Pipeline(m, getattr(self, f"{name}_{number}"), stage, f"{name}_{number}").at(stage + 1)
                for number in range(len(self.shares))
            ]
            merged = []
            for feed in range(feeds(self.config)):
                values = [
                    Value.cast(words[share.fed.index(feed)])
                    for words, share in zip(arrived, self.shares, strict=True)
                    if feed in share.fed
                ]
                word = Signal(len(values[0]), name=f"{name}_{feed}", reset_less=True)
                m.d.sync += word.eq(functools.reduce(operator.or_, values))
                merged.append(word)
            m.d.comb += getattr(self, name).eq(Cat(merged[lane % len(merged)] for lane in range(self.config.vector.lanes)))
        return m


class LaneTree(wiring.Component):
    """Sums lane values over slices of equal s % W; the W sums of the lanes lie side by side.

    Members:
        lane_sums_R (stage TREE + REGION_LEVELS): the sums of region number R, by remainder of s.
        segments, wide (stage LEAVE - 3): the base-2 logarithm of W, which is at most the slices, the lanes of a word, and
            8; with `wide` the sums are of low and high nibbles in turn, and each two of them make one.
        word (stage LEAVE - 1): the sums.
    """

    def __init__(self, config: EngineConfig, shares: Sequence[Share]):
        self.config, self.shares = config, shares
        super().__init__(
            {f"lane_sums_{number}": In(share.lane_sums) for number, share in enumerate(shares)}
            | {"segments": In(2), "wide": In(1), "word": Out(data.ArrayLayout(32, config.vector.lanes))}
        )

    def elaborate(self, platform):
        m = Module()
        lanes, mixed = self.config.vector.lanes, self.config.mixed_lanes
        arrived = []
        for number in range(len(self.shares)):
            sums = getattr(self, f"lane_sums_{number}")
            arrived.append(Pipeline(m, sums, MERGED - 2, f"lane_sums_{number}").at(MERGED - 1))
        taps = [self._taps(m, platform, lane, arrived) for lane in range(mixed)]
        words = [Signal(32, name=f"chosen_{lane}", reset_less=True) for lane in range(lanes)]
        choices = copies(m, Cat(self.segments, self.wide), -(-lanes // _LANES_A_COPY), "choice")
        for lane, word in enumerate(words):
            with m.Switch(choices[lane // _LANES_A_COPY]):
                for choice in range(8):
                    segments, is_wide = choice % 4, choice >= 4
                    held = 1 << segments if 1 << segments in taps[0] else 1
                    # Codes of 8 bits take two slices: one of their sums has the low nibbles, the next the high ones.
                    is_wide = is_wide and held > 1
                    group, place = divmod(lane, held // 2 if is_wide else held)
                    tap = taps[group % mixed][held]
                    with m.Case(choice):
                        m.d.sync += word.eq(tap.wide[place] if is_wide else tap.sums[place])
        m.d.comb += [self.word[lane].eq(words[lane]) for lane in range(lanes)]
        return m

    def _taps(self, m: Module, platform: object, lane: int, arrived: list[data.View]) -> dict[int, "_Tap"]:
        """Return, for each W, the sums of one lane, at stage LEAVE - 2."""
        values: list[Value] = []
        for remainder in range(residues(self.config)):
            some = [
                sums[share.summed.index(remainder)][lane]
                for sums, share in zip(arrived, self.shares, strict=True)
                if remainder in share.summed
            ]
            bits = min(32, max(len(each) for each in some) + (len(some) - 1).bit_length())
            values += thirds(m, platform, some, bits, f"merged_{remainder}_{lane}")
        stage, taps = MERGED, {}
        while True:
            at = [
                Pipeline(m, value, stage, f"tap_{lane}_{len(values)}_{place}", has_flip_flops=True)
                for place, value in enumerate(values)
            ]
            wide = []
            for place in range(0, len(values) - 1, 2):
                low, high = (each.at(LEAVE - 3) for each in at[place : place + 2])
                total = Signal(signed(32), name=f"wide_{lane}_{len(values)}_{place}", reset_less=True)
                m.d.sync += total.eq(low + (high << 4))
                wide.append(total)
            taps[len(values)] = _Tap(sums=[each.at(LEAVE - 2) for each in at], wide=wide)
            if len(values) == 1:
                return taps
            half = len(values) // 2
            sums = []
            for place in range(half):
                total = Signal(signed(min(32, len(values[0]) + 1)), name=f"sum_{lane}_{half}_{place}", reset_less=True)
                m.d.sync += total.eq(values[place] + values[place + half])
                sums.append(total)
            values, stage = sums, stage + 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Tap:
    """W sums of a lane, and what each two of them make that are of low and high nibbles."""

    sums: list[Value]
    wide: list[Value]
