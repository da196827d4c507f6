"""Points as arrays are what they are one by one: values, engines that can be built, candidates, digests, drawn points."""

import dataclasses
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.arch.config import load_engine
from hwsim.errors import LamforgeError
from lamforge.explore.axes import ENGINE_PATHS
from lamforge.explore.candidates import Candidates
from lamforge.explore.exact import CYCLE_PATHS, TIMING_PATHS, shape_of
from lamforge.explore.search import points_of
from lamforge.explore.space import Space
from lamforge.explore.study import study_of
from lamforge.flow.target import Target
from tests.lamforge.explore.small import FEW_AXES, study

CHOICES: dict[str, list[object]] = {
    "engine": ["small", "u280", "tiny"],
    "engine.tile.tokens": [1, 2, 4, 7],
    "engine.tile.nibble_tokens": [1, 2, 3, 4],
    "engine.fetch.burst_beats": [8, 16, 64],
    "engine.fetch.fifo_beats": [16, 64, 4096],
    "engine.clock_hz": [1e8, 2.25e8, 3e8],
    "layers.format": ["w2s", "w4", "w8"],
    "cache.format": ["kv4", "kv8"],
    "attention.sinks": [0, 4, 64],
    "context": [64, 2048],
    "batch": [1, 2, 4],
    "memory": ["ideal", "hbm2"],
    "network": ["llama-2-7b", "smollm2-135m"],
    "board": ["u280", "u55c"],
}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    paths = draw(st.lists(st.sampled_from(sorted(CHOICES)), min_size=1, max_size=4, unique=True))
    axes = {path: draw(st.lists(st.sampled_from(CHOICES[path]), min_size=1, unique=True)) for path in paths}
    base: dict[str, object] = {"network": "smollm2-135m", "engine": draw(st.sampled_from(["small", "u280"]))}
    condition = draw(st.sampled_from(["batch <= 2", "engine.fetch.fifo_beats > 16", "memory == 'ideal' or context > 64"]))
    base = {path: value for path, value in base.items() if path not in axes}
    return Space(study_of({"name": "drawn", "base": base, "axes": axes, "conditions": [condition]}))


@given(spaces())
def test_the_grid_is_every_combination_that_meets_the_conditions(space: Space) -> None:
    every = [dict(zip(space.axes, values, strict=True)) for values in itertools.product(*space.axes.values())]
    assert [space.values(point) for point in range(space.size)] == every
    columns = space.columns(np.arange(space.size))
    for path, values in columns.items():
        for point, value in enumerate(np.broadcast_to(values, (space.size,)).tolist()):
            if path in space.axes:
                assert value == every[point][path]
    met = np.broadcast_to(space.study.conditions[0].holds(columns), (space.size,))
    assert np.concatenate(list(space.blocks())).tolist() == np.flatnonzero(met).tolist()


@given(spaces())
def test_points_together_are_what_each_is_alone(space: Space) -> None:
    points = np.arange(space.size)
    columns = space.columns(points)
    built = np.broadcast_to(space.are_built(columns), points.shape)
    texts = [space.configuration(point) for point in points.tolist()]
    assert space.digests(points, columns) == [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    assert len(set(texts)) == space.size
    assert all(json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text for text in texts)
    requests = {}
    for point in points.tolist():
        try:
            requests[point] = space.request(point)
            assert built[point]
        except LamforgeError as refusal:
            rows = np.broadcast_to(columns["batch"], points.shape)[point]
            assert not built[point] or rows > 1, refusal
    if requests:
        alone = Candidates.of(list(requests.values()))
        some = np.array(list(requests))
        together = space.candidates(some, space.columns(some))
        for field in dataclasses.fields(Candidates):
            found = np.broadcast_to(getattr(together, field.name), some.shape)
            assert found.tolist() == getattr(alone, field.name).tolist(), field.name


def test_a_point_is_what_simulate_compiles() -> None:
    study = {"name": "one", "base": {"network": "llama-2-7b", "engine": "u280"}, "axes": {"engine.tile.tokens": [2, 3]}}
    found, _ = Space(study_of(study)).request(1)
    target = Target(workload="llama-2-7b", engine="u280", settings={"tile.tokens": 3}, context=2048)
    assert found == target.network_request()


def test_a_configuration_says_what_an_engine_is_not_where_its_file_lies(tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(load_engine("u280").to_dict()))
    base = {"network": "llama-2-7b", "engine": "u280"}
    by_name = Space(study_of({"name": "one", "base": base, "axes": {"batch": [1]}}))
    by_file = Space(study_of({"name": "one", "base": base | {"engine": str(path)}, "axes": {"batch": [1]}}))
    assert by_name.configuration(0) == by_file.configuration(0)
    assert set(json.loads(by_name.configuration(0))) == set(ENGINE_PATHS) - {"context"}


def test_a_window_may_be_given_in_the_place_of_the_context() -> None:
    base = {"network": "llama-2-7b", "attention.sinks": 8}
    space = Space(study_of({"name": "one", "base": base, "axes": {"attention.window": [56, 120]}}))
    assert space.columns(np.arange(2))["context"].tolist() == [64, 128]
    request, _ = space.request(1)
    assert (request.sinks, request.window, request.context) == (8, 120, 128 + request.engine.tile.tokens)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_drawn_points_are_of_the_grid_each_once_and_the_same_for_the_same_seed(count: int) -> None:
    def drawn(seed: int) -> list[int]:
        search = {"method": "random", "count": count, "seed": seed}
        axes = {"context": {"from": 64, "to": 128, "step": 1}, "batch": [1, 2, 4]}
        document = {"name": "drawn", "base": {"network": "llama-2-7b"}, "axes": axes, "search": search}
        space = Space(study_of(document | {"conditions": ["batch * context <= 200"]}))
        points = [point for block in points_of(space) for point in block.tolist()]
        assert set(points) <= {point for block in space.blocks() for point in block.tolist()}
        return points

    found = drawn(1)
    assert len(set(found)) == len(found) == min(count, 65 + 37)
    assert found == drawn(1)
    assert count == 1000 or found != drawn(2)


def test_points_of_one_program_and_of_one_run_follow_one_another(tmp_path: Path) -> None:
    space = Space(study(tmp_path, axes=FEW_AXES | {"engine.clock_hz": [1e8, 2e8]}))
    points = np.random.default_rng(0).permutation(space.size)
    grouped = space.grouped(points, CYCLE_PATHS, TIMING_PATHS)
    assert sorted(grouped.tolist()) == list(range(space.size))
    shapes = [shape_of(space.request(int(point))[0]) for point in grouped]
    changes = sum(one != other for one, other in itertools.pairwise(shapes))
    assert changes == len(set(shapes)) - 1 > 0
    columns = space.columns(grouped)
    others = [columns[path] for path in space.axes if not path.startswith(CYCLE_PATHS)]
    runs = list(zip(*(values.tolist() for values in others), strict=True))
    assert len(set(runs)) < space.size
    assert sum(one != other for one, other in itertools.pairwise(runs)) == len(set(runs)) - 1
