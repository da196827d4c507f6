"""Study files: what six lines say, ranges, and every mistake with its path and the nearest right name."""

import json
from pathlib import Path

import pytest

from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError
from hwsim.plain import from_yaml
from hwsim.reader import fields_of, json_schema
from lamforge.explore.axes import ALIASES, PLACES
from lamforge.explore.metrics import METRICS, PLACEMENT_METRICS
from lamforge.explore.placements import rows_of, space_of
from lamforge.explore.study import FILES, Bound, Objective, Study, load_study, study_of

ROOT = Path(__file__).parents[3]
BASE = {"network": "smollm2-135m"}
AXES = {"engine.tile.tokens": [1, 2, 4]}


def made(**changes: object) -> Study:
    return study_of({"name": "mine", "base": BASE, "axes": AXES} | changes)


def refusal(**changes: object) -> str:
    with pytest.raises(SpecError) as error:
        made(**changes)
    return str(error.value)


def test_a_short_study_has_defaults_for_the_rest() -> None:
    found = made()
    assert (found.conditions, found.constraints, found.exact, found.search.method) == ((), (), "front", "grid")
    assert found.objectives == (Objective(name="token_per_s", is_maximized=True),)


def test_the_study_of_the_readme_has_six_lines() -> None:
    blocks = [text.partition("```")[0] for text in (ROOT / "README.md").read_text().split("```yaml\n")[1:]]
    studies = [block for block in blocks if "axes:" in block]
    assert [len(block.strip().splitlines()) for block in studies] == [6]
    assert space_of(study_of({"name": "mine"} | from_yaml(studies[0]))).size == 84


def test_shipped_studies_are_read() -> None:
    for name in FILES.names():
        found = load_study(name)
        assert found.name == name
        assert space_of(found).size >= 10


@pytest.mark.parametrize("name", FILES.names())
def test_constraints_of_a_shipped_study_can_be_met(name: str) -> None:
    space = space_of(load_study(name))
    rows = rows_of(space, code="")
    assert any((~(rows.closed(points).excess > 0).any(axis=1)).any() for points in space.blocks())


def test_every_field_of_an_engine_is_a_path() -> None:
    fields = {field.path for field in fields_of(EngineConfig)}
    leaves = {path for path in fields if path and not any(other.startswith(f"{path}.") for other in fields)}
    assert {f"engine.{path}" for path in leaves - {"name"}} == {path for path in PLACES if path.startswith("engine.")}
    assert set(ALIASES.values()) <= set(PLACES)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{from: 64, to: 512, times: 2}", (64, 128, 256, 512)),
        ("{from: 64, to: 511, times: 2}", (64, 128, 256)),
        ("[8, 4096]", (8, 4096)),
    ],
)
def test_ranges(text: str, values: tuple[int, ...]) -> None:
    assert made(axes={"engine.fetch.fifo_beats": from_yaml(text)}).axes["engine.fetch.fifo_beats"] == values


def test_ranges_of_steps_and_counts() -> None:
    assert made(axes={"context": {"from": 64, "to": 256, "step": 64}}).axes["context"] == (64, 128, 192, 256)
    assert made(axes={"context": {"from": 64, "to": 256, "count": 3}}).axes["context"] == (64, 160, 256)
    clocks = made(axes={"engine.clock_hz": {"from": 1e8, "to": 3e8, "step": 2.5e7}}).axes["engine.clock_hz"]
    assert clocks[0] == 1e8 and clocks[-1] == 3e8 and len(clocks) == 9


