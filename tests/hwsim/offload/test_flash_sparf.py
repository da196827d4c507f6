"""Which pages sparse attention reads: selection, layout and load agree with one another and with what can be counted by hand."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.offload.flash.events import simulate
from hwsim.offload.flash.geometry import Geometry
from hwsim.offload.flash.layout import KvLayout, KvShape
from hwsim.offload.flash.sparf import ChannelSelection, SparF, Striping, TokenSelection, dense_bytes
from hwsim.units import Bytes, BytesPerSecond, Seconds

OPT_13B = KvShape(sequences=64, heads=40, head_channels=128)
LAYOUT = KvLayout(shape=OPT_13B, page_channels=4, page_tokens=512)
SPARF = SparF(
    layout=LAYOUT, tokens=TokenSelection(share=1 / 16, run_tokens=2.0), channels=ChannelSelection(picked=16, channels=128)
)
DRIVE = Geometry(
    channels=8, ways=8, planes=2, page=Bytes(4096.0), sense=Seconds(50e-6), program=Seconds(500e-6), bus=BytesPerSecond(1.4e9)
)


@given(st.floats(0.01, 0.6), st.floats(1.6, 20), st.integers(0, 2**32 - 1), st.integers(100, 400))
def test_drawn_tokens_are_as_many_in_as_many_runs(share: float, run_tokens: float, draw: int, tokens: int) -> None:
    chain = TokenSelection(share=share, run_tokens=run_tokens)
    mask = chain.draw(np.random.default_rng(draw), 5, tokens)
    picked = min(max(round(share * tokens), 1), tokens - 1)
    assert mask.shape == (5, tokens)
    assert np.all(mask.sum(axis=1) == picked)
    runs = mask[:, 0].astype(int) + (mask[:, 1:] & ~mask[:, :-1]).sum(axis=1)
    assert np.all(runs == min(max(round(picked / run_tokens), 1), tokens - picked + 1))


@given(st.floats(0.01, 0.6), st.floats(1.6, 50), st.integers(1, 64))
def test_groups_touched(share: float, run_tokens: float, group: int) -> None:
    """From the share itself, for groups of one, upward; fewer the longer the runs; a group of independent tokens by hand."""
    chain = TokenSelection(share=share, run_tokens=run_tokens)
    touched = chain.group_share(group)
    assert share - 1e-12 <= touched <= min(1.0, share * group) + 1e-12
    assert chain.group_share(1) == pytest.approx(share)
    assert replace(chain, run_tokens=run_tokens * 1.5).group_share(group) <= touched
    assert TokenSelection.independent(share).group_share(group) == pytest.approx(1 - (1 - share) ** group)
    if group > 1 and touched < 0.9:
        assert TokenSelection.touching(share, group, float(touched)).run_tokens == pytest.approx(run_tokens)


@pytest.mark.parametrize("run_tokens", [16 / 15, 1.5, 2.5, 6.0])
def test_groups_touched_as_drawn(run_tokens: float, rng: np.random.Generator) -> None:
    chain = TokenSelection(share=1 / 16, run_tokens=run_tokens)
    mask = chain.draw(rng, 2000, 1536)
    drawn = mask.reshape(2000, -1, 16).any(axis=2).mean()
    print(f"runs of {run_tokens:.2f}: {drawn:.4f} drawn, {chain.group_share(16):.4f} by formula")
    # Draws fix the number of picks and runs, the formula their mean: apart by a part in 96.
    assert drawn == pytest.approx(float(chain.group_share(16)), rel=0.01)


@given(st.integers(1, 32), st.data(), st.sampled_from([1, 2, 4, 8]))
def test_channel_pages_by_counting(channels: int, data: st.DataObject, page: int) -> None:
    channels *= 8
    picked = data.draw(st.integers(1, channels))
    share = ChannelSelection(picked=picked, channels=channels).page_share(page)
    assert share == pytest.approx(1 - comb(channels - page, picked) / comb(channels, picked))


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_concentration_moves_which_pages_not_how_many(spread: float, rng: np.random.Generator) -> None:
    channels = ChannelSelection(picked=16, channels=128, spread=spread)
    mask = channels.draw(rng, 400, 6)
    assert np.all(mask.sum(axis=2) == 16)
    pages = mask.reshape(6, 400, 32, 4).any(axis=3)
    assert pages.mean() == pytest.approx(channels.page_share(4), rel=0.02)
    again = (pages[0] & pages[1]).sum() / pages[0].sum()
    print(f"spread {spread}: {again:.3f} of the pages again in the next step")
    independent = channels.page_share(4)
    assert again == pytest.approx(independent, abs=0.02) if spread == 0 else again > independent + 0.1


def test_sizes() -> None:
    """OPT-13B, batch 64: a layer's prompt of 1024 tokens is the 1.34 GB that InstAttention writes; K twice adds a half."""
    assert LAYOUT.page.value == 4096
    assert OPT_13B.stored(1024).value == 4 * 64 * 1024 * 5120
    assert LAYOUT.written(0, 1024, has_channel_pages=False).value == OPT_13B.stored(1024).value
    assert LAYOUT.written(0, 1024).value == 1.5 * OPT_13B.stored(1024).value
    # One token short: 15 tokens of K and V, and 511 tokens of K, wait for their pages.
    short = LAYOUT.written(1024, 2047)
    assert short.value == 4096 * 2560 * (2 * 63 + 32)
    assert LAYOUT.waiting().value == 2560 * 256 * (15 + 15 + 496)
    # What waits is what has come and has not been written whole.
    rest = OPT_13B.stored(1023) - LAYOUT.written(0, 1023, has_channel_pages=False)
    assert LAYOUT.waiting(has_channel_pages=False).value == rest.value


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_writes_add_up(first: int, second: int, third: int) -> None:
    a, b, c = sorted((first, second, third))
    assert (LAYOUT.written(a, b) + LAYOUT.written(b, c)).value == LAYOUT.written(a, c).value
    assert LAYOUT.written(0, c).value <= 1.5 * np.asarray(OPT_13B.stored(c).value)


