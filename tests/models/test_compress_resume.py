"""Compression that was killed goes on to the same bits; what lies in the folder of unfinished work is checked."""

import dataclasses
import json
from pathlib import Path

import pytest

from hwsim.arch.isa import Format
from hwsim.errors import CheckpointError, SpecError
from hwsim.plain import from_yaml
from models import compressed
from models.attention import parse
from models.checkpoint import Checkpoint, load
from models.checkpoint.base import Weights
from models.compress import Recipe, compress, pipeline
from models.recipes import recipe
from tests.models.tiny import tiny_checkpoint
from tests.random_model import MemoryStore
from tests.reports.tiny_folder import write_checkpoint

TEXT = "Every port moves one beat in each cycle, and nobody waits for what he was not told to wait for. "
RECIPE = """
steps:
  - {method: balance_keys, steps: 2}
  - smooth
  - {method: sparsegpt, at: "*.down"}
  - {method: gptq, format: w4}
  - {method: gptq, format: w2s, at: "*.down"}
  - {method: gptq, format: w8, at: head}
attention: lambda:4+12
calibration: {sequences: 3, length: 24, seed: 7, rounded: true, text: TEXT}
"""


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load(write_checkpoint(tmp_path / "hf"))


@pytest.fixture
def chosen(tmp_path: Path) -> Recipe:
    (tmp_path / "text.txt").write_text(TEXT * 4)
    return Recipe.from_document(from_yaml(RECIPE.replace("TEXT", str(tmp_path / "text.txt"))), name="test")


