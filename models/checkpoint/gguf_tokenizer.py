"""The tokenizer that the metadata of a GGUF file describe.

Ref: llama.cpp, src/llama-vocab.cpp; transformers 5.24, integrations/gguf/gguf_tokenizer_mapping.py.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors

from hwsim.errors import CheckpointError, cut, shown
from models.tokenizer import Tokenizer
from models.tokenizer_classes import QWEN2_WORDS, sentence_piece

__all__ = ["read_tokenizer", "why_none"]

_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TEKKEN_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Words:
    """How a kind of byte-level vocabulary splits text into words.

    pattern: of a word; None takes that of GPT-2, which the library has built in.
    has_digits: whether every digit is a word.
    is_whole: whether a word that is a token is taken as it is, whatever the merges say; such models begin texts with a token.
    """

    pattern: str | None = None
    has_digits: bool = False
    is_whole: bool = False

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        """Return what splits a text."""
        first = [] if self.pattern is None else [pre_tokenizers.Split(Regex(self.pattern), behavior="isolated")]
        digits = [pre_tokenizers.Digits(individual_digits=True)] if self.has_digits else []
        units = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=self.pattern is None)
        return pre_tokenizers.Sequence([*first, *digits, units])


_KINDS: Mapping[str, _Words] = {
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo"), _Words()),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"), _Words(has_digits=True)),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen", "megrez"), _Words(pattern=QWEN2_WORDS)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3"), _Words(pattern=_LLAMA3_WORDS, is_whole=True)),
    **dict.fromkeys(("smaug-bpe", "dbrx"), _Words(pattern=_LLAMA3_WORDS)),
    "tekken": _Words(pattern=_TEKKEN_WORDS, is_whole=True),
}
"""How each kind of byte-level vocabulary splits text into words, by `tokenizer.ggml.pre`."""

_BYTES, _PIECES = "gpt2", "llama"
"""Byte-level and SentencePiece vocabularies, by `tokenizer.ggml.model`."""
_CONTROL = 3
_USER_DEFINED = 4
# What a SentencePiece vocabulary has where the file does not say.
_PIECE_IDS = {"bos_token": 1, "eos_token": 2, "unk_token": 0}
_SPECIAL = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
}
_END_OF_TURN = ("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>")
"""Control tokens that end a turn in files that name none."""


def read_tokenizer(metadata: Mapping[str, object], ends: Sequence[int] = ()) -> Tokenizer | None:
    """Return the tokenizer that GGUF metadata describe, or None for a kind that cannot be built: `why_none` says which.

    metadata: values by key.
    ends: tokens that end a text, as the file says.

    CheckpointError when an entry is not of its kind.
    """
    if why_none(metadata) is not None:
        return None
    tokens = _texts(metadata, "tokenizer.ggml.tokens")
    special = {name: _token_at(tokens, metadata.get(key)) for name, key in _SPECIAL.items()}
    if metadata["tokenizer.ggml.model"] == _PIECES:
        inner, begins = _pieces(metadata, tokens), True
        special |= {name: _token_at(tokens, number) for name, number in _PIECE_IDS.items() if _SPECIAL[name] not in metadata}
    else:
        words = _KINDS[str(metadata["tokenizer.ggml.pre"])]
        inner, begins = _bytes(metadata, tokens, words), words.is_whole
    control, defined = (_of_type(metadata, tokens, kind) for kind in (_CONTROL, _USER_DEFINED))
    inner.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in control])
    inner.add_tokens([AddedToken(text, normalized=False) for text in defined])
    named = {name: text for name, text in special.items() if text is not None}
    _frame(
        inner,
        before=named.get("bos_token") if _flag(metadata, "tokenizer.ggml.add_bos_token", begins) else None,
        after=named.get("eos_token") if _flag(metadata, "tokenizer.ggml.add_eos_token", False) else None,
    )
    template = metadata.get("tokenizer.chat_template")
    return Tokenizer(
        inner,
        chat_template=template if isinstance(template, str) else None,
        special_tokens=named,
        eos_ids=(*ends, *_turn_ends(metadata, tokens, control)),
    )


def why_none(metadata: Mapping[str, object]) -> str | None:
    """Return why the tokenizer of a GGUF file cannot be built, as the end of a sentence; None where it can."""
    model, kind = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if model is None:
        return "the file carries none"
    if model == _PIECES:
        if "tokenizer.ggml.scores" in metadata:
            return None
        found = f"{shown(model)} without tokenizer.ggml.scores"
    elif model == _BYTES:
        if isinstance(kind, str) and kind in _KINDS:
            return None
        found = f"{shown(model)} without tokenizer.ggml.pre" if kind is None else f"{shown(model)} with words of kind {shown(kind)}"
    else:
        found = shown(model)
    return (
        f"the file carries one of kind {found}; those that can be read are {_PIECES!r} with scores"
        f" and {_BYTES!r} with words of kind {', '.join(_KINDS)}"
    )


def _bytes(metadata: Mapping[str, object], tokens: list[str], words: _Words) -> tokenizers.Tokenizer:
    """Return a byte-level tokenizer without its special tokens."""
    pairs = [tuple(merge.split(" ")) for merge in _texts(metadata, "tokenizer.ggml.merges")]
    merges = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]
    if len(merges) != len(pairs):
        raise CheckpointError("GGUF tokenizer.ggml.merges must hold pairs separated by one space")
    vocabulary = {text: index for index, text in enumerate(tokens)}
    try:
        inner = tokenizers.Tokenizer(models.BPE(vocabulary, merges, ignore_merges=words.is_whole))
    except Exception as error:
        # The library raises bare Exception when a merge names an unknown token.
        raise CheckpointError(f"GGUF tokenizer must have merges of its own tokens, but: {cut(error)}") from None
    inner.pre_tokenizer = words.pre_tokenizer()
    inner.decoder = decoders.ByteLevel()
    return inner


def _pieces(metadata: Mapping[str, object], tokens: list[str]) -> tokenizers.Tokenizer:
    """Return a SentencePiece tokenizer without its special tokens: what scores best is merged first."""
    scores = metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens) or not all(isinstance(score, float) for score in scores):
        raise CheckpointError("GGUF tokenizer.ggml.scores must hold one number for each of tokenizer.ggml.tokens")
    vocabulary = {text: index for index, text in enumerate(tokens)}
    best = dict(zip(tokens, scores, strict=True))
    found = []
    for text, score in best.items():
        halves = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        held = [pair for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary]
        found += [(score, *pair) for pair in sorted(held, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))]
    found.sort(key=lambda entry: (entry[0], len(entry[1]), len(entry[2])), reverse=True)
    merges = [(left, right) for _, left, right in found]
    has_prefix = _flag(metadata, "tokenizer.ggml.add_space_prefix", True)
    return sentence_piece(vocabulary, merges, has_prefix=has_prefix)


def _flag(metadata: Mapping[str, object], key: str, default: bool) -> bool:
    value = metadata.get(key, default)
    if not isinstance(value, bool):
        raise CheckpointError(f"GGUF {key} must be true or false, not {shown(value)}")
    return value


def _of_type(metadata: Mapping[str, object], tokens: Sequence[str], kind: int) -> list[str]:
    """Return the tokens of a type; none where the file does not give every token one."""
    types = metadata.get("tokenizer.ggml.token_type")
    if not isinstance(types, list) or len(types) != len(tokens):
        return []
    return [text for text, found in zip(tokens, types, strict=True) if found == kind]


def _frame(inner: tokenizers.Tokenizer, *, before: str | None, after: str | None) -> None:
    """Put tokens before and after whole texts."""
    held = [(text, number) for text in (before, after) if text is not None and (number := inner.token_to_id(text)) is not None]
    if held:
        names = {text: f"{text}:0" for text, _ in held}
        form = " ".join(part for part in (names.get(before or ""), "$A:0", names.get(after or "")) if part is not None)
        inner.post_processor = processors.TemplateProcessing(single=form, pair=f"{form} $B:1", special_tokens=held)


def _turn_ends(metadata: Mapping[str, object], tokens: Sequence[str], control: Sequence[str]) -> list[int]:
    """Return the control tokens that end a turn, where the file does not say which does."""
    if "tokenizer.ggml.eot_token_id" in metadata:
        return []
    return [index for index, text in enumerate(tokens) if text in _END_OF_TURN and text in control]


def _texts(metadata: Mapping[str, object], key: str) -> list[str]:
    value = metadata.get(key)
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise CheckpointError(f"GGUF {key} must be a list of texts")
    return value


def _token_at(tokens: list[str], index: object) -> str | None:
    return tokens[index] if isinstance(index, int) and 0 <= index < len(tokens) else None
