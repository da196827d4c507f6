"""Small tokenizers of the published kinds, and folders that hold them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from models.checkpoint.huggingface import read_tokenizer
from models.tokenizer import Tokenizer

__all__ = ["SPECIAL", "TEXT", "byte_level", "opened", "pieces", "put_before", "write_tokenizer"]

TEXT = "The engine moves one beat of every port in each cycle, and waits for nothing. Why is the sky blue in 2024? It's été. " * 4
SPECIAL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<|eot_id|>", "<|start_header_id|>", "<pad>")


def byte_level(words: str | None = None, *, special: Sequence[str] = SPECIAL) -> tokenizers.Tokenizer:
    """Return a byte-level tokenizer of 400 tokens; `words` is its pattern, None that of GPT-2."""
    inner = tokenizers.Tokenizer(models.BPE())
    units = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words is None)
    first = [] if words is None else [pre_tokenizers.Split(Regex(words), behavior="isolated")]
    inner.pre_tokenizer = pre_tokenizers.Sequence([*first, units])
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[*special], initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator([TEXT], trainer)
    return inner


def pieces(*, legacy: bool) -> tokenizers.Tokenizer:
    """Return a tokenizer as those made of SentencePiece models are.

    legacy: whether every part between special tokens gets a space before it, by a normalizer.
    """
    byte_texts = [f"<0x{number:02X}>" for number in range(256)]
    inner = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="first", split=True)
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=[*SPECIAL, *byte_texts], show_progress=False)
    inner.train_from_iterator([TEXT], trainer)
    document = json.loads(inner.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if token["content"] not in byte_texts]
    inner = tokenizers.Tokenizer.from_str(json.dumps(document))
    if legacy:
        inner.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        inner.pre_tokenizer = None
    else:
        inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="first", split=False)
    strip = decoders.Strip(content=" ", left=1)
    inner.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), strip])
    return inner


def put_before(inner: tokenizers.Tokenizer, text: str, after: str | None = None) -> tokenizers.Tokenizer:
    """Return the tokenizer with a special token put before every whole text, and perhaps one after it."""
    held = [(each, inner.token_to_id(each)) for each in (text, after) if each is not None]
    form = f"{text} $A" if after is None else f"{text} $A {after}"
    inner.post_processor = processors.TemplateProcessing(single=form, pair=f"{form} $B:1", special_tokens=held)
    return inner


def write_tokenizer(
    folder: Path,
    inner: tokenizers.Tokenizer,
    settings: Mapping[str, object] | None = None,
    *,
    model_type: str = "llama",
    **files: object,
) -> Path:
    """Write tokenizer.json, tokenizer_config.json, config.json and others, named without their ending; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(inner.to_str(), encoding="utf-8")
    others = {"config": {"model_type": model_type}} | files
    if settings is not None:
        others["tokenizer_config"] = settings
    for name, content in others.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def opened(folder: Path) -> Tokenizer:
    """Return the tokenizer in a folder."""
    found = read_tokenizer(folder, json.loads((folder / "config.json").read_text()))
    assert found is not None
    return found
