"""Measured accuracy: its tables, what a study takes from them and what it rejects, and the measuring of what is missing."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

import lamforge
from compiler.model import compile_model
from hwsim.arch.config import load_engine
from hwsim.errors import SpecError
from hwsim.host.inputs import Inputs
from hwsim.memory.models import IDEAL
from lamforge.explore import accuracy, measuring
from lamforge.explore.accuracy import (
    Accuracies,
    Key,
    PassKeys,
    Row,
    Scored,
    TextPart,
    accuracies_text,
    load_accuracies,
    missing_text,
)
from lamforge.explore.measuring import MeasureRequest, interval, run, scored
from lamforge.explore.space import Space
from lamforge.explore.study import Study, load_study, study_of
from models.attention import LambdaShape, parse
from models.compressed import load
from models.evaluation import passkey
from models.evaluation.perplexity import perplexity
from models.evaluation.reading import Integers, negative_log_likelihoods
from models.integer import IntegerReference
from reports.documents.exploration import exploration_document
from reports.text.exploration import exploration_text
from testbenches.simulated import Simulated
from tests.lamforge.conftest import Command
from tests.lamforge.explore.small import document, rows_of, write_network
from tests.random_model import random_model

AXES: dict[str, object] = {"layers.format": ["w4", "w8"], "context": [12, 16], "engine.fetch.fifo_beats": [32, 64]}
DIGEST = "0" * 64


def row(key: Key, nll: tuple[float, ...] = (1.0, 2.0), found: tuple[int, ...] = (3,)) -> Row:
    layers, head, cache, sinks, window = key
    return Row(
        model="one",
        layers=layers,
        head=head,
        cache=cache,
        sinks=sinks,
        window=window,
        nll=nll,
        found=found,
        fingerprint=DIGEST[:16],
        code=DIGEST[:16],
        version="1",
        created="2026-01-01T00:00:00+00:00",
    )


def table_of(network: str, rows: tuple[Row, ...]) -> Accuracies:
    return Accuracies(
        network=network,
        models=(Scored(name="one", folder="build/one"),),
        text=TextPart(window=16, windows=2, sha256=DIGEST),
        pass_keys=PassKeys(lengths=(300,)),
        rows=rows,
    )


def study_with(folder: Path, table: Accuracies, **changes: object) -> Study:
    (folder / "table.yaml").write_text(accuracies_text(table))
    base = {"network": str(write_network(folder)), "engine": "tiny"}
    return study_of(document(folder, base=base, axes=AXES, accuracy=str(folder / "table.yaml")) | changes)


@pytest.fixture
def rows(rng: np.random.Generator) -> tuple[Row, ...]:
    """Rows of three of the four combinations of AXES, with random figures."""
    keys: list[Key] = [("w4", "w4", "kv4", 4, 8), ("w4", "w4", "kv4", 4, 12), ("w8", "w4", "kv4", 4, 12)]
    return tuple(row(key, tuple(rng.uniform(1, 3, 2).round(6).tolist()), (int(rng.integers(0, 6)),)) for key in keys)


def test_prompts_hide_pass_keys_at_as_many_depths_as_tables_say() -> None:
    assert len(passkey.DEPTHS) == accuracy.DEPTHS


def test_a_table_is_read_back(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    table = table_of("smollm2-135m", rows)
    (tmp_path / "table.yaml").write_text(accuracies_text(table, "# A comment.\n"))
    assert load_accuracies(str(tmp_path / "table.yaml")) == table


def test_a_point_has_the_figures_of_its_row_and_of_no_other(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    network = str(write_network(tmp_path))
    study = study_with(tmp_path, table_of(network, rows))
    lamforge.explore(study, output=tmp_path / "out")
    by_key = {each.key: each for each in rows}
    seen = rows_of(tmp_path / "out")
    assert len(seen) == 16
    for each in seen:
        found = by_key.get((each["layers.format"], "w4", "kv4", 4, each["context"] - 4))
        if found is None:
            assert (each["perplexity"], each["pass_keys"], each["layers.format"], each["context"]) == (None, None, "w8", 12)
        else:
            assert each["perplexity"] == pytest.approx(math.exp(sum(found.nll) / 2))
            assert each["pass_keys"] == found.found[0] / 5


@pytest.mark.parametrize("by", ["constraint", "objective"])
def test_what_was_not_measured_is_rejected_for_that(tmp_path: Path, rows: tuple[Row, ...], by: str) -> None:
    bound = {"constraints": {"perplexity": {"at_most": 1e9}}} if by == "constraint" else {"objectives": {"perplexity": "minimize"}}
    study = study_with(tmp_path, table_of(str(write_network(tmp_path)), rows), **bound)
    found = lamforge.explore(study, output=tmp_path / "out")
    assert [(each.constraint, each.points, each.alone) for each in found.rejected] == [("measured", 2, 2)]
    assert found.unmeasured == {("w8", "w4", "kv4", 4, 8): 2}
    assert found.exact_points == 6
    said = "2 points were not measured (w8 layers, w4 head, kv4, 4 sinks, window 8): "
    assert f"{said}`lamforge study accuracy {tmp_path / 'out' / 'study.yaml'}` measures" in exploration_text(found)
    assert load_study(str(tmp_path / "out" / "study.yaml")) == study
    assert exploration_document(found)["unmeasured"] == [
        {
            "layers.format": "w8",
            "head.format": "w4",
            "cache.format": "kv4",
            "attention.sinks": 4,
            "attention.window": 8,
            "points": 2,
        }
    ]
    assert {each["rejected_by"] for each in rows_of(tmp_path / "out")} == {"", "measured"}
    # Gone on with, it says the same.
    assert lamforge.explore(study, output=tmp_path / "out").unmeasured == found.unmeasured


def test_a_bound_on_perplexity_rejects_what_is_above_it(tmp_path: Path) -> None:
    keys: list[Key] = [("w4", "w4", "kv4", 4, 8), ("w4", "w4", "kv4", 4, 12), ("w8", "w4", "kv4", 4, 8), ("w8", "w4", "kv4", 4, 12)]
    made = tuple(row(key, (2.0 + place, 2.0 + place), (place,)) for place, key in enumerate(keys))
    bounds = {"perplexity": {"at_most": math.exp(4) * 1.001}, "pass_keys": {"at_least": 0.2}}
    study = study_with(tmp_path, table_of(str(write_network(tmp_path)), made), constraints=bounds)
    found = lamforge.explore(study, output=tmp_path / "out")
    assert {each.constraint.split()[0]: each.points for each in found.rejected} == {"perplexity": 2, "pass_keys": 2}
    assert {(each.values["layers.format"], each.values["context"]) for each in found.front} <= {("w4", 16), ("w8", 12)}
    assert found.exact_points == 4


def test_a_table_is_of_its_network_alone(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    space = Space(study_with(tmp_path, table_of("smollm2-135m", rows)))
    points = np.arange(space.size)
    metrics, missing = space.measured(points, space.columns(points))
    assert np.isnan(metrics["perplexity"]).all()
    assert missing == {}


def test_a_refusal_says_what_is_missing(tmp_path: Path) -> None:
    bound = {"perplexity": {"at_most": 10}}
    study = study_with(tmp_path, table_of(str(write_network(tmp_path)), ()), constraints=bound)
    with pytest.raises(SpecError, match="'measured' rejects 8; 8 points were not measured .*; and 1 more"):
        lamforge.explore(study, output=tmp_path / "out")


def test_the_first_few_are_named() -> None:
    missing: dict[Key, int] = {("w4", "w8", "kv4", 4, window): 2 for window in range(1, 6)}
    said = missing_text(missing, "mine")
    assert said.startswith("10 points were not measured (w4 layers, w8 head, kv4, 4 sinks, window 1;")
    assert "; and 2 more)" in said


def test_rows_decide_what_results_are_of(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    network = str(write_network(tmp_path))
    digests = [Space(study_with(tmp_path, table_of(network, some))).digest for some in (rows, rows[:2], rows)]
    assert digests[0] == digests[2] != digests[1]


def test_accuracy_must_be_given_where_it_is_asked_for(tmp_path: Path) -> None:
    for asked in ({"constraints": {"pass_keys": {"at_least": 1}}}, {"objectives": {"perplexity": "minimize"}}):
        with pytest.raises(
            SpecError, match="^Study accuracy must be given, the table that pass_keys and perplexity are taken from"
        ):
            study_of(document(tmp_path) | asked)
    with pytest.raises(SpecError, match="Accuracy must be one of .* or a YAML file, not 'none'"):
        study_of(document(tmp_path, accuracy="none"))


KEY: Key = ("w4", "w8", "kv4", 4, 8)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": (row(KEY), row(KEY))}, "one for each formats, sinks and window, not two of w4, w8, kv4, 4, 8"),
        ({"rows": (row(KEY, nll=(1.0,)),)}, "a value for each window and each length"),
        ({"rows": (row(KEY, found=(1, 2)),)}, "a value for each window and each length"),
        ({"rows": (row(KEY, found=(6,)),)}, "found at most 5 of a length, not 6"),
        ({"rows": (dataclasses.replace(row(KEY), model="two"),)}, "must be of a model of the table, not of 'two'"),
        ({"text": TextPart(window=16, windows=2)}, "must have text.sha256"),
        ({"models": (Scored(name="one", folder="a"), Scored(name="one", folder="b"))}, "must have different names"),
    ],
)
def test_tables_that_contradict_themselves(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        dataclasses.replace(table_of("smollm2-135m", (row(KEY),)), **changes)


@pytest.mark.parametrize(
    "fields", [{}, {"recipe": "w4a8kv4"}, {"checkpoint": "a"}, {"folder": "a", "checkpoint": "a", "recipe": "b"}]
)
def test_a_model_is_one_thing(fields: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="must have a checkpoint and a recipe, or a folder alone"):
        Scored(name="one", **fields)


def test_mistakes_in_a_file_are_told_with_their_paths(tmp_path: Path) -> None:
    content = yaml.safe_load(accuracies_text(table_of("smollm2-135m", (row(KEY),))))
    content["rows"][0] |= {"layers": "w3", "sinks": -1}
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SpecError, match=r"rows\[0\].layers must be .*rows\[0\].sinks must be"):
        load_accuracies(str(tmp_path / "table.yaml"))


@pytest.mark.parametrize("pattern", ["lambda:0+5", "lambda:4+12", "lambda:1+40"])
def test_a_text_under_another_attention_is_what_a_model_made_with_it_reads(
    pattern: str, seed: int, rng: np.random.Generator
) -> None:
    tokens = rng.integers(0, 96, 60).tolist()
    own, other = random_model(seed), random_model(seed, attention=pattern)
    shape = parse(pattern)
    assert isinstance(shape, LambdaShape)
    one = negative_log_likelihoods(Integers(IntegerReference(own), shape), tokens)
    assert (one == negative_log_likelihoods(Integers(IntegerReference(other)), tokens)).all()
    assert (one == negative_log_likelihoods(Integers(IntegerReference(own)), tokens)).all() == (pattern == "lambda:4+12")


def test_caches_that_keep_a_whole_text_give_the_same_bits(seed: int, rng: np.random.Generator) -> None:
    tokens = rng.integers(0, 96, 60).tolist()
    model = IntegerReference(random_model(seed))
    found = [
        negative_log_likelihoods(Integers(model, LambdaShape(sinks=sinks, window=60 - sinks)), tokens)
        for sinks in (0, 1, 4, 16, 59)
    ]
    assert all((each == found[0]).all() for each in found)
    dense = IntegerReference(random_model(seed, attention="dense"))
    assert (negative_log_likelihoods(Integers(dense), tokens) == found[0]).all()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tile.tokens": 1},
        {"tile.tokens": 3},
        {"tile.ports": 2, "tile.port_bits": 256},
        {"vector.lanes": 8, "clock_hz": 3e8, "fetch.fifo_beats": 64, "fetch.burst_beats": 4},
    ],
)
def test_engines_change_no_bit(settings: dict[str, int | float], seed: int, rng: np.random.Generator) -> None:
    """The ring wraps twice; every step gives the logits of the reference, under the model's own formats and attention."""
    model = random_model(seed)
    engine = load_engine("tiny").with_values(settings)
    compiled = compile_model(model, engine, context=48)
    image, machine = compiled.image, Simulated(engine)
    assert image is not None
    tokens = rng.integers(0, 96, 36).tolist()
    expected = IntegerReference(model).window_logits(tokens).numpy()
    for position, token in enumerate(tokens):
        outputs, _ = machine.run(compiled.decode, image, Inputs(position=position, rows=model.embedding.rows([token])), IDEAL)
        image = outputs.image
        np.testing.assert_array_equal(outputs.logits[:96], expected[position])


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A study of the tiny model, whose table has no rows yet; its text is that of the fixture `made`."""
    table = tmp_path / "table.yaml"
    table.write_text(
        f"# Mine.\nnetwork: {made / 'hf' / 'config.json'}\nmodels: [{{name: tiny, folder: {made / 'model'}}}]\n"
        f"text: {{file: {made / 'text.txt'}, window: 48, windows: 3}}\npass_keys: {{lengths: [330], trials: 1}}\n"
    )
    base = {"network": str(made / "hf" / "config.json"), "engine": "tiny", "layers.format": "w4", "head.format": "w8"}
    axes = {"attention.sinks": [0, 4], "context": [12, 16, 48]}
    bounds = {"perplexity": {"at_most": 1e6}}
    study = {"base": base, "axes": axes, "accuracy": str(table), "exact": "all", "constraints": bounds}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(study))
    return tmp_path / "mine.yaml"


def test_what_is_measured_is_what_the_model_scores(made: Path, own: Path) -> None:
    found = run(MeasureRequest(str(own)))
    assert (found.new_rows, found.unmeasured) == (6, ())
    assert [each.key[3:] for each in found.table.rows] == [(0, 12), (0, 16), (0, 48), (4, 8), (4, 12), (4, 44)]
    assert found.file.read_text().startswith("# Mine.\n")
    assert load_accuracies(str(found.file)) == found.table
    model = load(made / "model")
    assert model.tokenizer is not None
    tokens = model.tokenizer.encode((made / "text.txt").read_text())
    for each in found.table.rows:
        reader = Integers(IntegerReference(model.model), LambdaShape(sinks=each.sinks, window=each.window))
        alone = perplexity(reader, tokens, length=48, max_windows=3)
        assert each.perplexity == pytest.approx(alone.perplexity, rel=1e-5)
        assert each.fingerprint == model.model.fingerprint[:16]
        low, high = interval(scored(each, found.table))
        assert low < each.perplexity < high
    whole = {each.sinks: each.nll for each in found.table.rows if each.sinks + each.window == 48}
    assert whole[0] == whole[4]
    assert len({each.nll for each in found.table.rows}) == 5
    # Nothing is missing any more, and the study has it.
    assert run(MeasureRequest(str(own))).new_rows == 0
    explored = lamforge.explore(str(own), output=own.parent / "out")
    assert (explored.exact_points, explored.unmeasured) == (6, {})


def test_measuring_goes_on_where_it_was_stopped(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(MeasureRequest(str(own), table=own.parent / "whole.yaml")).table
    steps = itertools.count()
    write = measuring.write_text

    def stopped(file: Path, text: str) -> None:
        write(file, text)
        # The head comes first, then row by row.
        if next(steps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(MeasureRequest(str(own)))
    monkeypatch.undo()
    found = run(MeasureRequest(str(own)))
    assert found.new_rows == 4
    timeless = [[dataclasses.replace(each, created="") for each in table.rows] for table in (found.table, whole)]
    assert timeless[0] == timeless[1]


def test_a_text_that_changed_is_refused(own: Path) -> None:
    found = run(MeasureRequest(str(own)))
    table = dataclasses.replace(found.table, rows=found.table.rows[:2], text=dataclasses.replace(found.table.text, sha256=DIGEST))
    found.file.write_text(accuracies_text(table))
    with pytest.raises(SpecError, match=f"Text of accuracies must have the SHA-256 {DIGEST}, not "):
        run(MeasureRequest(str(own)))


def test_formats_of_no_model_stay_unmeasured(own: Path) -> None:
    content = yaml.safe_load(own.read_text())
    content["base"]["layers.format"] = "w8"
    own.write_text(yaml.safe_dump(content))
    found = run(MeasureRequest(str(own)))
    assert found.new_rows == 0
    assert len(found.unmeasured) == 6


def test_models_of_another_network_are_refused(own: Path) -> None:
    table = own.parent / "table.yaml"
    network = str(write_network(own.parent))
    table.write_text(
        "\n".join(f"network: {network}" if line.startswith("network") else line for line in table.read_text().split("\n"))
    )
    own.write_text(yaml.safe_dump(yaml.safe_load(own.read_text()) | {"base": {"network": network, "engine": "tiny"}}))
    with pytest.raises(SpecError, match="Model 'tiny' must be of the network .*, from which it differs in vocab"):
        run(MeasureRequest(str(own)))


def test_what_can_be_refused_is_before_anything_is_measured(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*given: object, **named: object) -> None:
        raise AssertionError

    monkeypatch.setattr(measuring, "perplexity", measured)
    table = own.parent / "table.yaml"
    content = table.read_text()
    with pytest.raises(SpecError, match="cannot be written|must be"):
        run(MeasureRequest(str(own), table=own.parent))
    table.write_text(content.replace("windows: 3", "windows: 90"))
    with pytest.raises(SpecError, match="^Text of accuracies must have 90 windows of 48 tokens, not 18$"):
        run(MeasureRequest(str(own)))
    folder = content.partition("folder: ")[2].partition("}")[0]
    table.write_text(content.replace("models: [", f"models: [{{name: other, folder: {folder}}}, "))
    with pytest.raises(
        SpecError, match="^Models of accuracies must have different formats, not the same as 'other' and 'tiny' have$"
    ):
        run(MeasureRequest(str(own)))


def test_the_command(command: Command, own: Path) -> None:
    code, out, _ = command("study", "accuracy", own)
    assert code == 0
    assert "6 of 6 rows measured now" in out
    assert out.count("of 5") == 6
    assert "made" not in command("study", "accuracy", own, "--json")[2]
    own.write_text("base: {network: smollm2-135m}\naxes: {batch: [1, 2]}\n")
    code, out, error = command("study", "accuracy", own)
    assert (code, out) == (2, "")
    assert "Study accuracy must be given to be measured, not left out" in error


def test_another_table_is_gone_on_with(own: Path) -> None:
    before = (own.parent / "table.yaml").read_text()
    request = MeasureRequest(str(own), table=own.parent / "new.yaml")
    first, again = measuring.run(request), measuring.run(request)
    assert (first.file, first.new_rows, again.new_rows, again.table) == (own.parent / "new.yaml", 6, 0, first.table)
    assert (own.parent / "table.yaml").read_text() == before
