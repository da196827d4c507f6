"""Set `instattention-flash`: what InstAttention publishes of its flash traffic, beside layout, selection and event simulation.

No constant is fitted to a row. What InstAttention does not publish is assumed, stated beside the constant, and moved through its
range by `study`; `docs/flash.md` says how far the figures move with it.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from hwsim.offload.flash.events import simulate
from hwsim.offload.flash.geometry import Geometry, drive_rate
from hwsim.offload.flash.layout import KvLayout, KvShape
from hwsim.offload.flash.sparf import ChannelSelection, SparF, Striping, TokenSelection, dense_bytes
from hwsim.offload.systems import system
from hwsim.offload.systems.instinfer import InstInfer
from hwsim.units import Bytes, BytesPerSecond, Seconds, Value
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["DRIVE", "FIRST", "FLASH", "LAST", "SEED", "SPARF", "FlashChoices", "decode_rate", "fractions", "study"]

_ASSUMED = ("selection as in SmolLM2-135M", "r and k", "channels and tokens of a page", "dies, planes", "heads at a time")

SEED = 13
"""Of the drawn selections; printed by whoever shows the rows."""

_OPT_13B = KvShape(sequences=64, heads=40, head_channels=128)
"""A layer of OPT-13B at batch 64, FP16: the case of Table III."""
FIRST, LAST = 1024, 2048
"""Context of the first decode step, and after the last: 1024 tokens of prompt, 1024 generated."""

_SYSTEM = system("instinfer-sparf")
assert isinstance(_SYSTEM, InstInfer) and _SYSTEM.sparsity is not None
_SPARSITY = _SYSTEM.sparsity

_TOUCHED = {3 / 32: 0.503, _SPARSITY.token_share.value: _SPARSITY.touched_share.value, 1 / 32: 0.238}
"""Share of groups of 16 tokens in which a token is picked, by the share picked: SmolLM2-135M, mean over four places of a text
with 1024 and 2047 tokens each (`lamforge study locality`). Assumed: OPT-13B picks alike."""

SPARF = _SPARSITY.over(_OPT_13B)
_LAYOUT = SPARF.layout
"""Of `hwsim/specs/offload/instinfer-sparf.yaml`, where each number has its source."""

DRIVE = Geometry(
    # Ref: InstAttention: 8 channels of 1.4 GB/s, pages of 4 KB.
    channels=8,
    page=Bytes(4096.0),
    bus=BytesPerSecond(1.4e9),
    # Ref: Samsung's announcement of its 5th V-NAND, whose interface is those 1.4 GB/s.
    sense=Seconds(50e-6),
    program=Seconds(500e-6),
    # Assumed: 2 TB in dies of 256 Gbit are 64; two planes are the least of the 2-4 that InstAttention speaks of.
    ways=8,
    planes=2,
)
"""A drive that has just enough dies: the dies decide, and all heads of a layer are asked for at once."""

# Assumed: twice the dies.
_WIDE_DRIVE = dataclasses.replace(DRIVE, ways=16)
"""A drive that has dies to spare: what decides is how many heads are worked on at a time."""

_HEADS_AT_A_TIME = 4
"""Two attention kernels (InstAttention), each of which works on a head while the next is read (assumed)."""

# Table III, OPT-13B, batch 64, one layer.
_PUBLISHED_READ = Bytes(1085.65e9)
_PUBLISHED_READ_RATE = BytesPerSecond(7.66e9)
_PUBLISHED_PREFILL_WRITE = Bytes(1.34e9)
_PUBLISHED_DECODE_WRITE = Bytes(1.93e9)


@dataclasses.dataclass(frozen=True, kw_only=True)
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
    """Rate of decode reads on a drive, in GB/s, by how many heads are worked on at a time."""

    what: str
    formula: float
    """The long-run rate of a sequential stream."""
    by_heads: dict[int, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """Writes of decode over those of the prompt, by the tokens of a channel page."""

    page_tokens: int
    whole: float
    one_short: float
    """When the last token is not generated."""
    waiting_gb: float
    """Keys and values of a layer, in GB, that wait for their page to fill."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlashChoices:
    """The tables of `docs/flash.md`."""

    fractions: tuple[Fraction, ...]
    rates: tuple[Rate, ...]
    written: tuple[Written, ...]