def killed(checkpoint: Checkpoint, chosen: Recipe, output: Path, after: int) -> None:
    def progress(done: int, total: int) -> None:
        if done == after:
            raise Killed

    with pytest.raises(Killed):
        compressed.make(checkpoint, chosen, output, progress=progress)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_work_goes_on_to_the_same_bits(
    checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compressed.make(checkpoint, chosen, tmp_path / "whole")
    killed(checkpoint, chosen, tmp_path / "model", after)
    work = tmp_path / "model.partial"
    # A file that was being written when the end came.
    (work / "layer-00009.part").write_bytes(b"half")
    layers: list[int] = []
    plain = pipeline.Layer.of
    monkeypatch.setattr(pipeline.Layer, "of", lambda checkpoint, index: layers.append(index) or plain(checkpoint, index))
    told: list[tuple[int, int]] = []
    found = compressed.make(checkpoint, chosen, tmp_path / "model", progress=lambda *progress: told.append(progress))
    assert layers == list(range(after, 2))
    assert told == [(done, 3) for done in range(after, 4)]
    assert found.model.fingerprint == whole.model.fingerprint
    for name in ("weights.safetensors", "model.json"):
        assert (tmp_path / "model" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not work.exists()
    assert found.model.matrices["layers.1.down"].format == Format.W2S


def test_the_work_of_another_recipe_is_refused(checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path) -> None:
    killed(checkpoint, chosen, tmp_path / "model", 1)
    other = Recipe.uniform(name="test", method="rtn", format=Format.W4, pattern=parse("lambda:4+12"))
    with pytest.raises(SpecError, match=r"Unfinished .*partial' must have been begun with the same calibration_digest, recipe:"):
        compressed.make(checkpoint, other, tmp_path / "model")
    (tmp_path / "model.partial" / "work.json").write_text("{")
    with pytest.raises(SpecError, match=r"Folder of unfinished work '.*model.partial' must be usable, but: "):
        compressed.make(checkpoint, chosen, tmp_path / "model")


def test_a_second_command_is_refused_while_the_first_one_works(checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path) -> None:
    texts: list[str] = []

    def progress(done: int, total: int) -> None:
        with pytest.raises(SpecError) as refused:
            compressed.make(checkpoint, chosen, tmp_path / "model")
        texts.append(str(refused.value))

    made = compressed.make(checkpoint, chosen, tmp_path / "model", progress=progress)
    text = f"Output '{tmp_path}/model' is being written by another command"
    assert len(texts) == 4
    assert set(texts) == {f"{text}: wait until that one ends, or choose another output"}
    assert not (tmp_path / "model.partial").exists()
    assert compressed.make(checkpoint, chosen, tmp_path / "model").model.fingerprint == made.model.fingerprint


def test_what_a_command_left_that_was_killed_at_once_is_no_hindrance(
    checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "model.partial" / ".work.json.abc").mkdir(parents=True)
    (tmp_path / "model.partial" / ".lock").touch()
    compressed.make(checkpoint, chosen, tmp_path / "model")
    assert not (tmp_path / "model.partial").exists()


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_command_killed_while_it_clears_its_work_is_no_hindrance(
    checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path, removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, left = Path.unlink, [removed]

    def killing(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name == "model.partial" and not path.name.startswith("stream"):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killing)
        with pytest.raises(Killed):
            compressed.make(checkpoint, chosen, tmp_path / "model")
    compressed.make(checkpoint, chosen, tmp_path / "model")
    assert not (tmp_path / "model.partial").exists()


def test_a_folder_that_cannot_be_made_is_refused(checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path) -> None:
    (tmp_path / "model.partial").touch()
    with pytest.raises(SpecError, match=r"Output must be a path that can be written, not '.*model' \(Not a directory\)"):
        compressed.make(checkpoint, chosen, tmp_path / "model")


@pytest.mark.parametrize("name", ["layer-00000", "stream-00001"])
def test_damaged_work_is_refused(checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path, name: str) -> None:
    """Whatever was done to it: a changed bit of a weight too, which would become the model's."""
    killed(checkpoint, chosen, tmp_path / "model", 1)
    path = tmp_path / "model.partial" / f"{name}.safetensors"
    whole = path.read_bytes()
    for content in (whole[:-9], b"", whole[:-1] + bytes([whole[-1] ^ 1]), whole.replace(b"mantissa", b"mantissb") + b" "):
        path.write_bytes(content)
        with pytest.raises(SpecError, match=rf"Unfinished work in '.*{name}.safetensors' must be as it was written, but: it is "):
            compressed.make(checkpoint, chosen, tmp_path / "model")
    path.write_bytes(whole)
    digest = path.with_suffix(".sha256")
    digest.write_bytes(b"\xff")
    with pytest.raises(SpecError, match=rf"Unfinished work in '.*{name}.safetensors' must be as it was written, but: "):
        compressed.make(checkpoint, chosen, tmp_path / "model")


@pytest.mark.parametrize(
    ("after", "gone", "missed"),
    [
        (1, ("stream-00001.safetensors",), "stream-00001"),
        (1, ("stream-00001.sha256",), "stream-00001"),
        (1, ("stream-00001.safetensors", "stream-00001.sha256"), "stream-00001"),
        (2, ("stream-00002.safetensors", "stream-00002.sha256"), "stream-00002"),
        # With the last layer what the one before left would be needed again.
        (2, ("layer-00001.safetensors", "layer-00001.sha256"), "stream-00001"),
    ],
)
def test_work_that_is_gone_is_refused(
    checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path, after: int, gone: tuple[str, ...], missed: str
) -> None:
    killed(checkpoint, chosen, tmp_path / "model", after)
    for name in gone:
        (tmp_path / "model.partial" / name).unlink()
    sentence = rf"Unfinished work in '.*{missed}.safetensors' must be as it was written, but: .*; remove that folder$"
    with pytest.raises(SpecError, match=sentence):
        compressed.make(checkpoint, chosen, tmp_path / "model")


def test_work_that_looks_at_no_text_has_no_streams(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = Recipe.uniform(name="test", method="rtn", format=Format.W4, pattern=parse("lambda:4+12"))
    whole = compressed.make(checkpoint, plain, tmp_path / "whole")
    killed(checkpoint, plain, tmp_path / "model", 2)
    assert not [path.name for path in (tmp_path / "model.partial").iterdir() if path.name.startswith("stream")]
    assert compressed.make(checkpoint, plain, tmp_path / "model").model.fingerprint == whole.model.fingerprint


@pytest.mark.parametrize("content", ["[]", "5", '"x"', "null", "[" * 100_000, "{", "", '{"a": 1, "a": 1}'])
def test_what_does_not_say_whose_work_it_is_is_refused(
    checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path, content: str
) -> None:
    killed(checkpoint, chosen, tmp_path / "model", 1)
    (tmp_path / "model.partial" / "work.json").write_text(content)
    with pytest.raises(SpecError, match=r"Folder of unfinished work '.*model.partial' must be usable, but: "):
        compressed.make(checkpoint, chosen, tmp_path / "model")


def test_the_seed_decides_what_is_shown_and_is_stored(checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path) -> None:
    first = compressed.make(checkpoint, chosen, tmp_path / "first")
    document = chosen.to_document()
    document["calibration"]["seed"] = 8
    second = compressed.make(checkpoint, Recipe.from_document(document, name="test"), tmp_path / "second")
    assert first.provenance.calibration_digest != second.provenance.calibration_digest
    assert first.model.fingerprint != second.model.fingerprint
    stored = json.loads((tmp_path / "first" / "model.json").read_text())
    assert stored["recipe"]["calibration"]["seed"] == 7
    assert set(stored["provenance"]["versions"]) == {"lamforge", "numpy", "torch"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{method: rtn, at: layers.0-2}]", r"Pattern must fit a matrix of the model's 2 layers, not 'layers.0-2'"),
        ("[{method: rtn, at: layers.*}]", r"Recipe test must give head a format with a step such as \{method: rtn, .* missing"),
        ("[{method: smooth, at: '*.o'}, {method: rtn, at: '*'}]", r"Step smooth must be at qkv, gateup, down, head, not \*.o"),
        ("[wanda, {method: rtn, at: '*'}]", r"Format of layers.0.qkv, which is pruned, must be one of w2, w2s, w8, not w4"),
        ("[{method: keep, at: '*'}]", r"Weights that are kept must be stored in GGUF Q4_1 blocks"),
    ],
)
def test_recipes_that_do_not_suit_the_model(tmp_path: Path, text: str, message: str) -> None:
    chosen = Recipe.from_document(from_yaml(f"attention: dense\nsteps: {text}"), name="test")
    with pytest.raises(SpecError, match=message):
        compress(tiny_checkpoint(tmp_path), chosen)


def test_the_last_step_that_names_a_matrix_counts(tmp_path: Path) -> None:
    steps = "[{method: rtn, format: w4, at: '*'}, {method: rtn, format: w8, at: 'layers.1.o, *.down'}]"
    config = tiny_checkpoint(tmp_path).config
    plans = Recipe.from_document(from_yaml(f"attention: dense\nsteps: {steps}"), name="test").plans(config)
    formats = {name: plan.quantizer.format for name, plan in plans.items()}
    assert {name for name, format in formats.items() if format == Format.W8} == {"layers.1.o", "layers.0.down", "layers.1.down"}
    assert set(formats) >= {"head", "layers.0.qkv"}


def test_groups_that_do_not_divide_are_refused_before_the_work(tmp_path: Path) -> None:
    config = tiny_checkpoint(tmp_path).config
    narrow = dataclasses.replace(config, hidden=96, head_dim=32)
    with pytest.raises(SpecError, match=r"Inputs of layers.0.qkv in w2s must be a multiple of 64, not 96"):
        recipe("w2sa8kv4").plans(narrow)


def test_a_text_too_short_and_numbers_that_are_none(checkpoint: Checkpoint, chosen: Recipe, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("short")
    with pytest.raises(SpecError, match=r"Calibration text must be at least 24 tokens long, not 5"):
        compressed.make(checkpoint, chosen, tmp_path / "model")
    (tmp_path / "text.txt").write_text(TEXT * 4)
    narrow = dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, vocab=90))
    with pytest.raises(SpecError, match=r"Tokens of a text must be below the model's 90, not \d+"):
        compressed.make(narrow, chosen, tmp_path / "model")
    tensors = {name: checkpoint.tensor(name) for name in checkpoint.weights}
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("inf")
    broken = dataclasses.replace(checkpoint, weights=Weights(checkpoint.config, MemoryStore(tensors)))
    with pytest.raises(CheckpointError, match=r"Tensor model.layers.1.mlp.up_proj.weight must hold finite numbers, not NaN"):
        compressed.make(broken, chosen, tmp_path / "model")
    assert not (tmp_path / "model").exists()
