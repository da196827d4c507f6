"""Flash by formula and by events: equal where both are exact, the formula never beaten elsewhere, over random drives and loads."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.offload.flash.events import PICOSECONDS, simulate
from hwsim.offload.flash.geometry import Geometry, die_rate, drive_rate
from hwsim.units import Bytes, BytesPerSecond, Seconds
from tests.hwsim.offload.flash_bounds import mixed_rate, placed_time, queued, queued_rate, read_latency, stream_time, together


@st.composite
def drives(draw: st.DrawFn, *, has_command: bool, has_cache: bool, channels: int = 4, dies: int = 5) -> Geometry:
    """Draw a drive whose times are whole nanoseconds, so that formula and events, in picoseconds, speak of the same one."""
    page = 2 ** draw(st.integers(9, 14))
    transfer_ns = draw(st.integers(100, 20_000))
    return Geometry(
        channels=draw(st.integers(1, channels)),
        ways=draw(st.integers(1, dies)),
        planes=draw(st.integers(1, 4)),
        page=Bytes(float(page)),
        sense=Seconds(draw(st.integers(100, 100_000)) * 1e-9),
        program=Seconds(draw(st.integers(100, 100_000)) * 1e-9),
        bus=BytesPerSecond(page / (transfer_ns * 1e-9)),
        command=Seconds(draw(st.integers(1, 500)) * 1e-9 if has_command else 0.0),
        has_cache_register=has_cache,
    )


# Each is a different law: said to pytest, so that no chance leaves one out.
CACHES = pytest.mark.parametrize("has_cache", [False, True])
COMMANDS = pytest.mark.parametrize("has_command", [False, True])
KINDS = pytest.mark.parametrize("is_program", [False, True])


def striped(geometry: Geometry, pages: int) -> tuple[np.ndarray, np.ndarray]:
    """Return die and plane of consecutive pages: over channels first, then planes, then dies."""
    number = np.arange(pages)
    channel, row = number % geometry.channels, number // geometry.channels
    plane, way = row % geometry.planes, row // geometry.planes % geometry.dies_per_channel
    return channel * geometry.dies_per_channel + way, plane


def picoseconds(time: Seconds) -> int:
    return round(float(time.value) * PICOSECONDS)


@CACHES
@COMMANDS
@KINDS
@given(data=st.data(), groups=st.integers(1, 40))
def test_one_die_is_exact(data: st.DataObject, groups: int, is_program: bool, has_command: bool, has_cache: bool) -> None:
    geometry = data.draw(drives(has_command=has_command, has_cache=has_cache, channels=1, dies=1))
    pages = groups * geometry.planes
    die, plane = striped(geometry, pages)
    outcome = simulate(geometry, together(die, plane, np.full(pages, is_program)))
    assert outcome.done.max() == picoseconds(stream_time(geometry, groups, is_program=is_program))


@CACHES
@KINDS
@given(data=st.data())
def test_sequential_streams_are_exact_in_the_long_run(data: st.DataObject, is_program: bool, has_cache: bool) -> None:
    """The time that each further round over all dies and planes takes, once the buses and arrays have fallen into step."""
    geometry = data.draw(drives(has_command=False, has_cache=has_cache))
    per_round = geometry.total_dies * geometry.planes
    rounds = 60
    die, plane = striped(geometry, rounds * per_round)
    outcome = simulate(geometry, together(die, plane, np.full(len(die), is_program)))
    ends = outcome.done.reshape(rounds, per_round).max(axis=1)
    expected = float((geometry.page * per_round / drive_rate(geometry, is_program=is_program)).value)
    # From the middle on, short of the last rounds, in which the queues run dry.
    assert (ends[-5] - ends[-25]) / 20 == pytest.approx(expected * PICOSECONDS, rel=1e-9)


@CACHES
@COMMANDS
@given(st.data(), st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 80), st.floats(0, 1))
def test_no_load_beats_the_formulas(
    has_command: bool, has_cache: bool, data: st.DataObject, draw: int, pages: int, depth: int, read_share: float
) -> None:
    geometry = data.draw(drives(has_command=has_command, has_cache=has_cache))
    rng = np.random.default_rng(draw)
    die, plane = rng.integers(0, geometry.total_dies, pages), rng.integers(0, geometry.planes, pages)
    reads = np.zeros(pages, bool)
    slack = 1 + 1e-9
    counts = np.zeros((geometry.channels, geometry.dies_per_channel, geometry.planes), np.int64)
    np.add.at(counts, (die // geometry.dies_per_channel, die % geometry.dies_per_channel, plane), 1)
    at_once = simulate(geometry, together(die, plane, reads))
    assert float(placed_time(geometry, counts).value) <= float(at_once.time.value) * slack
    in_queue = simulate(geometry, queued(die, plane, reads, depth))
    assert float(in_queue.rate.value) <= float(queued_rate(geometry, depth).value) * slack
    assert at_once.done.min() >= picoseconds(read_latency(geometry))
    programs = rng.random(pages) >= read_share
    mixed = simulate(geometry, together(die, plane, programs))
    assert float(mixed.rate.value) <= float(mixed_rate(geometry, 1 - programs.mean()).value) * slack


@CACHES
@COMMANDS
@given(data=st.data(), depth=st.integers(1, 5))
def test_a_shallow_queue_is_exact(data: st.DataObject, depth: int, has_command: bool, has_cache: bool) -> None:
    """One page outstanding in each of `depth` channels: no page meets another, and Little's law holds to the picosecond."""
    geometry = data.draw(drives(has_command=has_command, has_cache=has_cache))
    depth = min(depth, geometry.channels)
    pages = 20 * depth
    number = np.arange(pages)
    die = number % depth * geometry.dies_per_channel + number // depth % geometry.dies_per_channel
    outcome = simulate(geometry, queued(die, number * 0, np.zeros(pages, bool), depth))
    assert outcome.done.max() == 20 * picoseconds(read_latency(geometry))


