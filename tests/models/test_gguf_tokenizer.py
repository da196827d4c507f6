"""Tokenizers of GGUF files: each kind against transformers, what begins and ends texts, and kinds that cannot be built."""

import json
from pathlib import Path

import gguf
import pytest
import tokenizers
import transformers

from hwsim.errors import CheckpointError
from models.checkpoint.gguf_metadata import end_tokens
from models.checkpoint.gguf_tokenizer import read_tokenizer, why_none
from models.tokenizer import Tokenizer
from models.tokenizer_classes import QWEN2_WORDS
from tests.models.gguf_file import add_entry
from tests.models.test_tokenizer_files import LLAMA3_WORDS, TEXTS
from tests.models.tokenizer_folder import SPECIAL, byte_level, pieces

TEKKEN_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
USER = "moves"


def vocabulary(inner: tokenizers.Tokenizer) -> list[str]:
    numbers = inner.get_vocab()
    return sorted(numbers, key=lambda text: numbers[text])


def of_bytes(inner: tokenizers.Tokenizer, pre: str, **entries: object) -> dict[str, object]:
    """Return the metadata of a byte-level tokenizer."""
    tokens, merges = vocabulary(inner), json.loads(inner.to_str())["model"]["merges"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if text in SPECIAL else 4 if text == USER else 1 for text in tokens],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    } | {f"tokenizer.ggml.{name}": value for name, value in entries.items()}


def of_pieces(**entries: object) -> dict[str, object]:
    """Return the metadata of a SentencePiece tokenizer: what was merged first scores best."""
    tokens = vocabulary(pieces(legacy=False))
    kinds = [6 if text.startswith("<0x") else 2 if text == "<unk>" else 3 if text in SPECIAL else 1 for text in tokens]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-1.0 * index if kind == 1 else 0.0 for index, kind in enumerate(kinds)],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    } | {f"tokenizer.ggml.{name}": value for name, value in entries.items()}


def theirs(folder: Path, metadata: dict[str, object]) -> transformers.PreTrainedTokenizerBase:
    """Return what transformers makes of a GGUF file with these metadata and the least of a network."""
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    for name, value in {"context_length": 64, "embedding_length": 64, "block_count": 1, "feed_forward_length": 64}.items():
        writer.add_uint32(f"llama.{name}", value)
    for name in ("head_count", "head_count_kv"):
        writer.add_uint32(f"llama.attention.{name}", 1)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    for key, value in metadata.items():
        add_entry(writer, key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return transformers.AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")


def made(metadata: dict[str, object]) -> Tokenizer:
    found = read_tokenizer(metadata, end_tokens(metadata))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("pre", "words"),
    [("gpt-2", None), ("llama-bpe", LLAMA3_WORDS), ("qwen2", QWEN2_WORDS), ("tekken", TEKKEN_WORDS), ("dbrx", LLAMA3_WORDS)],
)
@pytest.mark.parametrize("adds", [True, False])
def test_bytes_are_tokens_as_transformers_has_them(tmp_path: Path, pre: str, words: str | None, adds: bool) -> None:
    metadata = of_bytes(byte_level(words), pre, add_bos_token=adds)
    ours, them = made(metadata), theirs(tmp_path, metadata)
    for text in TEXTS:
        assert ours.encode(text) == them(text, add_special_tokens=False)["input_ids"]
        assert ours.encode_whole(text) == them(text)["input_ids"]
    assert ours.special_tokens["bos_token"] == them.bos_token
    assert ours.eos_ids[0] == them.eos_token_id


@pytest.mark.parametrize("entries", [{}, {"add_bos_token": False}, {"add_bos_token": True, "add_eos_token": True}])
def test_pieces_are_tokens_as_transformers_has_them(tmp_path: Path, entries: dict[str, object]) -> None:
    metadata = of_pieces(**entries)
    ours, them = made(metadata), theirs(tmp_path, metadata)
    for text in TEXTS:
        assert ours.encode(text) == them(text, add_special_tokens=False)["input_ids"]
        assert ours.encode_whole(text) == them(text)["input_ids"]
        assert ours.decode(ours.encode(text)) == them.decode(ours.encode(text), skip_special_tokens=True)


def test_pieces_are_those_of_the_tokenizer_they_were_written_from() -> None:
    inner, ours = pieces(legacy=False), made(of_pieces(add_bos_token=False))
    text = "The engine moves one beat in each cycle, it's été 🦜"
    assert ours.encode(text) == inner.encode(text).ids
    assert ours.decode(ours.encode(text)) == text
    bare = made(of_pieces(add_space_prefix=False))
    assert bare.decode(bare.encode("beat")) == "beat"
    assert bare.encode(" beat") == ours.encode("beat")


def test_digits_are_words_of_their_own() -> None:
    ours = made(of_bytes(byte_level(), "smollm"))
    assert [ours.decode([token]) for token in ours.encode("in 2024")][-4:] == ["2", "0", "2", "4"]


def test_what_begins_a_text_where_the_file_does_not_say() -> None:
    for pre, begins in (("llama-bpe", True), ("tekken", True), ("gpt-2", False), ("qwen2", False), ("smollm", False)):
        assert made(of_bytes(byte_level(), pre)).opening == ([1] if begins else [])
    without = {key: value for key, value in of_pieces().items() if not key.endswith(("bos_token_id", "eos_token_id"))}
    assert made(without).opening == [1]
    assert made(without).eos_ids[0] == 2


def test_a_word_that_is_a_token_is_taken_whole() -> None:
    tokens = [*"abc", "ab", "abc"]
    entries = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": ["a b"]}
    assert made({**entries, "tokenizer.ggml.pre": "llama-bpe"}).encode("abc") == [4]
    assert made({**entries, "tokenizer.ggml.pre": "qwen2"}).encode("abc") == [3, 2]


def test_every_end_token_ends_a_text() -> None:
    inner = byte_level()
    assert made(of_bytes(inner, "gpt-2", eot_token_id=4, eom_token_id=7)).eos_ids == (2, 4, 7)
    # A file that names no end of a turn has it by its text.
    assert made(of_bytes(inner, "gpt-2")).eos_ids == (2, SPECIAL.index("<|im_end|>"), SPECIAL.index("<|eot_id|>"))


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({}, "the file carries none"),
        (
            {"tokenizer.ggml.model": "t5"},
            "the file carries one of kind 't5'; those that can be read are 'llama' with scores and 'gpt2'",
        ),
        (
            {"tokenizer.ggml.model": "gpt2"},
            "the file carries one of kind 'gpt2' without tokenizer.ggml.pre; those that can be read",
        ),
        (
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "viking"},
            "the file carries one of kind 'gpt2' with words of kind 'viking'; those that can be read",
        ),
        (
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": ["smollm"]},
            "the file carries one of kind 'gpt2' with words of kind ['smollm']; those that can be read",
        ),
        (
            {"tokenizer.ggml.model": "llama"},
            "the file carries one of kind 'llama' without tokenizer.ggml.scores; those that can be",
        ),
    ],
)
def test_kinds_that_cannot_be_built_are_named(metadata: dict[str, object], why: str) -> None:
    assert read_tokenizer(metadata) is None
    assert str(why_none(metadata)).startswith(why)


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        (of_pieces(scores=[1.0]), "GGUF tokenizer.ggml.scores must hold one number for each of tokenizer.ggml.tokens"),
        (of_pieces(add_bos_token="yes"), "GGUF tokenizer.ggml.add_bos_token must be true or false, not 'yes'"),
    ],
)
def test_refusals(metadata: dict[str, object], sentence: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        read_tokenizer(metadata)
    assert str(refusal.value) == sentence
