"""HBM2 channels: the closed law against a controller stepped clock by clock, what it makes of reads, and its data file."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import ConfigError, SpecError
from hwsim.memory.hbm2 import LAW, burst_arrivals, channel_states, first_refresh, latest_start, law_of, side_state, start_side
from hwsim.memory.models import HBM2, hbm2
from hwsim.memory.parameters import AT_LEAST_A_TRANSFER, Hbm2Parameters, hbm2_parameters, load_hbm2
from tests.hwsim.slow_hbm2 import SlowChannel, SlowSideChannel

SHIPPED = hbm2_parameters()
HARSH = dataclasses.replace(SHIPPED, t_faw=90, t_rrd_l=31, t_ccd_l=13, t_rtp=40, t_wr=60, t_wtr=60, t_turn=60, t_refi=1500)
"""Times that make every constraint bind now and then."""
TIMES = [name for name in LAW if name.startswith("t_")]
U280 = load_engine("u280")
ATOMS_A_PAGE = 2 * SHIPPED.row_bytes // SHIPPED.atom_bytes
PORTS = 4


def read_at_random(rng: np.random.Generator, count: int, read: Callable[[int, int, int], int]) -> None:
    """Call for accesses (clock, first atom, atoms), which returns when each starts: jumps within the rows of a few banks, pauses.

    Half of them are streams, whose accesses are long, and known shortly before or after it is their turn.
    """
    clock, atom, start, is_stream = 0, 0, 0, rng.random() < 0.5
    pause, jump = int(rng.integers(3)), rng.choice([0.1, 0.6]) if is_stream else 0.6
    sizes = [8, 12, 14, 16, 20, 32, 64] if is_stream else [1, 2, 3, 16, 64]
    for _ in range(count):
        clock += int(rng.choice([[0, 0, 1], [0, 20, 60], [0, 300, 4000]][pause]))
        if is_stream and pause < 2:
            clock = max(clock, start + int(rng.integers(-10, 60)))
        if rng.random() < jump:
            atom = int(rng.integers(32)) * int(rng.choice([1, 16])) * ATOMS_A_PAGE + int(rng.integers(ATOMS_A_PAGE))
        atoms = min(int(rng.choice(sizes)), ATOMS_A_PAGE - atom % ATOMS_A_PAGE)
        start = read(clock, atom, atoms)
        atom += atoms


def differences(ours: Hbm2Parameters, theirs: Hbm2Parameters, seed: int, count: int = 120) -> int:
    """Return how many accesses start in other clocks in the law with `ours` and in the stepped controllers with `theirs`."""
    rng = np.random.default_rng(seed)
    law, port = law_of(ours, U280), seed % PORTS
    states = channel_states([first_refresh(ours.t_refi, PORTS, port, seed)])
    slow = SlowChannel(theirs, first_refresh(theirs.t_refi, PORTS, port, seed))
    pairs = []

    def read(clock: int, atom: int, atoms: int) -> int:
        pairs.append((latest_start(law, states, clock, atom, atoms), slow.read(clock, atom, atoms)))
        return pairs[-1][0]

    read_at_random(rng, count, read)
    slow.run_until(max(start for start, _ in pairs) + 200)
    wrong = sum(access.columns[:1] != [start] for start, access in pairs)

    side, slow_side = side_state(law, PORTS, seed), SlowSideChannel(theirs, first_refresh(ours.t_refi, PORTS, PORTS, seed))
    pairs, clock, word = [], 0, 0
    for _ in range(count):
        clock += int(rng.choice([0, 1, 5, 300]))
        word = int(rng.integers(600)) if rng.random() < 0.2 else word + 1
        is_write = rng.random() < 0.7
        atoms = 1 if is_write else int(rng.integers(1, 33))
        is_line = is_write and rng.random() < 0.9
        start = start_side(law, side, clock, atoms, int(is_write), word if is_line else -1)
        pairs.append((start, slow_side.access(clock, atoms, is_write, word if is_line else None)))
    slow_side.run_until(max(start for start, _ in pairs) + 200)
    return wrong + sum(access.columns[:1] != [start] for start, access in pairs)


@pytest.mark.parametrize("parameters", [SHIPPED, HARSH])
def test_the_law_is_what_a_controller_does(parameters: Hbm2Parameters, seed: int) -> None:
    for number in range(seed, seed + 12):
        assert differences(parameters, parameters, number) == 0, f"seed {number}"


@pytest.mark.parametrize("count", [20, pytest.param(300, marks=pytest.mark.long)])
def test_the_law_is_what_a_controller_does_with_other_times(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        times = {name: max(1, round(getattr(SHIPPED, name) * 2 ** rng.uniform(-2, 2))) for name in TIMES}
        for name in AT_LEAST_A_TRANSFER:
            times[name] = max(times[name], times["t_ccd_s"])
        times["t_refi"] = max(times["t_refi"], 2 * times["t_rfc"] + 1)
        ours, number = dataclasses.replace(SHIPPED, **times), int(rng.integers(1 << 31))
        assert differences(ours, ours, number) == 0, f"{ours}, seed {number}"


@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_is_one_off_is_seen(name: str) -> None:
    pairs = [(times, dataclasses.replace(times, **{name: getattr(times, name) + 1})) for times in (SHIPPED, HARSH)]
    assert any(differences(times, broken, number) for number in range(6) for times, broken in pairs)


@pytest.mark.parametrize("parameters", [SHIPPED, HARSH])
@pytest.mark.parametrize("ports", [2, 5, 32, 64])
def test_the_latest_of_several_channels_is_the_latest_of_each_alone(parameters: Hbm2Parameters, ports: int, seed: int) -> None:
    law, rng = law_of(parameters, U280), np.random.default_rng(seed)
    due = [first_refresh(parameters.t_refi, ports, port, seed) for port in range(ports)]
    together, alone = channel_states(due), [channel_states([clock]) for clock in due]

    def read(clock: int, atom: int, atoms: int) -> int:
        latest = max(latest_start(law, states, clock, atom, atoms) for states in alone)
        assert latest_start(law, together, clock, atom, atoms) == latest
        return latest

    read_at_random(rng, 400, read)


def arrivals(config: EngineConfig, offsets: list[int], beats: int, port: int = 0, seed: int = 0) -> np.ndarray:
    """Return when the beats of bursts have come that a port asks for as fast as it can."""
    law = law_of(SHIPPED, config)
    states = channel_states([first_refresh(SHIPPED.t_refi, config.tile.ports, port, seed)])
    ring, last, all_beats = np.zeros(4096, np.int64), -1, []
    for number, offset in enumerate(offsets):
        last = burst_arrivals(law, states, number, offset, last, 0, beats, 0, ring)
        all_beats.append(ring[:beats].copy())
    return np.concatenate(all_beats)


def fraction_of_peak(config: EngineConfig, offsets: list[int], beats: int) -> float:
    """Return the rate of long use, of a channel's 14.4 GB/s."""
    came = arrivals(config, offsets, beats)
    seconds = (came[-1] - came[0]) / config.clock_hz
    return (len(came) - 1) * config.tile.port_bytes / seconds / 14.4e9