@CACHES
@given(data=st.data(), draw=st.integers(0, 2**32 - 1), pages=st.integers(1, 200))
def test_a_bound_bus_is_exact(data: st.DataObject, draw: int, pages: int, has_cache: bool) -> None:
    """With one page a die the bus never rests after the first sense, and moves every page in turn."""
    geometry = replace(data.draw(drives(has_command=False, has_cache=has_cache)), channels=1, ways=pages)
    rng = np.random.default_rng(draw)
    plane = rng.integers(0, geometry.planes, pages)
    outcome = simulate(geometry, together(rng.permutation(pages), plane, np.zeros(pages, bool)))
    assert outcome.done.max() == picoseconds(geometry.sense + geometry.transfer * float(pages))
    assert outcome.bus_busy[0] == picoseconds(geometry.transfer * float(pages))


def test_how_far_random_loads_stay_below(rng: np.random.Generator) -> None:
    """2000 pages in random places of 60 random drives: asked for at once, through a queue, and a random half of them programs.

    At once, the formula knows the busiest bus and the busiest plane. It does not know that a die takes its pages in order, so that
    two pages in one plane keep its other planes idle: near 1 where a die has one plane, 0.5 with four. Queues and mixed
    loads fall short by chance too: pages meet on dies, and a die rests between the kinds.
    """
    found: dict[str, list[float]] = {"at once": [], "queued": [], "mixed": []}
    for _ in range(60):
        geometry = Geometry(
            channels=int(rng.integers(1, 17)),
            ways=int(rng.integers(1, 9)),
            planes=int(rng.integers(1, 5)),
            page=Bytes(4096.0),
            sense=Seconds(float(rng.uniform(20e-6, 90e-6))),
            program=Seconds(float(rng.uniform(150e-6, 800e-6))),
            bus=BytesPerSecond(float(rng.uniform(0.3e9, 2.4e9))),
        )
        die, plane = rng.integers(0, geometry.total_dies, 2000), rng.integers(0, geometry.planes, 2000)
        counts = np.zeros((geometry.channels, geometry.dies_per_channel, geometry.planes), np.int64)
        np.add.at(counts, (die // geometry.dies_per_channel, die % geometry.dies_per_channel, plane), 1)
        reads, programs = np.zeros(2000, bool), rng.random(2000) < 0.5
        depth = int(2 ** rng.uniform(0, 9))
        at_once = simulate(geometry, together(die, plane, reads))
        in_queue = simulate(geometry, queued(die, plane, reads, depth))
        mixed = simulate(geometry, together(die, plane, programs))
        found["at once"].append(float(placed_time(geometry, counts) / at_once.time))
        found["queued"].append(float(in_queue.rate / queued_rate(geometry, depth)))
        found["mixed"].append(float(mixed.rate / mixed_rate(geometry, 1 - programs.mean())))
    for what, ratios in found.items():
        print(f"{what}: {min(ratios):.3f} ... {max(ratios):.3f} of the formula, mean {np.mean(ratios):.3f}")
        # Formula and events round to picoseconds apart.
        assert 0.1 < min(ratios) <= max(ratios) < 1 + 1e-6
    assert np.mean(found["at once"]) > 0.75


def test_grids_are_points() -> None:
    """A grid of drives answers what each of its drives answers."""
    ways, sense = np.arange(1, 9), np.array([20e-6, 50e-6, 75e-6])
    common = {"channels": 8, "planes": 2, "page": Bytes(4096.0), "program": Seconds(5e-4), "bus": BytesPerSecond(1.4e9)}
    grid = Geometry(ways=ways[:, None], sense=Seconds(sense), **common)
    assert not grid.is_one
    rates = np.asarray(drive_rate(grid).value)
    assert rates.shape == (8, 3)
    for row, count in enumerate(ways):
        for column, time in enumerate(sense):
            one = Geometry(ways=int(count), sense=Seconds(float(time)), **common)
            assert rates[row, column] == drive_rate(one).value
    with pytest.raises(SpecError, match="must be one drive for a simulation, not a grid"):
        simulate(grid, together(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, bool)))


def test_the_rule_of_thumb() -> None:
    """16 KB pages, two planes, 50 us: 655 MB/s a die, and three dies fill a channel of 1.4 GB/s."""
    geometry = Geometry(
        channels=1,
        ways=np.array([1, 2, 3]),
        planes=2,
        page=Bytes(16384.0),
        sense=Seconds(50e-6),
        program=Seconds(5e-4),
        bus=BytesPerSecond(1.4e9),
    )
    assert die_rate(geometry).value == pytest.approx(655.36e6)
    assert drive_rate(geometry).value == pytest.approx([655.36e6, 1310.72e6, 1.4e9])
