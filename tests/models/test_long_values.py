"""Values of thousands of letters in the JSON files of models: what refuses one shows no more than 200 letters of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim.errors import LamforgeError, cut, shown
from models import compressed
from models.checkpoint import load
from models.compress import Recipe
from models.config import ModelConfig
from models.entries import CONFIG, GENERATION
from models.families import FAMILIES, SIZES
from models.recipes.file import recipe_file
from models.rope_scaling import ROPE_ENTRIES
from models.windows import WINDOW_ENTRIES
from models.zoo import shape
from tests.reports.tiny_folder import FIELDS, RECIPE, write_checkpoint

MOST_LETTERS = 700
"""Of a refusal: 200 letters of each of two values, and the words and known names around them; a recipe's has ten mistakes."""
LONG = {
    "word": "x" * 10_000,
    "words": "x y " * 2500,
    "list": [*range(3000)],
    "object": {"factor": "x " * 5000, "rope_type": "y z " * 2500},
    "number": 10**4000,
    "below zero": -(10**4000),
}
"""Values of ten thousand letters or some thousand digits; no file can hold a number of more."""


def refusal(read: Callable[[], object], *, must_refuse: bool = False) -> None:
    """Check that reading is refused in a short sentence, or goes well."""
    try:
        read()
    except LamforgeError as error:
        most = 10 * MOST_LETTERS if "valid recipe" in str(error) else MOST_LETTERS
        assert 20 < len(str(error)) < most, str(error)
        assert "\n" not in str(error)
    else:
        assert not must_refuse


def check_index(folder: Path, name: str, value: object, read: Callable[[], object]) -> None:
    """Put an index of shards in the place of a file of tensors, and check that it is refused as `changed` does."""
    weights, part = folder / name, folder / "part.safetensors"
    weights.rename(part)
    try:
        for content in (value, {"a": value}, {"a": f"{value}.safetensors"}, {str(value): part.name}, {str(value): value}):
            changed(folder, f"{name}.index.json", lambda document, content=content: document.update(weight_map=content), read)
    finally:
        part.rename(weights)


def test_a_long_value_is_cut() -> None:
    assert shown("x y " * 2500) == f"'{('x y ' * 50)[:197]}…'"
    assert cut("x\ny " * 2500) == ("x y " * 50)[:199] + "…"


@pytest.mark.parametrize("long", LONG)
@pytest.mark.parametrize("family", [family.model_type for family in FAMILIES.values() if family.is_run])
def test_entries_of_config_json(family: str, long: str) -> None:
    """Every entry that is read, and those that must hold one value; a name of that length as well."""
    read = {getattr(FAMILIES[family], size) for size in SIZES} | {*ROPE_ENTRIES, *WINDOW_ENTRIES}
    known = {"architectures", "model_type", "rms_norm_eps", "tie_word_embeddings", "max_position_embeddings"}
    window = {"sliding_window": 9, "use_sliding_window": True, "max_window_layers": 0}
    usual = FIELDS | {"architectures": [FAMILIES[family].architecture]} | ({} if family in ("llama", "mistral") else window)
    ModelConfig.from_huggingface(usual)
    for entry in sorted({*read, *known, *CONFIG.fixed}):
        for value in (LONG[long], [LONG[long]], {"a": LONG[long]}):
            refusal(lambda document=usual | {entry: value}: ModelConfig.from_huggingface(document))
    for entry in ("rope_type", "factor", "attention_factor", "beta_fast", "truncate", "partial_rotary_factor", "unknown"):
        block = {"rope_type": "yarn", "factor": 2.0, entry: LONG[long]}
        refusal(lambda document=usual | {"rope_scaling": block}: ModelConfig.from_huggingface(document))
    refusal(lambda: ModelConfig.from_huggingface(usual | {str(LONG[long]): 1}), must_refuse=True)


@pytest.mark.parametrize("long", LONG)
def test_fields_of_a_configuration(long: str) -> None:
    document = json.loads(shape("smollm2-135m").to_json())
    for field in document:
        refusal(lambda changed=document | {field: LONG[long]}: ModelConfig.from_fields(changed))
    for field in document["rope_scaling"]:
        block = document["rope_scaling"] | {"kind": "yarn", "factor": 2.0, "original_positions": 64, field: LONG[long]}
        refusal(lambda changed=document | {"rope_scaling": block}: ModelConfig.from_fields(changed))
    refusal(lambda: ModelConfig.from_fields(document | {str(LONG[long]): 1}), must_refuse=True)
    refusal(lambda: ModelConfig.from_fields([LONG[long]]), must_refuse=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint `hf`, and `model` that was made of it."""
    made = tmp_path_factory.mktemp("long")
    (made / "recipe.yaml").write_text(RECIPE)
    checkpoint = load(write_checkpoint(made / "hf"))
    compressed.save(compressed.create(checkpoint, Recipe.of(recipe_file(str(made / "recipe.yaml")), name="test")), made / "model")
    return made


def changed(folder: Path, name: str, change: Callable[[dict[str, object]], object], read: Callable[[], object]) -> None:
    """Check what is said of a file with a long value, and put the file back."""
    file = folder / name
    before = file.read_bytes() if file.exists() else None
    document = {} if before is None else json.loads(before)
    try:
        change(document)
        file.write_text(json.dumps(document))
        refusal(read)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)


@pytest.mark.parametrize("long", LONG)
def test_other_files_of_a_checkpoint(folder: Path, long: str) -> None:
    source, value = folder / "hf", LONG[long]

    def read() -> object:
        return load(source)

    entries = {
        "generation_config.json": [*GENERATION.fixed, "eos_token_id", "unknown"],
        "tokenizer_config.json": ["eos_token", "tokenizer_class", "added_tokens_decoder", "extra_special_tokens", "chat_template"],
        "special_tokens_map.json": ["eos_token", "additional_special_tokens"],
        "added_tokens.json": ["x"],
        "tokenizer.json": ["added_tokens"],
    }
    for name, keys in entries.items():
        for key in keys:
            for content in (value, [value], {"1": value}, [{"id": 1, "content": value}], [{"id": value}]):
                changed(source, name, lambda document, key=key, content=content: document.update({key: content}), read)
    check_index(source, "model.safetensors", value, read)


@pytest.mark.parametrize("long", LONG)
def test_files_of_a_compressed_model(folder: Path, long: str) -> None:
    model, value = folder / "model", LONG[long]
    described = json.loads((model / "model.json").read_text())

    def read() -> object:
        return compressed.load(model)

    for key, held in described.items():
        for content in (value, [value], {"a": value}, {str(value): 1}):
            changed(model, "model.json", lambda document, key=key, content=content: document.update({key: content}), read)
        for inner in held if isinstance(held, dict) else ():
            content = held | {inner: value}
            changed(model, "model.json", lambda document, key=key, content=content: document.update({key: content}), read)
    digests = described["tokenizer"] | {"sha256": dict.fromkeys(described["tokenizer"]["sha256"], value)}
    changed(model, "model.json", lambda document: document.update(tokenizer=digests), read)
    check_index(model, "weights.safetensors", value, read)
