"""The model of resources: equal to the runs it is made of, near to those it has not seen, and of the circuit as it is."""

import csv
import importlib.resources
import re

import numpy as np
import pytest

from hwsim.arch.board import RESOURCES
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import ConfigError, SpecError
from lamforge.explore.resources import ENGINES, FIELDS, TERMS, PartRun, ResourceModel, fields_of_engine, resource_model
from rtl.synthesis import estimate
from rtl.synthesis.estimate import count_parts
from rtl.synthesis.yosys import modules_of
from rtl.verilog import generate

EXACT = ("bram36", "uram", "dsp")


def kept_engines() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return fields and resources of engines that Yosys synthesized and the model has not seen."""
    text = importlib.resources.files("lamforge.explore.resources").joinpath(ENGINES).read_text()
    rows = list(csv.DictReader(text.splitlines()))
    fields = {path: np.array([int(row[path]) for row in rows]) for path in FIELDS}
    return fields, {name: np.array([float(row[name]) for row in rows]) for name in RESOURCES}


def test_engines_that_it_has_not_seen() -> None:
    fields, synthesized = kept_engines()
    found = resource_model().total(fields)
    assert len(synthesized["lut"]) >= 40
    for name in EXACT:
        np.testing.assert_array_equal(found[name], synthesized[name], err_msg=name)
    for name in ("lut", "ff"):
        off = np.abs(found[name] / synthesized[name] - 1)
        print(f"{name}: median {np.median(off):.2%}, worst {off.max():.2%} over {len(off)} engines")
        assert off.max() <= 0.08


def test_many_engines_are_what_each_is_alone(rng: np.random.Generator) -> None:
    model, (fields, _) = resource_model(), kept_engines()
    places = rng.permutation(len(fields["tile.ports"]))
    together = model.parts({path: values[places] for path, values in fields.items()})
    for index, place in enumerate(places[:8].tolist()):
        alone = model.parts({path: np.array(values[place]) for path, values in fields.items()})
        for part, resources in alone.items():
            for name, value in resources.items():
                assert value == np.broadcast_to(together[part][name], places.shape)[index], (part, name)


def test_axes_that_broadcast_are_the_grid_they_span() -> None:
    usual = fields_of_engine(load_engine("small"))
    axes = {"tile.ports": np.array([[2], [4], [8]]), "buffer.result_words": np.array([[1024, 8192]])}
    whole = {path: np.broadcast_to(values, (3, 2)).ravel() for path, values in axes.items()}
    model = resource_model()
    for name, values in model.total({**usual, **axes}).items():
        expected = np.broadcast_to(model.total({**usual, **whole})[name], 6)
        np.testing.assert_array_equal(np.broadcast_to(values, (3, 2)).ravel(), expected, err_msg=name)


def copies_in_the_circuit(engine: EngineConfig) -> dict[str, int]:
    """Return the copies of each part, without a synthesis: every module counts as one look-up table."""
    modules = modules_of(text for name, text in generate(engine).items() if name.endswith(".v") and name != "dsp48e2.v")
    found: dict[str, int] = {}
    for part in count_parts(modules, {name: {"LUT1": 1} for name in modules if name != "ram"}):
        # Verilog numbers equal names.
        name = re.sub(r"\$\d+$", "", f"{part.unit}/{part.name}")
        found[name] = found.get(name, 0) + part.count
    return found


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_its_parts_are_those_of_the_circuit(name: str) -> None:
    """Where this fails, the circuit is another than the runs are of: `lamforge study resources` makes them again."""
    engine = load_engine(name)
    fields, circuit = fields_of_engine(engine), copies_in_the_circuit(engine)
    model = {part.name: 1 if part.copies == "one" else int(TERMS[part.copies].value(fields)) for part in resource_model().every}
    # Memories are counted in their lanes.
    memories = {part for part in model if part.startswith("memories/") or part == "vector/temporary"}
    assert set(model) == set(circuit)
    assert {part: model[part] for part in set(model) - memories} == {part: circuit[part] for part in set(circuit) - memories}


def test_a_law_is_fitted_where_nothing_was_run() -> None:
    counts = (1, 2, 8, 16, 32, 64)
    runs = [PartRun("unit/part", "one", {"tile.ports": count}, (100.0 + 7 * count, 3.0 * count, 0, 0, 5)) for count in counts]
    found = ResourceModel(runs).total({"tile.ports": np.array([1, 4, 64])})
    np.testing.assert_allclose(found["lut"], [107, 128, 548], atol=1)
    np.testing.assert_array_equal(found["ff"], [3, 12, 192])
    np.testing.assert_array_equal(found["dsp"], [5, 5, 5])


def test_runs_that_contradict_one_another_are_refused() -> None:
    runs = [PartRun("unit/part", copies, {}, (1.0, 0, 0, 0, 0)) for copies in ("one", "ports")]
    with pytest.raises(SpecError, match="must have one number of copies"):
        ResourceModel(runs)


def random_engine(rng: np.random.Generator) -> EngineConfig:
    """Return an engine of at most 8 slices, which Yosys synthesizes within minutes."""
    while True:
        burst, lanes = 2 << int(rng.integers(6)), 4 << int(rng.integers(4))
        values = {
            "tile.ports": 1 << int(rng.integers(3)),
            "tile.port_bits": 128 << int(rng.integers(2)),
            "tile.tokens": int(rng.integers(1, 8)),
            "tile.nibble_tokens": int(rng.integers(1, 8)),
            "fetch.burst_beats": burst,
            "fetch.fifo_beats": min(4096, 2 * burst << int(rng.integers(6))),
            "vector.lanes": lanes,
            "buffer.activation_segments": 4 << int(rng.integers(10)),
            "buffer.result_words": 16 << int(rng.integers(11)),
            "control.queue_depth": 2 << int(rng.integers(6)),
        }
        try:
            return load_engine("small").with_values(values)
        except ConfigError:
            continue


@pytest.mark.long
@pytest.mark.parametrize("number", range(3))
def test_random_engines_against_yosys(number: int, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = random_engine(np.random.default_rng(seed + number))
    synthesized = estimate(engine, tmp_path_factory.getbasetemp() / "synthesis")
    found = resource_model().total(fields_of_engine(engine))
    for name in RESOURCES:
        expected = synthesized.total(name)
        if name in ("uram", "dsp"):
            assert found[name] == expected, name
        assert abs(float(found[name]) - expected) <= 0.08 * expected, name
