"""Tokenizers of the published kinds, in all the files that can say something of them, against transformers token by token."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
import transformers
from tokenizers import normalizers, pre_tokenizers, processors

from hwsim.errors import CheckpointError, SpecError
from models.tokenizer_classes import QWEN2_WORDS
from models.tokenizer_files import older_names, read_files, write_files
from tests.models.tokenizer_folder import SPECIAL, TEXT, byte_level, opened, pieces, put_before, write_tokenizer

SEED = 20261130
GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast"}
LLAMA3_WORDS = QWEN2_WORDS.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
NAMED = {"bos_token": "<s>", "eos_token": "<|im_end|>"}


def token(text: str, **properties: bool) -> dict[str, object]:
    """Return an added token as files spell it."""
    return {"content": text, **dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word", "special"), False)} | properties


TEXTS = [
    "",
    "a",
    "The engine moves",
    "  two spaces, and three   inside\n\n\n",
    "It's 2024: 12345 + 1½ = ٣?\r\n\ttabs",
    "été e\u0301 \u00c5 Ⅳ ﬁ 你好 🦜 \u0000 \ufffd",
    "<s>[INST] spelled <|im_end|></s><pad> special<|eot_id|>[/INST]",
    "<s> <s>x </s> <|im_start|>user\n",
    "<new>one <extra> two<later>three <image>",
]

Maker = Callable[[], tokenizers.Tokenizer]


def digits() -> tokenizers.Tokenizer:
    inner = byte_level()
    single = pre_tokenizers.Digits(individual_digits=True)
    inner.pre_tokenizer = pre_tokenizers.Sequence([single, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return inner


def begun() -> tokenizers.Tokenizer:
    return put_before(byte_level(), "<s>")


def old_pieces() -> tokenizers.Tokenizer:
    return put_before(pieces(legacy=True), "<s>")


def llama3() -> tokenizers.Tokenizer:
    """Return a tokenizer as Llama 3 has it: first the bytes' own processing, then the token that begins a text."""
    inner = byte_level(LLAMA3_WORDS)
    before = put_before(inner, "<s>").post_processor
    inner.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), before])
    return inner


def qwen2() -> tokenizers.Tokenizer:
    inner = byte_level(QWEN2_WORDS)
    inner.normalizer = normalizers.NFC()
    return inner


def cut() -> tokenizers.Tokenizer:
    inner = begun()
    inner.enable_truncation(max_length=5)
    inner.enable_padding(length=12, pad_id=9, pad_token="<pad>")
    return inner


