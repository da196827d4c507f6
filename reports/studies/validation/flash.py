"""What InstAttention publishes of its flash traffic, beside what layout, selection and event simulation say.

No constant is fitted to a row. What InstAttention does not publish is assumed, stated beside the constant, and moved through its
range in `reports.studies.flash_choices`; `docs/flash.md` says how far the figures move with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from hwsim.offload.flash.events import simulate
from hwsim.offload.flash.geometry import Geometry
from hwsim.offload.flash.layout import KvShape
from hwsim.offload.flash.sparf import SparF, Striping, dense_bytes
from hwsim.offload.systems import system
from hwsim.offload.systems.instinfer import InstInfer
from hwsim.units import Bytes, BytesPerSecond, Seconds, Value
from reports.studies.validation.row import Row, ValidationSet

__all__ = [
    "DRIVE",
    "FIRST",
    "FLASH",
    "LAST",
    "LAYOUT",
    "OPT_13B",
    "PUBLISHED_READ",
    "SEED",
    "SPARF",
    "TOUCHED",
    "WIDE_DRIVE",
    "decode_rate",
]

_ASSUMED = ("selection as in SmolLM2-135M", "r and k", "channels and tokens of a page", "dies, planes", "heads at a time")

SEED = 13
"""Of the drawn selections; printed by whoever shows the rows."""

OPT_13B = KvShape(sequences=64, heads=40, head_channels=128)
"""A layer of OPT-13B at batch 64, FP16: the case of Table III."""
FIRST, LAST = 1024, 2048
"""Context of the first decode step, and after the last: 1024 tokens of prompt, 1024 generated."""

_SYSTEM = system("instinfer-sparf")
assert isinstance(_SYSTEM, InstInfer) and _SYSTEM.sparsity is not None
_SPARSITY = _SYSTEM.sparsity

TOUCHED = {3 / 32: 0.503, _SPARSITY.token_share.value: _SPARSITY.touched_share.value, 1 / 32: 0.238}
"""Share of groups of 16 tokens in which a token is picked, by the share picked: SmolLM2-135M, mean over four places of a text
with 1024 and 2047 tokens each (`lamforge study locality`). Assumed: OPT-13B picks alike."""

SPARF = _SPARSITY.over(OPT_13B)
LAYOUT = SPARF.layout
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
WIDE_DRIVE = dataclasses.replace(DRIVE, ways=16)
"""A drive that has dies to spare: what decides is how many heads are worked on at a time."""

HEADS_AT_A_TIME = 4
"""Two attention kernels (InstAttention), each of which works on a head while the next is read (assumed)."""

# Table III, OPT-13B, batch 64, one layer.
PUBLISHED_READ = Bytes(1085.65e9)
PUBLISHED_READ_RATE = BytesPerSecond(7.66e9)
PUBLISHED_PREFILL_WRITE = Bytes(1.34e9)
PUBLISHED_DECODE_WRITE = Bytes(1.93e9)


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
    published_fraction = PUBLISHED_READ.value / np.sum(dense_bytes(LAYOUT, contexts).value)
    prompt = OPT_13B.stored(FIRST)
    whole_layer = decode_rate(DRIVE, SPARF, lanes_in_flight=OPT_13B.lanes)
    few_heads = decode_rate(WIDE_DRIVE, SPARF, lanes_in_flight=HEADS_AT_A_TIME)
    published_rate, published_writes = PUBLISHED_READ_RATE.to("GB/s"), PUBLISHED_DECODE_WRITE / PUBLISHED_PREFILL_WRITE
    fraction, writes = SPARF.flash_fraction(FIRST, LAST), LAYOUT.written(FIRST, LAST) / prompt
    yield _row("SparF 1/8: flash bytes of decode over those of dense", "ratio", published_fraction, fraction)
    yield _row("Rate of decode reads, of 11.2; 64 dies, whole layer at once", "GB/s", published_rate, whole_layer.to("GB/s"))
    yield _row("Rate of decode reads, of 11.2; 128 dies, 4 heads at a time", "GB/s", published_rate, few_heads.to("GB/s"))
    yield _row("Writes of decode over those of the prompt", "ratio", published_writes, writes)
    yield _row("Writes of the prompt, a layer", "GB", PUBLISHED_PREFILL_WRITE.to("GB"), prompt.to("GB"))


def _row(case: str, unit: str, published: Value, ours: Value) -> Row:
    source = "InstAttention (HPCA 2025), Table III"
    return Row(case=case, unit=unit, published=float(published), ours=float(ours), source=source, assumed=_ASSUMED)


_TITLE = "InstAttention's flash traffic: OPT-13B, batch 64, 1024 + 1024 tokens"
FLASH = ValidationSet(name="instattention-flash", title=_TITLE, compute=_rows)
