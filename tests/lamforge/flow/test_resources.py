"""The model of resources: equal to the runs it is made of, near to those it has not seen, and of the circuit as it is."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.board import RESOURCES
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import ConfigError, SpecError
from lamforge.flow.resources import (
    ENGINES,
    PARTS,
    TERMS,
    Fields,
    PartRun,
    ResourceModel,
    copies_of,
    engine_runs,
    engines_text,
    fields_of_engine,
    kept,
    origin,
    part_runs,
    parts_text,
    resource_model,
    with_keys,
)
from lamforge.flow.synth import synth
from reports.documents.circuit import synthesis_document
from reports.studies.resources.study import changed_parts
from reports.text.circuit import synthesis_text
from rtl.synthesis import estimate
from rtl.synthesis.circuit import Wanted, circuit

EXACT = ("bram36", "uram", "dsp")


def kept_engines() -> tuple[Fields, Mapping[str, np.ndarray]]:
    """Return fields and resources of engines that Yosys synthesized and the model has not seen."""
    return engine_runs(kept(ENGINES))


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


AGAIN = "`lamforge study resources --output lamforge/flow/resources` makes the runs again"


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_its_parts_are_those_of_the_circuit(name: str, tmp_path: Path) -> None:
    """Where this fails, the circuit has other parts than the runs are of."""
    engine = load_engine(name)
    now = {part: found.copies for part, found in circuit(engine, Wanted.FORMS, tmp_path).items()}
    model = {part.name: int(copies_of(part.copies, fields_of_engine(engine))) for part in resource_model().every}
    assert {part: count for part, count in model.items() if count} == now, AGAIN


@pytest.mark.long
def test_its_parts_have_not_changed_since(tmp_path: Path) -> None:
    """Where this fails, the named parts have other Verilog than when they were synthesized; Amaranth's version decides it too."""
    assert importlib.metadata.version("amaranth") == origin().amaranth, AGAIN
    assert {name: parts for name, parts in changed_parts(origin(), tmp_path).items() if parts} == {}, AGAIN


def test_files_are_read_as_they_were_written() -> None:
    assert parts_text(part_runs(kept(PARTS))) == kept(PARTS)
    assert engines_text(*kept_engines()) == kept(ENGINES)


def test_a_quick_estimate_is_what_the_model_says() -> None:
    engine = load_engine("tiny")
    found = synth(engine=engine, is_quick=True)
    total = resource_model().total(fields_of_engine(engine))
    assert found.total == {name: float(value) for name, value in total.items()}
    assert {(part.unit, part.name): part.count for part in found.parts}["memories", "activation"] == 2 * 64 // 4
    assert found.is_quick and found.tool == f"a model of runs of {origin().tool} made on {origin().date}"
    assert synthesis_text(found).endswith(
        "No resources were synthesized: this is what a model says; docs/synthesis.md says how far it is off."
    )
    assert synthesis_document(found)["tool"] == found.tool and synthesis_document(found)["is_quick"]


def test_parts_with_keys_depend_on_what_these_are_computed_of() -> None:
    """A field that a term reads must be among those of the term, and of the part that has the term as a key."""
    for name, term in TERMS.items():
        assert np.isfinite(term.value({path: np.array(128) for path in term.fields})), name
    drain = ("tile.ports", "tile.port_bits", "vector.lanes", "buffer.scales")
    assert with_keys("matrix/drain", ["buffer.scales"]) == drain
    assert with_keys("matrix/tile", ["tile.ports"]) == ("tile.ports",)


def test_the_model_needs_no_circuit() -> None:
    """Whoever looks at resources alone does not wait for Amaranth."""
    code = "import sys, lamforge.flow.resources as r; r.resource_model(); print('amaranth' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_a_law_is_fitted_where_nothing_was_run() -> None:
    counts = (1, 2, 4, 8, 32, 64)
    runs = [PartRun("unit/part", "one", {"tile.ports": count}, (100.0 + 7 * count, 3.0 * count, 0, 0, 5)) for count in counts]
    found = ResourceModel(runs).total({"tile.ports": np.array([1, 16, 64])})
    np.testing.assert_allclose(found["lut"], [107, 212, 548], atol=1)
    np.testing.assert_array_equal(found["ff"], [3, 48, 192])
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