LLAMA = {"tokenizer_class": "LlamaTokenizer"}
QWEN2 = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"}
LATER = {"401": token("<later>"), "400": token("<new>", special=True, lstrip=True)}
TOKENIZERS: dict[str, tuple[Maker, dict[str, object] | None, dict[str, object]]] = {
    "gpt 2": (byte_level, GENERIC, {}),
    "digits": (digits, GENERIC, {}),
    "no tokenizer_config.json": (begun, None, {}),
    "llama 3": (llama3, GENERIC | {"bos_token": "<s>", "eos_token": "<|eot_id|>"}, {}),
    "llama 3, whose class is llama": (llama3, {"tokenizer_class": "LlamaTokenizerFast"}, {}),
    "qwen 2": (qwen2, QWEN2, {"model_type": "qwen2"}),
    "qwen 2 by its network alone": (byte_level, {}, {"model_type": "qwen2"}),
    "qwen 2 by its class alone": (byte_level, {"tokenizer_class": "Qwen2TokenizerFast", "eos_token": None}, {}),
    "qwen 2 of a generic class": (byte_level, GENERIC, {"model_type": "qwen2"}),
    "gpt 2's class": (byte_level, {"tokenizer_class": "GPT2Tokenizer"}, {}),
    "llama 2, generic": (old_pieces, GENERIC | {"bos_token": "<s>", "add_bos_token": False}, {}),
    "llama 2": (old_pieces, LLAMA | {"legacy": False}, {}),
    "llama 2, legacy": (old_pieces, LLAMA | {"legacy": True}, {}),
    "llama 2 without a space": (lambda: pieces(legacy=False), LLAMA | {"add_prefix_space": False}, {}),
    "mistral": (old_pieces, LLAMA, {"model_type": "mistral"}),
    "mistral of its own": (
        lambda: pieces(legacy=False),
        GENERIC | {"bos_token": "<s>", "add_bos_token": True},
        {"model_type": "mistral"},
    ),
    "a token at either end": (lambda: put_before(byte_level(), "<s>", "</s>"), GENERIC, {}),
    "add_bos_token without a processor": (byte_level, GENERIC | {"bos_token": "<s>", "add_bos_token": True}, {}),
    "cut and filled up": (cut, GENERIC, {}),
    "special tokens spelled out": (byte_level, GENERIC | {"split_special_tokens": True}, {}),
    "a map beside the settings": (
        byte_level,
        GENERIC | {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>"},
        {"special_tokens_map": {"bos_token": "<s>", "eos_token": token("<|im_end|>")}},
    ),
    "a map beside added tokens": (
        byte_level,
        GENERIC | {"bos_token": "</s>", "added_tokens_decoder": {"2": token("</s>", rstrip=True, special=True)}},
        {"special_tokens_map": NAMED},
    ),
    "a map alone": (byte_level, GENERIC, {"special_tokens_map": NAMED | {"unk_token": "<unk>"}}),
    "new added tokens": (byte_level, GENERIC | {"added_tokens_decoder": LATER}, {}),
    "added_tokens.json": (byte_level, GENERIC | {"eos_token": "<later>"}, {"added_tokens": {"<later>": 401, "<new>": 400}}),
    "extra special tokens": (byte_level, GENERIC | {"additional_special_tokens": ["<extra>", "[INST]"], "pad_token": "<new>"}, {}),
    "named special tokens": (byte_level, GENERIC | {"extra_special_tokens": {"image_token": "<image>", "a_token": "<later>"}}, {}),
    "special tokens that are new": (byte_level, GENERIC | {"sep_token": "<later>", "eos_token": "<new>", "a_token": "<image>"}, {}),
    "null tokens": (byte_level, GENERIC | {"bos_token": None, "eos_token": "</s>"}, {"special_tokens_map": {"eos_token": None}}),
    "special tokens of no file": (lambda: byte_level(special=()), GENERIC | NAMED, {}),
}


def theirs(folder: Path) -> transformers.PreTrainedTokenizerBase:
    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokens_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    make, settings, files = TOKENIZERS[name]
    folder = write_tokenizer(tmp_path / "tokenizer", make(), settings, **files)
    ours, them = opened(folder), theirs(folder)
    for text in TEXTS:
        whole, part = them(text)["input_ids"], them(text, add_special_tokens=False)["input_ids"]
        assert ours.encode_whole(text) == whole
        assert ours.encode(text) == part
        assert ours.decode(part) == them.decode(part, skip_special_tokens=True)
    assert dict(ours.special_tokens) == them.special_tokens_map
    assert ours.eos_ids == (() if them.eos_token is None else (them.eos_token_id,))
    assert ours.bos_id == (None if them.bos_token is None else them.bos_token_id)
    assert ours.opening == ([1] if them("a")["input_ids"][0] == 1 else [])


def test_there_are_many_kinds() -> None:
    assert len(TOKENIZERS) >= 30


@pytest.mark.parametrize("make", [byte_level, old_pieces, lambda: pieces(legacy=False)])
def test_pieces_of_a_stream_are_the_text(tmp_path: Path, make: Maker) -> None:
    ours = opened(write_tokenizer(tmp_path / "tokenizer", make(), GENERIC))
    for text in (*TEXTS, TEXT):
        tokens, stream = ours.encode(text), ours.stream()
        assert "".join([*map(stream.push, tokens), stream.finish()]) == ours.decode(tokens)
    # Bytes that form no character, as a model may choose them, stop nothing.
    draws = random.Random(SEED)
    for _ in range(20):
        tokens, stream = draws.choices(range(ours.size), k=40), ours.stream()
        assert "".join([*map(stream.push, tokens), stream.finish()])


def test_a_text_longer_than_what_a_trainer_cut_to_is_read_whole(tmp_path: Path) -> None:
    inner = byte_level()
    inner.enable_truncation(max_length=64)
    ours = opened(write_tokenizer(tmp_path / "tokenizer", inner, GENERIC))
    inner.no_truncation()
    assert ours.encode_whole(TEXT * 3) == inner.encode(TEXT * 3).ids
    assert len(ours.encode(TEXT * 3)) > 300


def test_every_end_token_ends_a_text(tmp_path: Path) -> None:
    settings = GENERIC | {"eos_token": "</s>"}
    folder = write_tokenizer(tmp_path / "tokenizer", byte_level(), settings, generation_config={"eos_token_id": [4, 7, 2]})
    (folder / "config.json").write_text(json.dumps({"eos_token_id": 7}))
    assert opened(folder).eos_ids == (SPECIAL.index("</s>"), 4, 7)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({"tokenizer_class": "TokenizersBackend"}, GENERIC),
        ({"extra_special_tokens": ["[INST]"]}, {"additional_special_tokens": ["[INST]"]}),
        ({"extra_special_tokens": ["[INST]"], "additional_special_tokens": ["<extra>"]}, {"additional_special_tokens": ["[INST]"]}),
        ({"extra_special_tokens": [], "additional_special_tokens": ["<extra>"]}, {"additional_special_tokens": ["<extra>"]}),
    ],
)
def test_names_that_are_new_have_older_ones(tmp_path: Path, new: dict[str, object], old: dict[str, object]) -> None:
    """The tokenizer is the same one under both, for us and for transformers."""
    folder = write_tokenizer(tmp_path / "new", byte_level(), NAMED | new, special_tokens_map=new)
    before = read_files(folder)
    after = older_names(before)
    assert json.loads(after["tokenizer_config.json"]) == NAMED | old
    assert json.loads(after["special_tokens_map.json"]) == old
    assert older_names(after) == after
    assert {name for name in before if before[name] != after[name]} == {"tokenizer_config.json", "special_tokens_map.json"}
    ours = opened(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    write_files(after, folder)
    again = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert opened(folder).encode_whole(text) == ours.encode_whole(text)
        assert again(text)["input_ids"] == theirs(text)["input_ids"]


def test_names_that_every_release_knows_stay(tmp_path: Path) -> None:
    settings = GENERIC | NAMED | {"extra_special_tokens": {"image_token": "<image>"}, "additional_special_tokens": ["<extra>"]}
    files = read_files(write_tokenizer(tmp_path / "tokenizer", byte_level(), settings))
    assert older_names(files) == files


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("tokenizer_config.json", "{", "File tokenizer_config.json must be JSON, but reading it failed: "),
        (
            "tokenizer_config.json",
            '{"eos_token": "\\ud800"}',
            "File tokenizer_config.json must be JSON, but reading it failed: it has half of a character",
        ),
        (
            "tokenizer_config.json",
            "[" * 900 + "]" * 900,
            "File tokenizer_config.json must be JSON, but reading it failed: it is nested",
        ),
        ("tokenizer_config.json", "[]", "File tokenizer_config.json must hold one object, not list"),
        ("special_tokens_map.json", "3", "File special_tokens_map.json must hold one object, not int"),
        ("generation_config.json", "nul", "File generation_config.json must be JSON, but reading it failed: "),
        ("added_tokens.json", '{"<a>": "b"}', "File added_tokens.json must map tokens to numbers, not to 'b'"),
        (
            "tokenizer_config.json",
            '{"added_tokens_decoder": {"x": {}}}',
            "File tokenizer_config.json added_tokens_decoder must map numbers to tokens",
        ),
        (
            "tokenizer_config.json",
            '{"added_tokens_decoder": {"3": "<s>"}}',
            "File tokenizer_config.json must give every added token as an object with its content, not '<s>'",
        ),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    folder = write_tokenizer(tmp_path / "tokenizer", byte_level(), GENERIC)
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError) as refusal:
        opened(folder)
    assert str(refusal.value).startswith(sentence)


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path / "tokenizer", byte_level(), GENERIC)
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="File chat_template.jinja must be text in UTF-8, but: "):
        opened(folder)
    shutil.rmtree(folder)


def test_a_text_without_tokens_is_refused(tmp_path: Path) -> None:
    ours = opened(write_tokenizer(tmp_path / "tokenizer", byte_level(), GENERIC))
    with pytest.raises(SpecError, match=r"Text must be one that the tokenizer has tokens for, not '\\udc80': "):
        ours.encode("\udc80")