def decode_rate(geometry: Geometry, sparf: SparF, *, lanes_in_flight: int, striping: Striping | None = None) -> BytesPerSecond:
    """Return the rate at which a layer's reads come, over decode steps at the beginning, middle and end: bytes over time."""
    read, time = Bytes(0.0), Seconds(0.0)
    for tokens in (FIRST, (FIRST + LAST) // 2, LAST - 1):
        load = sparf.load(
            geometry,
            striping or Striping(),
            np.random.default_rng(SEED),
            tokens=tokens,
            lanes=min(sparf.layout.shape.lanes, max(256, 6 * lanes_in_flight)),
            lanes_in_flight=lanes_in_flight,
        )
        outcome = simulate(geometry, load)
        read, time = read + outcome.moved, time + outcome.time
    return read / time


def _rows() -> Iterator[Row]:
    """Yield the rows: fraction read from flash, rate of reading, writes of decode over those of the prompt, prompt's writes."""
    contexts = np.arange(FIRST, LAST)
    published_fraction = _PUBLISHED_READ.value / np.sum(dense_bytes(_LAYOUT, contexts).value)
    prompt = _OPT_13B.stored(FIRST)
    whole_layer = decode_rate(DRIVE, SPARF, lanes_in_flight=_OPT_13B.lanes)
    few_heads = decode_rate(_WIDE_DRIVE, SPARF, lanes_in_flight=_HEADS_AT_A_TIME)
    published_rate, published_writes = _PUBLISHED_READ_RATE.to("GB/s"), _PUBLISHED_DECODE_WRITE / _PUBLISHED_PREFILL_WRITE
    fraction, writes = SPARF.flash_fraction(FIRST, LAST), _LAYOUT.written(FIRST, LAST) / prompt
    yield _row("SparF 1/8: flash bytes of decode over those of dense", "ratio", published_fraction, fraction)
    yield _row("Rate of decode reads, of 11.2; 64 dies, whole layer at once", "GB/s", published_rate, whole_layer.to("GB/s"))
    yield _row("Rate of decode reads, of 11.2; 128 dies, 4 heads at a time", "GB/s", published_rate, few_heads.to("GB/s"))
    yield _row("Writes of decode over those of the prompt", "ratio", published_writes, writes)
    yield _row("Writes of the prompt, a layer", "GB", _PUBLISHED_PREFILL_WRITE.to("GB"), prompt.to("GB"))


def _row(case: str, unit: str, published: Value, ours: Value) -> Row:
    source = "InstAttention (HPCA 2025), Table III"
    return Row(case=case, unit=unit, published=float(published), ours=float(ours), source=source, assumed=_ASSUMED)


def study() -> FlashChoices:
    """Return the rates and sizes that follow when what InstAttention does not publish is moved through its range."""
    return FlashChoices(
        fractions=tuple(fractions()), rates=tuple(_rates()), written=tuple(_written(tokens) for tokens in (256, 512, 1024))
    )


def _written(page_tokens: int) -> Written:
    layout = KvLayout(shape=_OPT_13B, page_channels=2048 // page_tokens, page_tokens=page_tokens)
    prompt = _OPT_13B.stored(FIRST)
    whole, short = float(layout.written(FIRST, LAST) / prompt), float(layout.written(FIRST, LAST - 1) / prompt)
    return Written(page_tokens=page_tokens, whole=whole, one_short=short, waiting_gb=float(layout.waiting().to("GB")))


def fractions() -> Iterator[Fraction]:
    """Return the fractions, over shares of channels and tokens and the layouts that InstAttention gives."""
    dense = float(np.sum(dense_bytes(_LAYOUT, np.arange(FIRST, LAST)).value))
    published = float(_PUBLISHED_READ.value) / dense
    for token_share, touched in _TOUCHED.items():
        picked = round((1 / 8 - token_share) * 2 * _OPT_13B.head_channels)
        for page_channels in (2, 4, 8):
            layout = KvLayout(shape=_OPT_13B, page_channels=page_channels, page_tokens=2048 // page_channels)
            channels = ChannelSelection(picked=picked, channels=_OPT_13B.head_channels)

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


def _rates() -> Iterator[Rate]:
    """Return the rates, over dies, sense times, command times and striping."""
    apart = Striping(lane_step=1, value_step=4)
    at_once = dataclasses.replace(DRIVE, ways=128, sense=Seconds(1e-9))
    drives = (
        ("no sense time: striping alone", at_once, Striping()),
        ("no sense time, values half a stripe on", at_once, apart),
        ("32 dies, 50 us", dataclasses.replace(DRIVE, ways=4), Striping()),
        ("64 dies, 50 us", DRIVE, Striping()),
        ("64 dies, 50 us, values half a stripe on", DRIVE, apart),
        ("64 dies, 36 us", dataclasses.replace(DRIVE, sense=Seconds(36e-6)), Striping()),
        ("64 dies, 75 us", dataclasses.replace(DRIVE, sense=Seconds(75e-6)), Striping()),
        ("64 dies, 50 us, no cache register", dataclasses.replace(DRIVE, has_cache_register=False), Striping()),
        ("64 dies of 4 planes, 50 us", dataclasses.replace(DRIVE, planes=4), Striping()),
        ("128 dies, 50 us", dataclasses.replace(DRIVE, ways=16), Striping()),
        ("128 dies, 50 us, commands of 320 ns", dataclasses.replace(DRIVE, ways=16, command=Seconds(320e-9)), Striping()),
        ("128 dies, 75 us", dataclasses.replace(DRIVE, ways=16, sense=Seconds(75e-6)), Striping()),
    )
    for what, geometry, striping in drives:
        found = {
            heads: float(decode_rate(geometry, SPARF, lanes_in_flight=heads, striping=striping).to("GB/s"))
            for heads in (1, 2, 4, 16, _OPT_13B.lanes)
        }
        formula = float(drive_rate(geometry).to("GB/s"))
        yield Rate(what=what, formula=formula, by_heads=found)


_TITLE = "InstAttention's flash traffic: OPT-13B, batch 64, 1024 + 1024 tokens"
FLASH = ValidationSet(name="instattention-flash", title=_TITLE, compute=_rows)