def test_aliases_and_bounds() -> None:
    found = made(axes={"weights.format": ["w4"]}, constraints={"cycles": {"at_most": 3e6}, "fits": "board"})
    assert list(found.axes) == ["layers.format"]
    assert found.constraints == (Bound(name="cycles", at_most=3e6), Bound(name="board"))
    assert str(found.constraints[0]) == "cycles at most 3e+06"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"axes": {"engine.tile.token": [1]}},
            "Study axis must be a path of a design such as 'engine.tile.tokens', not 'engine.tile.token'",
        ),
        (
            {"base": BASE | {"engine.fetch.fifo": 3}},
            "Study base name must be a path of a design such as 'engine.fetch.fifo_beats', not 'engine.fetch.fifo'",
        ),
        ({"axes": {}}, "Study axes must be a mapping of lists or ranges by path, not {}"),
        ({"axes": {"batch": []}}, "Study axes.batch must have at least one value, not none"),
        ({"axes": {"batch": 3}}, "Study axes.batch must be a list of values or a range, not 3"),
        ({"axes": {"batch": [1, 2, 1]}}, "Study axes.batch must have every value once, not 1 twice"),
        (
            {"axes": {"engine.tile.ports": [3, 4, 5]}},
            "Study axes.engine.tile.ports[0] must be a power of two from 1 to 64, not 3;"
            " Study axes.engine.tile.ports[2] must be a power of two from 1 to 64, not 5",
        ),
        (
            {"axes": {"context": {"from": 8, "to": 64, "step": 0}}},
            "Study axes.context must have a step above 0, not 0 from 8: it would not end",
        ),
        (
            {"axes": {"context": {"from": 8, "to": 64, "times": 1}}},
            "Study axes.context must have a factor `times` above 1, from a value above 0, not 1 from 8: it would not end",
        ),
        (
            {"axes": {"context": {"from": 8, "to": float("inf"), "step": 1}}},
            "Study axes.context.to must be a finite number, not inf",
        ),
        (
            {"axes": {"context": {"from": 64, "to": 8, "step": 1}}},
            "Study axes.context must go from its smaller to its larger value, not from 64 to 8",
        ),
        (
            {"axes": {"context": {"from": 8, "to": 10_000_000, "step": 1}}},
            "Study axes.context must have at most 100,000 values, not 9,999,993",
        ),
        (
            {"axes": {"engine.clock_hz": {"from": 1, "to": 1e300, "times": 1.001}}},
            "Study axes.engine.clock_hz must have at most 100,000 values, not 691,121",
        ),
        (
            {"axes": {"engine.clock_hz": {"from": 1e-300, "to": 1e300, "times": 2}}},
            "Study axes.engine.clock_hz must go to at most 1e300 times its first value, not from 1e-300 to 1e+300",
        ),
        (
            {"axes": {"engine.clock_hz": {"from": 0, "to": 1e300, "step": 1e-300}}},
            "Study axes.engine.clock_hz must have at most 100,000 values, not more than can be counted",
        ),
        (
            {"axes": {"memory": {"from": 8, "to": 9, "step": 1}}},
            "Study axes.memory must be a list of values, not {'from': 8, 'to': 9, 'step': 1}",
        ),
        (
            {"axes": {"memory": ["slow"]}},
            "Study axes.memory[0]: Memory model must be ideal, stalling, stalling:SEED, hbm2 or hbm2:SEED, not 'slow'",
        ),
        ({"axes": {"network": ["smollm2-135m"]}}, "Study base and axes must not both have 'network'"),
        (
            {"axes": {"context": [64]}, "base": BASE | {"attention.window": 60}},
            "Study must have either context or attention.window, which follow from one another, not both",
        ),
        ({"base": {}}, "Study base must have network, the name of the network that is decoded"),
        ({"conditions": [3]}, "Study conditions[0] must be a text such as 'batch <= engine.tile.tokens', not 3"),
        (
            {"conditions": ["engine.tile.tokens"]},
            "Study conditions[0]: Study condition must compare something, not be 'engine.tile.tokens'",
        ),
        ({"constraints": {"fits": "u280"}}, "Study constraints.fits must be board, not 'u280'"),
        (
            {"constraints": {"cycle": {"at_most": 1}}},
            f"Study constraint must be one of {', '.join(sorted({*METRICS, *PLACEMENT_METRICS}))}"
            " (nearest: cycles), or a path of a design whose values are numbers, not 'cycle'",
        ),
        (
            {"constraints": {"cycles": {"below": 1}}},
            "Study constraints.cycles must be a mapping of at_least, at_most or both, not {'below': 1}",
        ),
        (
            {"constraints": {"cycles": {"at_most": 1, "at_least": 2}}},
            "Study constraints.cycles must have at_least below at_most, not {'at_most': 1, 'at_least': 2}",
        ),
        ({"objectives": {"cycles": "less"}}, "Study objectives.cycles must be maximize or minimize, not 'less'"),
        (
            {"objectives": {"token_per_joule": "maximize"}},
            "Study exact must be all where only the exact simulation gives the objectives (token_per_joule)",
        ),
        (
            {"constraints": {"power_w": {"at_most": 50}, "cycles": {"at_most": 1}}},
            "Study exact must be all where only the exact simulation tells what meets a constraint (power_w)",
        ),
        ({"search": "rand"}, "Study search.method must be one of grid, optuna, random (nearest: random), not 'rand'"),
        ({"search": {"method": "grid", "trials": 3}}, "Study search must leave out trials where its method is grid"),
        ({"exact": 0}, "Study exact must be front, all or a whole number of at least 1, not 0"),
        ({"serch": "grid"}, "Study field must be one of its own such as 'search', not 'serch'"),
    ],
    ids=str,
)
def test_refusals(changes: dict[str, object], text: str) -> None:
    assert refusal(**changes) == text


def test_all_mistakes_are_told_at_once() -> None:
    text = refusal(
        axes={"batch": [0], "engine.tile.port": [1]}, conditions=["a > 1"], objectives={"speed": "maximize"}, exact="some"
    )
    for place in ("axes.batch[0]", "engine.tile.port'", "conditions[0]", "'speed'", "Study exact"):
        assert place in text


def test_a_grid_that_is_too_large_is_refused_with_its_size() -> None:
    axes = {"context": {"from": 8, "to": 80_007, "step": 1}, "engine.clock_hz": {"from": 1e8, "to": 2e8, "count": 1000}}
    with pytest.raises(SpecError) as error:
        space_of(made(axes=axes))
    assert str(error.value) == "Study axes must span at most 10,000,000 points, not 80,000,000 (80,000 x 1,000)"


def test_the_digest_is_of_what_decides_the_rows() -> None:
    assert made().digest == made(name="other", exact="all", objectives={"cycles": "minimize"}).digest
    assert made().digest != made(axes={"engine.tile.tokens": [1, 2]}).digest
    assert made().digest != made(constraints={"fits": "board"}).digest


def test_the_schema_knows_every_path() -> None:
    schema = json_schema(Study)
    axes = schema["properties"]["axes"]
    assert set(axes["properties"]) == {*PLACES, *ALIASES} and axes["additionalProperties"] is False
    assert json.dumps(schema)
