"""Compression: grids hold what they must, GPTQ earns its keep, recipes refuse, the folder gives back what it got."""

import dataclasses
import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from hwsim.arch.formats import WEIGHT_FORMATS, pack, unpacked_of
from hwsim.arch.isa import CacheFormat, Format
from hwsim.errors import CheckpointError, SpecError
from hwsim.plain import from_yaml
from models import compressed
from models.attention import parse
from models.calibration import calibration_text
from models.checkpoint import Checkpoint
from models.checkpoint.base import Weights, sha256
from models.checkpoint.layout import EMBEDDING, HEAD, block
from models.compress import CalibrationSettings, Recipe, Step, compress, gptq, rtn
from models.compress.balance_keys import BalanceKeys
from models.compress.calibrate import sequences
from models.compress.grid import grid, nearest_codes, objective
from models.compress.pipeline import embedding
from models.compress.smooth import Smooth
from models.evaluation import evaluation_text
from models.integer import IntegerModel, IntegerReference
from models.integer.constants import gain
from models.matrices import LINEARS, PARTS, layer_part, matrix_shapes
from models.recipes import names, recipe, recipe_file
from models.reference.llama import Llama
from tests.models.tiny import SEED, integer_logits, tiny_checkpoint, tiny_config, tiny_tokens
from tests.random_model import MemoryStore

RECIPE = Recipe.uniform(name="test", method="gptq", format=Format.W4, pattern=parse("lambda:4+28"))
CALIBRATED = Recipe.uniform(name="test", method="gptq", format=Format.W4, pattern=parse("lambda:4+12"))
NEAREST = Recipe.uniform(name="test", method="rtn", format=Format.W4, pattern=parse("lambda:4+28"))


def random_weight(rows: int, inputs: int, seed: int = SEED) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn((rows, inputs), generator=random) * torch.rand((rows, 1), generator=random)


