"""The flash simulation: by hand on small loads, what it conserves, and what it and its drives refuse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.offload.flash.events import Load, simulate
from hwsim.offload.flash.geometry import Geometry, drive_rate
from hwsim.units import Bytes, BytesPerSecond, Seconds
from tests.hwsim.offload.flash_bounds import queued, queued_rate

# Ten time units (ns) to sense, a hundred to program, four to move a page.
SMALL = Geometry(
    channels=1, ways=2, planes=2, page=Bytes(4.0), sense=Seconds(10e-9), program=Seconds(100e-9), bus=BytesPerSecond(1e9)
)
# Defaults of simulators, as facts/offload.md 6.3 lists them.
MQSIM = Geometry(
    channels=8,
    ways=4,
    dies=2,
    planes=2,
    page=Bytes(8192.0),
    sense=Seconds(75e-6),
    program=Seconds(750e-6),
    bus=BytesPerSecond(333e6),
)
NVMEVIRT = Geometry(
    channels=8, ways=2, planes=1, page=Bytes(32768.0), sense=Seconds(36e-6), program=Seconds(185e-6), bus=BytesPerSecond(800e6)
)


def load(*pages: tuple[int, int, str], after: list[int] | None = None, sets: list[int] | None = None) -> Load:
    die, plane, kind = zip(*pages, strict=True)
    after = after or [-1]
    return Load(
        die=np.array(die),
        plane=np.array(plane),
        is_program=np.array([each == "program" for each in kind]),
        page_set=np.array(sets or [0] * len(pages)),
        after=np.array(after),
        earliest=Seconds(np.zeros(len(after))),
    )


@pytest.mark.parametrize(
    ("drive", "wanted", "done"),
    [
        # One read: sense, then move.
        (SMALL, load((0, 0, "read")), [14]),
        # Two planes are sensed together; the bus moves them one after the other.
        (SMALL, load((0, 0, "read"), (0, 1, "read")), [14, 18]),
        # One plane twice: the second sense begins when the first page has moved to the cache register ...
        (SMALL, load((0, 0, "read"), (0, 0, "read")), [14, 24]),
        # ... or, without one, when it has left.
        (replace(SMALL, has_cache_register=False), load((0, 0, "read"), (0, 0, "read")), [14, 28]),
        # Two dies sense at the same time and meet on the bus.
        (SMALL, load((0, 0, "read"), (1, 0, "read")), [14, 18]),
        # Order within a die is kept: a page in a plane that is taken holds up the one behind it.
        (SMALL, load((0, 0, "read"), (0, 0, "read"), (0, 1, "read")), [14, 24, 28]),
        # Data come in, then both planes program; the next data come in meanwhile.
        (SMALL, load(*[(0, plane, "program") for plane in (0, 1, 0, 1)]), [108, 108, 208, 208]),
        (replace(SMALL, has_cache_register=False), load(*[(0, plane, "program") for plane in (0, 1, 0, 1)]), [108, 108, 216, 216]),
        # A die comes to rest between the kinds.
        (SMALL, load((0, 0, "read"), (0, 0, "program")), [14, 118]),
        (SMALL, load((0, 0, "program"), (0, 0, "read")), [104, 118]),
        # Commands take the bus first: die 1 is commanded before die 0 has moved anything.
        (replace(SMALL, command=Seconds(1e-9)), load((0, 0, "read"), (1, 0, "read")), [15, 19]),
        # A second command goes before data that wait: page 0 leaves after it.
        (replace(SMALL, command=Seconds(1e-9)), load((0, 0, "read"), (0, 0, "read")), [16, 26]),
        # A set that waits for another.
        (SMALL, load((0, 0, "read"), (1, 0, "read"), after=[-1, 0], sets=[0, 1]), [14, 28]),
        # A set of no pages completes when it begins.
        (SMALL, load((0, 0, "read"), after=[-1, 0, 1], sets=[2]), [14]),
    ],
)
def test_by_hand(drive: Geometry, wanted: Load, done: list[int]) -> None:
    assert (simulate(drive, wanted).done / 1000).tolist() == done


def test_a_part_of_a_page_is_moved() -> None:
    wanted = replace(load((0, 0, "read"), (1, 0, "read")), moved=Bytes(np.array([1.0, 2.0])))
    outcome = simulate(SMALL, wanted)
    assert (outcome.done / 1000).tolist() == [11, 13]
    assert outcome.moved.value == 3


def test_a_set_may_come_later() -> None:
    wanted = replace(load((0, 0, "read"), (1, 0, "read"), after=[-1, 0], sets=[0, 1]), earliest=Seconds(np.array([5e-9, 100e-9])))
    assert (simulate(SMALL, wanted).done / 1000).tolist() == [19, 114]


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 40), st.booleans())
def test_work_is_conserved(seed: int, pages: int, depth: int, has_cache_register: bool) -> None:
    """Every page is done once, buses are taken for exactly what moves, and no time is earlier than its parts allow."""
    rng = np.random.default_rng(seed)
    drive = Geometry(
        channels=3,
        ways=2,
        dies=2,
        planes=3,
        page=Bytes(4096.0),
        sense=Seconds(7e-6),
        program=Seconds(31e-6),
        bus=BytesPerSecond(1.024e9),
        command=Seconds(3e-7),
        has_cache_register=has_cache_register,
    )
    die, plane = rng.integers(0, drive.total_dies, pages), rng.integers(0, 3, pages)
    is_program = rng.random(pages) < 0.4
    wanted = queued(die, plane, is_program, depth)
    outcome = simulate(drive, wanted)
    on_channel = np.bincount(die // drive.dies_per_channel, minlength=3)
    assert outcome.bus_busy.tolist() == (on_channel * 4_300_000).tolist()
    assert outcome.done.min() >= 4_300_000 + 7_000_000
    assert np.all(outcome.array_busy <= outcome.done.max())
    # A page is asked for when the one `depth` before it is done.
    if pages > depth:
        least = 4_300_000 + np.where(is_program[depth:], 31_000_000, 7_000_000)
        assert np.all(outcome.done[depth:] >= outcome.done[:-depth] + least)
    again = simulate(drive, wanted)
    assert np.array_equal(again.done, outcome.done)


@pytest.mark.parametrize("drive", [MQSIM, NVMEVIRT])
@pytest.mark.parametrize("depth", [1, 4, 64, 512])
def test_known_drives(drive: Geometry, depth: int) -> None:
    """A striped stream through a queue of the simulators' default drives stays within what the formula promises."""
    number = np.arange(20_000)
    channel, row = number % drive.channels, number // drive.channels
    die, plane = channel * drive.dies_per_channel + row // drive.planes % drive.dies_per_channel, row % drive.planes
    rate = simulate(drive, queued(die, plane, np.zeros(len(number), bool), depth)).rate
    ratio = float(rate / queued_rate(drive, depth))
    print(f"depth {depth}: {float(rate.to('GB/s')):.3f} GB/s, {ratio:.4f} of the formula, limit {drive_rate(drive).to('GB/s'):.3f}")
    assert 0.99 < ratio <= 1 + 1e-9


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"channels": 0}, "Flash channels must be at least 1, not 0"),
        ({"ways": 2.5}, "Flash ways must be a whole number, not 2.5"),
        ({"dies": True}, "Flash dies must be a whole number, not True"),
        ({"planes": -1}, "Flash planes must be at least 1, not -1"),
        ({"page": 4096}, "Flash page must be Bytes, not 4096"),
        ({"page": Bytes(0.0)}, r"Flash page must be above zero, not Bytes\(0.0\)"),
        ({"sense": Bytes(1.0)}, r"Flash sense must be Seconds, not Bytes\(1.0\)"),
        ({"program": Seconds(float("nan"))}, r"Flash program must be finite, not Seconds\(nan\)"),
        ({"bus": BytesPerSecond(-1.0)}, r"Flash bus must be above zero, not BytesPerSecond\(-1.0\)"),
        ({"command": Seconds(-1e-9)}, r"Flash command must be zero or more, not Seconds\(-1e-09\)"),
    ],
)
def test_drives_that_cannot_be(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: simulate(SMALL, load((2, 0, "read"))), "Flash load die must lie within 0 ... 1, not 2 ... 2"),
        (lambda: simulate(SMALL, load((0, 2, "read"))), "Flash load plane must lie within 0 ... 1, not 2 ... 2"),
        (lambda: load((0, 0, "read"), after=[0]), "Flash load after must name earlier sets or -1"),
        (lambda: load((0, 0, "read"), sets=[1]), "Flash load page_set must ascend within 0 ... 0"),
        (
            lambda: replace(load((0, 0, "read")), plane=np.zeros(2, int)),
            "Flash load plane must have one entry for each of 1 pages, not 2",
        ),
        (
            lambda: replace(load((0, 0, "read")), earliest=Seconds(np.zeros(2))),
            "Flash load earliest must have one entry for each of 1 sets, not 2",
        ),
        (
            lambda: simulate(SMALL, replace(load((0, 0, "read")), moved=Bytes(np.array([5.0])))),
            r"Flash load moved must be at most the page of Bytes\(4.0\), not 5.0",
        ),
    ],
)
def test_loads_that_cannot_be(build: object, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        build()
