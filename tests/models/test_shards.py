"""Compressed models over several files: equal to those in one, read matrix by matrix, and refused in one sentence."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.isa import Format
from hwsim.arch.tensor_file import write_tensors
from hwsim.errors import CheckpointError
from models import compressed
from models.attention import parse
from models.checkpoint.base import sha256
from models.compress import Recipe
from models.shaped import shaped_model
from models.shards import Shards, ShardWriter
from tests.models.tiny import tiny_checkpoint, tiny_config

RECIPE = Recipe.uniform(name="test", method="rtn", format=Format.W4, pattern=parse("lambda:4+12"))
INDEX = "weights.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A compressed model over several files."""
    made = compressed.create(tiny_checkpoint(tmp_path, has_bias=True), RECIPE)
    compressed.save(made, tmp_path / "one")
    compressed.save(made, tmp_path / "model", shard_bytes=16_000)
    return tmp_path / "model"


def test_several_files_hold_the_same_model(folder: Path) -> None:
    files = sorted(path.name for path in folder.iterdir())
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    count = len(files) - 2
    assert count > 2
    assert files == ["model.json", *(f"weights-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)), INDEX]
    assert set(weight_map.values()) == set(files) - {"model.json", INDEX}
    several, one = compressed.load(folder), compressed.load(folder.parent / "one")
    assert several.model.fingerprint == one.model.fingerprint
    for name, matrix in several.model.matrices.items():
        ours, theirs = matrix.packed(), one.model.matrices[name].packed()
        assert np.array_equal(ours.words, theirs.words), name


def test_a_matrix_is_read_when_it_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = compressed.load(folder).model
    taken = []
    take = Shards.take

    def counted(self: Shards, name: str, *rest: object) -> np.ndarray:
        taken.append(name)
        return take(self, name, *rest)

    monkeypatch.setattr(Shards, "take", counted)
    assert (model.matrices["layers.1.o"].shape, model.matrices["layers.1.o"].format) == ((64, 128), Format.W4)
    assert taken == []
    model.matrices["layers.1.o"].packed()
    assert sorted(taken) == ["layers.1.o.exponent", "layers.1.o.mantissa", "layers.1.o.words"]


def without(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-16])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without, rf"Folder model must hold {{file}}, which {INDEX} names"),
        (cut, "File {file} must be a complete safetensors file, but: "),
        (flip, r"File {file} must have the SHA-256 \w{{64}}, not \w{{64}}"),
    ],
)
def test_a_damaged_file_is_one_sentence(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    file = sorted(folder.glob("*.safetensors"))[1]
    damage(file)
    with pytest.raises(CheckpointError, match=message.format(file=file.name)) as caught:
        compressed.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (np.zeros((3, 5, 16), np.uint8), r"Tensor layers.0.o.words must be uint8 of shape \(64, 5, 16\), not .* \(3, 5, 16\)"),
        (np.zeros((64, 5, 16), np.int8), r"Tensor layers.0.o.words must be uint8 of shape .*, not int8 of \(64, 5, 16\)"),
        (None, r"File weights-.* must hold the tensor layers.0.o.words, which .* promises"),
    ],
)
def test_a_tensor_of_another_form_is_one_sentence(folder: Path, tensor: np.ndarray | None, message: str) -> None:
    """The description is made to fit, so that the tensor itself is what is refused."""
    name = "layers.0.o.words"
    file = folder / json.loads((folder / INDEX).read_text())["weight_map"][name]
    held = {key: shards_take(folder, key) for key in names_in(folder, file.name) if key != name}
    write_tensors(file, held if tensor is None else held | {name: tensor})
    description = json.loads((folder / "model.json").read_text())
    description["weights_sha256"][file.name] = sha256(file)
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=message):
        compressed.load(folder)


def names_in(folder: Path, file: str) -> list[str]:
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    return [name for name, place in weight_map.items() if place == file]


def shards_take(folder: Path, name: str) -> np.ndarray:
    path, place = Shards(folder, "weights")._places[name]
    return np.fromfile(path, place.dtype, int(np.prod(place.shape)), offset=place.start).reshape(place.shape)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", f"File {INDEX} must be JSON with an object weight_map, but holds something else"),
        ('{"weight_map": []}', f"File {INDEX} must be JSON with an object weight_map, but holds something else"),
        ('{"weight_map": {"a": "../b.safetensors"}}', "File of tensor a must be a .safetensors file of the folder, not"),
    ],
)
def test_a_hostile_index_is_one_sentence(folder: Path, content: str, message: str) -> None:
    (folder / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match=message):
        compressed.load(folder)


def test_a_writer_holds_no_more_than_a_file(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "weights", limit=100)
    for number in range(5):
        writer.add(f"t{number}", np.full(40, number, np.uint8))
        assert sum(tensor.nbytes for tensor in writer._held.values()) <= 100
    assert [path.name for path in writer.close()] == [f"weights-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert Shards(tmp_path, "weights").take("t3", np.uint8, (None,)).tolist() == [3] * 40


@pytest.mark.parametrize("format", [Format.W2, Format.W2S, Format.W4, Format.W8])
def test_a_shaped_model_is_random_and_repeatable(tmp_path: Path, format: Format) -> None:
    config = dataclasses.replace(tiny_config(), max_positions=64)

    def made(seed: int) -> compressed.CompressedModel:
        return shaped_model(config, format=format, head=Format.W8, pattern=parse("lambda:4+12"), seed=seed)

    compressed.save(made(7), tmp_path / "model", shard_bytes=20_000)
    found = compressed.load(tmp_path / "model")
    assert found.model.fingerprint == made(7).model.fingerprint != made(8).model.fingerprint
    matrix = found.model.matrices["layers.0.gateup"].packed().unpacked()
    weights = matrix.dequantize()
    # Near the deviation that keeps activations in range, 1 / sqrt(inputs), and centred; half of 2:4 weights are zero.
    deviation = weights.std() * np.sqrt(config.hidden)
    print(f"{format.name}: deviation {deviation:.2f}, mean {weights.mean() * np.sqrt(config.hidden):.2f}")
    assert 0.4 < deviation < 2.5
    assert abs(weights.mean()) < 0.5 * weights.std()