def scattered(beats: int, rng: np.random.Generator) -> list[int]:
    rows = U280.channel_bytes // U280.tile.port_bytes // 32
    return [32 * int(row) for row in rng.integers(rows, size=40_000 // beats)]


def test_sequential_reads_lose_the_refresh_only() -> None:
    """Shuhai measures 425 of 460.8 GB/s on a U280 (92.2 %)."""
    rate = fraction_of_peak(U280, list(range(0, 16 * 4000, 16)), 16)
    print(f"sequential: {100 * rate:.2f} % of peak")
    assert 0.915 < rate < 0.935
    assert rate < 1 - SHIPPED.t_rfc / SHIPPED.t_refi


def test_scattered_reads_are_slow_and_the_longer_the_better(rng: np.random.Generator) -> None:
    rates = [fraction_of_peak(U280, scattered(beats, rng), beats) for beats in (1, 2, 4, 8, 16, 32)]
    print("scattered, bursts of 1 to 32 beats:", [f"{100 * rate:.1f} %" for rate in rates])
    assert rates[0] < 0.2
    assert rates == sorted(rates)
    assert rates[-1] > 4 * rates[0]


def test_a_row_hit_is_faster_than_a_closed_row_and_that_than_a_miss() -> None:
    law = law_of(SHIPPED, U280)

    def start(*atoms: int) -> int:
        states = channel_states([first_refresh(SHIPPED.t_refi, 1, 0, 0)])
        return [latest_start(law, states, 200 * number, atom, 1) - 200 * number for number, atom in enumerate(atoms)][-1]

    other_row = 16 * ATOMS_A_PAGE // 2
    closed, hit, miss = start(0), start(0, 2), start(0, other_row)
    assert (closed - hit, miss - closed) == (SHIPPED.t_rcd, SHIPPED.t_rp)


def test_an_idle_hit_takes_what_was_measured() -> None:
    """122.2 ns from the acceptance of an address to the first atom of an open page."""
    law = law_of(SHIPPED, U280.with_values({"clock_hz": 900.0e6, "tile.port_bits": 256}))
    states, ring = channel_states([first_refresh(SHIPPED.t_refi, 1, 0, 0)]), np.zeros(8, np.int64)
    burst_arrivals(law, states, 0, 0, -1, 0, 1, 0, ring)
    first = int(ring[0])
    burst_arrivals(law, states, 1000, 2, first, 0, 1, 0, ring)
    assert ring[0] - 1000 == 110
    assert first - 110 == SHIPPED.t_rcd


def test_refresh_comes_periodically_and_staggered() -> None:
    period = SHIPPED.t_refi * U280.clock_hz / SHIPPED.clock_hz
    starts = []
    for port in (0, 1, 31):
        came = arrivals(U280, list(range(0, 16 * 400, 16)), 16, port)
        pauses = np.flatnonzero(np.diff(came) > 40)
        assert len(pauses) >= 4
        assert np.all(np.diff(came)[pauses] >= SHIPPED.t_rfc // 4)
        assert np.abs(np.diff(came[pauses]) - period).max() < 40
        starts.append(int(came[pauses[0]]))
    assert len(set(starts)) == 3
    later = arrivals(U280, list(range(0, 16 * 400, 16)), 16, 0, seed=400)
    assert abs(int(later[np.flatnonzero(np.diff(later) > 40)[0]]) - starts[0] - 100) < 20


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({"tile.port_bits": 128}, 0.25),
        ({"tile.port_bits": 256, "clock_hz": 450.0e6}, 0.926),
        ({"clock_hz": 300.0e6}, 0.926),
        ({"clock_hz": 100.0e6}, 100 / 225),
    ],
)
def test_a_port_is_never_faster_than_its_channel(settings: dict[str, object], rate: float) -> None:
    assert fraction_of_peak(U280.with_values(settings), list(range(0, 16 * 4000, 16)), 16) == pytest.approx(rate, abs=0.01)


def test_models_by_seed() -> None:
    assert str(HBM2) == "hbm2"
    assert str(hbm2(7)) == "hbm2:7"
    with pytest.raises(ConfigError) as refusal:
        HBM2.channels(U280.with_values({"clock_hz": 2.5e6 + 0.5}))
    assert str(refusal.value) == "Engine clock_hz must be a whole number under hbm2, not 2500000.5"


GOOD = {"value": 1, "kind": "assumed", "source": "x"}


def shipped_text() -> dict[str, object]:
    return yaml.safe_load((Path(__file__).parents[2] / "hwsim/specs/memories/hbm2.yaml").read_text())


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("t_rcd_ns", 14, "Memory t_rcd_ns must be a mapping of value, kind and source, not 14"),
        ("t_rcd_ns", {"value": 14}, "Memory t_rcd_ns must have the fields 'kind', 'source'"),
        ("t_rp_ns", None, "Memory t_rp_ns must be a mapping of value, kind and source, not None"),
        ("t_rp_ns", GOOD | {"value": -1}, "Memory t_rp_ns.value must be a number above 0, not -1"),
        (
            "t_rp_ns",
            {"value": 1, "kind": "hearsay", "source": "x"},
            "Memory t_rp_ns.kind must be one of assumed, datasheet, derived, measured, paper, simulator, tool, not 'hearsay'",
        ),
        ("t_cwl_tck", GOOD | {"value": 1.5}, "Memory t_cwl_tck.value must be an integer of at least 1, not 1.5"),
        ("row_bytes", GOOD | {"value": 1000}, "Memory row_bytes.value must be a power of two from 2 to 1048576, not 1000"),
        ("bank_groups", GOOD | {"value": 8}, "Memory bank_groups and banks_per_group must make at most 16 banks, not 32"),
        (
            "idle_hit_ns",
            GOOD | {"value": 3},
            "Memory idle_hit_ns must be 2 clocks or more longer than CAS latency and transfer, not -12",
        ),
        ("t_refi_ns", GOOD | {"value": 300}, "Memory t_refi_ns must be more than twice t_rfc_ns, not 300"),
        ("t_rcd_ns", GOOD | {"value": 1}, "Memory t_rcd must be at least the 2 clocks of t_ccd_s, not 1"),
    ],
)
def test_refusals_of_the_data_file(tmp_path: Path, name: str, entry: object, message: str) -> None:
    path = tmp_path / "memory.yaml"
    path.write_text(yaml.safe_dump(shipped_text() | {name: entry}))
    with pytest.raises(SpecError) as refusal:
        load_hbm2(str(path))
    assert str(refusal.value) == message


def test_refusals_of_other_files(tmp_path: Path) -> None:
    path = tmp_path / "memory.yaml"
    with pytest.raises(SpecError, match=r"^Memory file must be readable, not '.*' \("):
        load_hbm2(str(path))
    path.write_text("a: [")
    with pytest.raises(SpecError, match="^Memory file must be YAML, not the text of "):
        load_hbm2(str(path))
    path.write_text("[]")
    with pytest.raises(SpecError, match=r"^Memory must be a mapping of fields, not \[\]$"):
        load_hbm2(str(path))
    path.write_text(yaml.safe_dump(shipped_text() | {"t_rc_ns": 1}))
    with pytest.raises(SpecError, match="^Memory field must be one of its own such as 't_rfc_ns', not 't_rc_ns'$"):
        load_hbm2(str(path))