def test_reading_everything_is_dense() -> None:
    """With all channels picked and next to all tokens, all pages: keys and values, and the second copy of the keys."""
    everything = SparF(
        layout=LAYOUT, tokens=TokenSelection(share=0.999, run_tokens=1e4), channels=ChannelSelection(picked=128, channels=128)
    )
    assert float(everything.read_bytes(1024) / dense_bytes(LAYOUT, 1024)) == pytest.approx(1.5, rel=1e-3)
    assert SPARF.compression == 1 / 8 == 8 / (2 * 128) + 3 / 32


def test_a_load_is_what_its_bytes_say(rng: np.random.Generator) -> None:
    """Pages of a drawn load are in number what the formula expects, and lie where token order puts them."""
    lanes, tokens = 600, 1536
    load = SPARF.load(DRIVE, Striping(), rng, tokens=tokens, lanes=lanes, lanes_in_flight=4)
    expected = float(np.asarray(SPARF.read_bytes(tokens).value)) * lanes / OPT_13B.lanes
    assert len(load.die) * 4096 == pytest.approx(expected, rel=0.01)
    # Keys and values of the same tokens: one after the other, in the same channel.
    kv = np.flatnonzero(load.page_set % 2)
    channel = load.die[kv] // 8
    assert np.array_equal(channel[0::2], channel[1::2])
    apart = SPARF.load(DRIVE, Striping(value_step=4), np.random.default_rng(1), tokens=tokens, lanes=3, lanes_in_flight=4)
    channel = apart.die[np.flatnonzero(apart.page_set % 2)] // 8
    assert np.array_equal((channel[0::2] + 4) % 8, channel[1::2])


@pytest.mark.parametrize("in_flight", [1, 3, 10])
def test_lanes_in_flight(in_flight: int, rng: np.random.Generator) -> None:
    """Token pages come after the channel pages of their lane; a lane begins when the one `in_flight` before it is done."""
    lanes = 10
    load = SPARF.load(DRIVE, Striping(), rng, tokens=1024, lanes=lanes, lanes_in_flight=in_flight)
    done = simulate(DRIVE, load).done
    ends = np.array([done[load.page_set == number].max() for number in range(2 * lanes)])
    begins = np.array([done[load.page_set == number].min() for number in range(2 * lanes)])
    latency = 50_000_000
    assert np.all(begins[1::2] >= ends[0::2] + latency)
    assert np.all(begins[0::2][in_flight:] >= ends[1::2][: lanes - in_flight] + latency)
    # The first lanes all begin before the first one is done.
    assert np.all(begins[0::2][: min(in_flight, 3)] < ends[1])


def test_more_lanes_even_out(rng: np.random.Generator) -> None:
    """One lane waits for its senses and its busiest channel; many fill the channels, never beyond the buses."""
    draw, rates = int(rng.integers(2**32)), []
    for in_flight in (1, 4, 16, 256):
        same = np.random.default_rng(draw)
        load = SPARF.load(DRIVE, Striping(), same, tokens=1024, lanes=256, lanes_in_flight=in_flight)
        rates.append(float(simulate(DRIVE, load).rate.value))
    assert rates == sorted(rates)
    assert rates[0] < 0.4 * 11.2e9
    assert rates[-1] < 11.2e9


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: TokenSelection(share=1.0, run_tokens=2.0), "Token share must lie between 0 and 1, not 1.0"),
        (lambda: TokenSelection(share=0.8, run_tokens=2.0), "Token runs must be at least 4 long at a share of 0.8, not 2.0"),
        (
            lambda: TokenSelection.touching(0.25, 16, 0.2),
            "Touched groups must be more than the share of 0.25 and less than 1, not 0.2",
        ),
        (lambda: ChannelSelection(picked=129, channels=128), r"Picked channels must lie within 1 ... 128, not 129"),
        (lambda: ChannelSelection(picked=1, channels=128, spread=-1.0), "Channel spread must be zero or more, not -1.0"),
        (
            lambda: replace(LAYOUT, page_tokens=256),
            "Layout page_tokens must be 512, for channel pages as large as token pages, not 256",
        ),
        (lambda: replace(LAYOUT, page_channels=3, page_tokens=683), "Layout page_tokens must be 682.667"),
        (lambda: replace(LAYOUT, group_tokens=12, page_channels=3), "Layout page_channels must divide 128, not 3"),
        (lambda: replace(LAYOUT, group_tokens=0), "Layout group_tokens must be at least 1, not 0"),
        (
            lambda: SparF(layout=LAYOUT, tokens=SPARF.tokens, channels=ChannelSelection(picked=8, channels=64)),
            "Selection channels must be those of a head, 128, not 64",
        ),
        (
            lambda: SPARF.load(DRIVE, Striping(), np.random.default_rng(0), tokens=1024, lanes=1, lanes_in_flight=0),
            "Lanes in flight must be at least 1, not 0",
        ),
        (
            lambda: SPARF.load(
                replace(DRIVE, page=Bytes(2048.0)), Striping(), np.random.default_rng(0), tokens=1024, lanes=1, lanes_in_flight=1
            ),
            r"Layout page must fit the flash page of Bytes\(2048.0\), not Bytes\(4096.0\)",
        ),
    ],
)
def test_refusals(build: object, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        build()