def correlated_inputs(tokens: int, inputs: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(SEED)
    mixing = torch.randn((inputs // 4, inputs), generator=random)
    return torch.randn((tokens, inputs // 4), generator=random) @ mixing + 0.3 * torch.randn((tokens, inputs), generator=random)


@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
def test_matrices_fit_their_format(format: Format) -> None:
    weight = random_weight(20, 192)
    weight[3] = 0.0
    weight[4, :64] = 0.25
    matrix = rtn.quantize(weight, format)
    matrix.check("matrix")
    again = pack(matrix).unpacked()
    assert np.array_equal(again.integer(), matrix.integer())
    assert ((matrix.mantissa == 0) | (matrix.mantissa >> 15 == 1)).all()
    assert not matrix.dequantize()[3].any()
    error = np.square(matrix.dequantize() - weight.numpy()).sum() / float(weight.square().sum())
    assert error < {Format.W8: 1e-4, Format.W4: 1e-2, Format.W2: 0.15, Format.W2S: 0.35}[format]


def test_q4_1_levels_are_kept() -> None:
    random = np.random.default_rng(SEED)
    codes = random.integers(0, 16, (16, 6, 32))
    codes[..., 0], codes[..., 1] = 0, 15
    step, low = random.uniform(0.5, 1.0, (16, 6, 1)), random.uniform(-8.5, -7.0, (16, 6, 1))
    weight = torch.from_numpy((step * (codes + low)).reshape(16, 192))
    matrix = rtn.quantize(weight, Format.W4)
    assert np.array_equal(matrix.codes, codes.reshape(16, 192))
    assert np.abs(matrix.dequantize() - weight.numpy()).max() < 0.13


def test_q8_0_embedding_is_kept() -> None:
    random = np.random.default_rng(SEED)
    codes = random.integers(-127, 128, (9, 2, 32))
    codes[..., 5] = 127
    scales = random.uniform(0.001, 0.1, (9, 2)).astype(np.float16)
    weight = torch.from_numpy((codes * scales[..., None].astype(np.float32)).reshape(9, 64).astype(np.float32))
    found = embedding(weight)
    assert np.array_equal(found.codes, codes.reshape(9, 64))
    assert np.array_equal(found.scales, scales)


@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
def test_gptq_is_never_worse_than_nearest(format: Format) -> None:
    weight, inputs = random_weight(24, 128), correlated_inputs(300, 128)
    hessian = inputs.T @ inputs
    passed_on, nearest = gptq.quantize(weight, format, hessian), rtn.quantize(weight, format)
    found, bar = objective(weight, passed_on, hessian), objective(weight, nearest, hessian)
    assert found <= bar
    if format != Format.W8:
        assert found < 0.8 * bar
    outputs = inputs.double() @ (torch.from_numpy(passed_on.dequantize()) - weight.double()).T
    assert found == pytest.approx(float(outputs.square().sum()), rel=1e-3)


def test_gptq_survives_inputs_that_say_nothing() -> None:
    weight = random_weight(8, 64)
    nearest = rtn.quantize(weight, Format.W4)
    for hessian in (torch.zeros((64, 64)), torch.ones((64, 64)) * 1e9):
        assert gptq.quantize(weight, Format.W4, hessian).check("matrix") is None
    assert np.array_equal(gptq.quantize(weight, Format.W4, None).codes, nearest.codes)


def test_a_long_row_cannot_wrap() -> None:
    weight = torch.full((2, 32 * 512), 1.0)
    weight[:, ::2] = -1.0
    levels = grid(Format.W4, weight)
    levels.matrix(torch.where(weight > 0, 15, 0)).check("matrix")
    levels.matrix(nearest_codes(weight, levels)).check("matrix")
    rtn.quantize(weight, Format.W8).check("matrix")


def rounded_8_bit(x: torch.Tensor) -> torch.Tensor:
    step = x.abs().amax(-1, keepdim=True) / 127
    return torch.round(x / step) * step


def rounded_cache(x: torch.Tensor, top: int) -> torch.Tensor:
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    step = (high - low) / top
    zero = torch.round(-low / step)
    return (torch.clamp(torch.round(x / step) + zero, 0, top) - zero) * step


def simulated(checkpoint: Checkpoint, model: IntegerModel) -> Llama:
    """Return a float model with the integer model's weights that rounds activations, queries, keys and values."""
    config, weights = model.config, {}
    tensors = {name: checkpoint.tensor(name) for name in checkpoint.weights}
    table = model.embedding.rows(range(config.vocab)) / 2.0**16
    tensors[f"{EMBEDDING}.weight"] = torch.from_numpy(table).float()
    checkpoint = dataclasses.replace(checkpoint, weights=Weights(config, MemoryStore(tensors)))
    for layer in range(config.layers):
        names = {part: layer_part(layer, part) for part in PARTS}
        parts = {part: torch.from_numpy(unpacked_of(model.matrices[name]).dequantize()).float() for part, name in names.items()}
        sizes = [config.heads * config.head_dim, *[config.kv_heads * config.head_dim] * 2]
        split = [*parts["qkv"].split(sizes), parts["o"], *parts["gateup"].split(config.ffn), parts["down"]]
        weights |= {block(layer, name): weight for name, weight in zip(itertools.chain(*LINEARS.values()), split, strict=True)}
    weights[HEAD] = torch.from_numpy(unpacked_of(model.matrices["head"]).dequantize()).float()

    class Simulated(Llama):
        def linear(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
            bias = checkpoint.tensor(f"{name}.bias") if f"{name}.bias" in checkpoint.weights else None
            return functional.linear(rounded_8_bit(inputs), weights[name], bias)

    made = Simulated(checkpoint, pattern=model.pattern)
    round_cache = functools.partial(rounded_cache, top=(1 << model.cache.bits) - 1)
    made.geometry = dataclasses.replace(made.geometry, round_query=rounded_8_bit, round_cache=round_cache)
    return made


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).square().sum() / expected.square().sum())


@pytest.mark.parametrize(
    ("format", "cache"), [(Format.W4, CacheFormat.KV4), (Format.W8, CacheFormat.KV4), (Format.W8, CacheFormat.KV8)]
)
@pytest.mark.parametrize("is_tied", [False, True])
def test_integers_are_close_to_floats_that_round_alike(tmp_path: Path, format: Format, cache: CacheFormat, is_tied: bool) -> None:
    checkpoint, tokens = tiny_checkpoint(tmp_path, has_bias=not is_tied, is_tied=is_tied), tiny_tokens(100)
    chosen = Recipe.uniform(name="test", method="rtn", format=format, pattern=RECIPE.pattern)
    model = compress(checkpoint, dataclasses.replace(chosen, cache=cache))
    found = integer_logits(model, tokens)
    # A rounding that falls the other way moves everything after it a little.
    print(difference(found, simulated(checkpoint, model).logits(tokens)))
    assert difference(found, simulated(checkpoint, model).logits(tokens)) < 0.01
    assert difference(found, Llama(checkpoint, pattern=model.pattern).logits(tokens)) < 0.1


def test_balanced_and_calibrated_integers_are_close_to_floats(tmp_path: Path) -> None:
    checkpoint, tokens = tiny_checkpoint(tmp_path, has_bias=True), tiny_tokens(100)
    chosen = dataclasses.replace(RECIPE, steps=(Step(method=BalanceKeys(steps=4)), Step(method=Smooth()), *RECIPE.steps))
    model = compress(checkpoint, chosen, tokens=torch.tensor(tiny_tokens(400, seed=1)).view(4, 100))
    found = integer_logits(model, tokens)
    print(difference(found, Llama(checkpoint, pattern=model.pattern).logits(tokens)))
    assert difference(found, Llama(checkpoint, pattern=model.pattern).logits(tokens)) < 0.1


def test_compression_is_repeatable_and_reports_progress(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    shown, told = torch.tensor(tiny_tokens(120)).view(2, 60), []
    first = compress(checkpoint, RECIPE, tokens=shown, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert first.fingerprint == compress(checkpoint, RECIPE, tokens=shown).fingerprint


def test_shipped_recipes_and_texts() -> None:
    assert "w4a8kv4" in names()
    for name in names():
        found = recipe(name)
        assert Recipe.from_document(found.to_document(), name=name) == found
    assert str(recipe("w4a8kv4").pattern) == "lambda:4+252"
    with pytest.raises(SpecError, match=r"Recipe must be one of .* or a YAML file, not 'w4a8kv' \(nearest: w4a8kv4\)"):
        recipe("w4a8kv")
    evaluated = set(evaluation_text().split("\n\n"))
    assert len(calibration_text()) > 300_000
    assert not evaluated & {part for part in calibration_text().split("\n\n") if len(part) > 60}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attention: dense\nstpes: []", r"Recipe must have the field 'steps'; Recipe field must be .* 'steps', not 'stpes'"),
        ("attention: dense\nsteps: []", r"Recipe steps must be a list, not \[\]"),
        ("attention: dense\nsteps: [3]", r"Recipe steps\[0\] must be the name of a method, or a mapping with one, not 3"),
        ("attention: dense\nsteps: [gtpq]", r"Recipe steps\[0\] method must be one of .*\(nearest: gptq\), not 'gtpq'"),
        ("attention: dense\nsteps: [{method: [rtn]}]", r"Recipe steps\[0\] method must be one of .*, not \['rtn'\]"),
        (
            "attention: dense\nsteps: [{method: rtn, fromat: w4}]",
            r"Recipe steps\[0\].rtn field must be .* such as 'format', not 'fromat'",
        ),
        ("attention: dense\nsteps: [{method: rtn, format: w3}]", r"Recipe steps\[0\].rtn.format must be one of .*, not 'w3'"),
        ("attention: dense\nsteps: [{method: rtn, format: [w4]}]", r"steps\[0\].rtn.format must be one of .*, not \['w4'\]$"),
        ("attention: dense\nsteps: [{method: keep, format: w8}]", r"Recipe steps\[0\].keep.format must be one of w4 .*not 'w8'"),
        ("attention: dense\nsteps: [{method: smooth, share: 2}]", r"steps\[0\].smooth.share must be a number from 0 to 1, not 2"),
        ("attention: dense\nsteps: [{method: smooth, steps: 0.5}]", r"smooth.steps must be an integer of at least 0, not 0.5"),
        ("attention: dense\nsteps: [{method: balance_keys, steps: -1}]", r"balance_keys.steps must be an integer .*, not -1"),
        ("attention: dense\nsteps: [{method: balance_keys, shift: 1}]", r"balance_keys.shift must be true or false, not 1"),
        ("attention: dense\nsteps: [{method: rtn, at: 3}]", r"rtn.at must be a pattern of matrices such as layers.0-3.down, not 3"),
        ("attention: dense\nsteps: [{method: rtn, at: layers}]", r"Pattern of matrices must be one of .*, not 'layers'"),
        ("attention: dense\nsteps: [{method: rtn, at: '*.dwon'}]", r"Part in '\*.dwon' must be .*\(nearest: down\), not 'dwon'"),
        ("attention: dense\nsteps: [{method: rtn, at: layers.x}]", r"Pattern of matrices must be such as .*, not 'layers.x'"),
        ("attention: dense\ncalibration: {length: 0}\nsteps: [rtn]", r"Recipe calibration.length must be an integer .*, not 0"),
        ("attention: dense\ncalibration: {seed: -1}\nsteps: [rtn]", r"Recipe calibration.seed must be an integer .*, not -1"),
        ("attention: dense\ncalibration: {rounded: 1}\nsteps: [rtn]", r"Recipe calibration.rounded must be true or false, not 1"),
        ("attention: dense\ncalibration: {lenght: 9}\nsteps: [rtn]", r"Recipe calibration field must be .*'length', not 'lenght'"),
        ("attention: dense\ncalibration: {text: [a]}\nsteps: [rtn]", r"Recipe calibration.text must be a path, not \['a'\]"),
        ("attention: dense\ncache: kv6\nsteps: [rtn]", r"Recipe cache must be one of kv4, kv8 \(nearest: kv.\), not 'kv6'"),
        ("attention: dense\ncache: [kv8]\nsteps: [rtn]", r"Recipe cache must be one of kv4, kv8 .*, not \['kv8'\]"),
        ("steps: [rtn]", r"Recipe must have the field 'attention'"),
        ("attention: {layers.0: dense}\nsteps: [rtn]", r"Recipe attention must be dense, or lambda:SINKS.*, not \{"),
        ("attention: lambada:4+4\nsteps: [rtn]", r"Recipe attention must be dense, or lambda:SINKS.*, not 'lambada:4\+4'"),
        ("- a", r"Recipe must be a mapping of fields, not \['a'\]"),
    ],
)
def test_recipe_refusals(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Recipe.from_document(from_yaml(text), name="test")


def test_a_calibration_text_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("attention: dense\nsteps: [gptq]\ncalibration: {text: /dev/zero}\n")
    with pytest.raises(SpecError, match="^Calibration text must be a file, not '/dev/zero'$"):
        recipe_file(str(tmp_path / "mine.yaml"))


def test_calibration_refusals(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    with pytest.raises(SpecError, match="Calibration must have a tokenizer, but the checkpoint tiny carries none: use rtn"):
        sequences(checkpoint, CalibrationSettings())
    with pytest.raises(SpecError, match="Inputs of a matrix in w2 must be a multiple of 64, not 96"):
        rtn.quantize(torch.zeros((2, 96)), Format.W2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (f"{EMBEDDING}.weight", 1e7, r"Tensor model.embed_tokens.weight must hold numbers up to 8.31901e\+06, not 1e\+07"),
        (
            "model.layers.0.mlp.up_proj.weight",
            1e38,
            "must stay finite numbers, not become NaN or infinity: the checkpoint's are too",
        ),
        ("model.layers.0.self_attn.o_proj.weight", 3e38, "must stay finite numbers, not become NaN or infinity"),
    ],
)
def test_numbers_that_are_too_large_are_refused(tmp_path: Path, name: str, value: float, message: str) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    tensors = {each: checkpoint.tensor(each) for each in checkpoint.weights}
    tensors[name] = tensors[name].clone().fill_(value)
    large = dataclasses.replace(checkpoint, weights=Weights(checkpoint.config, MemoryStore(tensors)))
    with pytest.raises(CheckpointError, match=message):
        compress(large, CALIBRATED, tokens=torch.tensor([tiny_tokens(8)]))


def test_results_that_are_too_large_for_the_matrix_behind_them_are_refused(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    tensors = {each: checkpoint.tensor(each) for each in checkpoint.weights}
    tensors["model.layers.0.self_attn.o_proj.weight"] *= 1e37
    tensors["model.layers.0.self_attn.v_proj.weight"] *= 1e3
    large = dataclasses.replace(checkpoint, weights=Weights(checkpoint.config, MemoryStore(tensors)))
    document = {"steps": ["smooth", {"method": "rtn", "format": "w4"}, {"method": "rtn", "format": "w8", "at": "head"}]}
    recipe = Recipe.from_document(document | {"attention": "lambda:2+6"}, name="smoothed")
    with pytest.raises(CheckpointError, match="^Inputs of layers.0.gateup must stay finite numbers, not become NaN or infinity"):
        compress(large, recipe, tokens=torch.tensor([tiny_tokens(8)]))


def test_gains_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(CheckpointError, match="Gains of final_norm must be finite numbers, not nan"):
        gain(np.array([1.0, np.nan]), "final_norm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = compressed.create(tiny_checkpoint(tmp_path, has_bias=True), NEAREST)
    compressed.save(made, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("format", "cache"), [*((format, CacheFormat.KV4) for format in WEIGHT_FORMATS), (Format.W8, CacheFormat.KV8)]
)
def test_folder_round_trip(tmp_path: Path, format: Format, cache: CacheFormat) -> None:
    chosen = Recipe.uniform(name="test", method="rtn", format=format, pattern=RECIPE.pattern)
    chosen = dataclasses.replace(chosen, cache=cache)
    made = compressed.create(tiny_checkpoint(tmp_path, has_bias=True), chosen)
    compressed.save(made, tmp_path / "model")
    found = compressed.load(tmp_path / "model")
    assert found.model.fingerprint == made.model.fingerprint
    assert found.model.cache is made.model.cache is cache
    assert json.loads((tmp_path / "model" / "model.json").read_text())["recipe"]["cache"] == cache.name.lower()
    assert (found.recipe, found.provenance, found.tokenizer) == (made.recipe, made.provenance, None)
    tokens = tiny_tokens(12)
    expected = IntegerReference(made.model).window_logits(tokens)
    assert torch.equal(IntegerReference(found.model).window_logits(tokens), expected)
    first = (tmp_path / "model" / "weights.safetensors").read_bytes()
    compressed.save(found, tmp_path / "model")
    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "tiny.txt"]


def test_folder_is_not_written_over_something_else(folder: Path) -> None:
    made = compressed.load(folder)
    (folder.parent / "notes").mkdir()
    (folder.parent / "notes" / "note.txt").write_text("mine")
    for place in (folder.parent / "notes", folder.parent / "tiny.txt"):
        with pytest.raises(SpecError, match="Output folder must be new, empty or a compressed model, not"):
            compressed.save(made, place)
    assert (folder.parent / "notes" / "note.txt").read_text() == "mine"


def test_damaged_weights_are_refused(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"File weights.safetensors must have the SHA-256 \w{64}, not \w{64}"):
        compressed.load(folder)
    description = json.loads((folder / "model.json").read_text())
    for damaged in (whole[: len(whole) // 2], whole[:5], b"\xff" * 64):
        weights.write_bytes(damaged)
        stated = description | {"weights_sha256": {weights.name: sha256(weights)}}
        (folder / "model.json").write_text(json.dumps(stated))
        with pytest.raises(CheckpointError, match=r"File weights.safetensors must be a complete safetensors file, but: "):
            compressed.load(folder)
    changed = bytearray(whole)
    changed[-1] ^= 1
    weights.write_bytes(changed)
    (folder / "model.json").write_text(json.dumps(description | {"weights_sha256": {weights.name: sha256(weights)}}))
    with pytest.raises(CheckpointError):
        compressed.load(folder)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"Folder model must hold weights.safetensors, which is missing"):
        compressed.load(folder)


LISTED = {name: ["w4"] for name in matrix_shapes(tiny_config())}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "version must be 5, not 1"),
        ({"extra": 1}, "entry must be one of .*, not 'extra'"),
        ({"config": 3}, "Model configuration must be a mapping, not 3"),
        ({"recipe": {"name": "x", "attention": "dens", "steps": ["rtn"]}}, "hold a valid recipe, but: Recipe attention must be"),
        ({"recipe": []}, r"recipe must have a name, not \[\]"),
        ({"formats": {}}, r"formats must have the entry layers\.0\.qkv, which is missing"),
        ({"formats": LISTED}, r"Format of layers\.0\.qkv must be one of .*, not \['w4'\]"),
        ({"fingerprint": "0"}, "must have the fingerprint 0, not"),
        ({"provenance": {}}, "provenance must have the entry source, which is missing"),
        ({"tokenizer": {}}, "tokenizer must have the entry sha256, which is missing"),
    ],
)
def test_hostile_descriptions_are_refused(folder: Path, change: dict[str, object], message: str) -> None:
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(description | change))
    with pytest.raises(CheckpointError, match=message):
        compressed.load(folder)


def test_folders_that_are_none_are_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Compressed model must be a folder with model.json, not"):
        compressed.load(folder / "nowhere")
    for text in ("{", "[]", "[" * 100000):
        (folder / "model.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"File model.json must (be JSON|hold one object)"):
            compressed.load(folder)
