"""Classes of tokenizers that take vocabulary and merges alone from tokenizer.json and bring the rest themselves.

Ref: transformers 5.24, models/auto/tokenization_auto.py, models/llama/tokenization_llama.py, models/qwen2/tokenization_qwen2.py.
"""

import dataclasses
from collections.abc import Mapping

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

__all__ = ["GENERIC", "QWEN2_WORDS", "TokenizerClass", "class_of", "rebuilt", "sentence_piece"]

QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Word pattern that Qwen2 splits text by before merging bytes. Ref: tokenizer.json of Qwen/Qwen2-0.5B."""
GENERIC = "PreTrainedTokenizerFast"
"""Class of a tokenizer that is what its tokenizer.json says."""
_SPACE = "\u2581"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerClass:
    """A class that tokenizer_config.json names.

    name: without the suffix Fast.
    tokens: special tokens where no file names others.
    """

    name: str
    tokens: Mapping[str, str]


_END = "<|endoftext|>"
_LLAMA = TokenizerClass(name="LlamaTokenizer", tokens={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
_QWEN2 = TokenizerClass(name="Qwen2Tokenizer", tokens={"eos_token": _END, "unk_token": _END, "pad_token": _END})
# Its own words are those of GPT-2; models whose tokenizer.json has others were trained on these, so they stay.
_GPT2 = TokenizerClass(name="GPT2Tokenizer", tokens={"bos_token": _END, "eos_token": _END, "unk_token": _END})
_CLASSES = {kind.name: kind for kind in (_LLAMA, _QWEN2, _GPT2)}


def class_of(settings: Mapping[str, object], document: Mapping[str, object], model_type: str | None) -> TokenizerClass | None:
    """Return the class that a tokenizer has, or None for one that is what its tokenizer.json says.

    settings: tokenizer_config.json.
    document: tokenizer.json.
    model_type: the network's family as its config.json names it.
    """
    named = settings.get("tokenizer_class")
    # Folders of this family are known to name other classes by mistake.
    if model_type == "qwen2":
        return _QWEN2
    kind = _CLASSES.get(named.removesuffix("Fast")) if isinstance(named, str) else None
    has_bytes = _is_byte_level(document.get("pre_tokenizer")) or _is_byte_level(document.get("decoder"))
    # Files of this class are found with byte-level words, which it does not have.
    if model_type == "mistral" or (kind is _LLAMA and has_bytes):
        return None
    return kind


def rebuilt(
    inner: tokenizers.Tokenizer, document: Mapping[str, object], kind: TokenizerClass, values: Mapping[str, object]
) -> tokenizers.Tokenizer:
    """Return the tokenizer that a class makes of the vocabulary and the merges of a tokenizer.json, without its added tokens.

    inner: what the file says itself; it is returned where the class brings nothing or the file has no merges.
    values: settings of tokenizer_config.json.
    """
    pairs = _pairs(document.get("model"))
    if pairs is None or kind is _GPT2:
        return inner
    vocabulary, merges = pairs
    has_prefix = values.get("add_prefix_space")
    if kind is _LLAMA:
        made = sentence_piece(
            vocabulary, merges, has_prefix=has_prefix is not False, is_prefixed_everywhere=values.get("legacy") is True
        )
    else:
        made = tokenizers.Tokenizer(models.BPE(vocabulary, merges, continuing_subword_prefix="", end_of_word_suffix=""))
        made.normalizer = normalizers.NFC()
        words = pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated")
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=has_prefix is True, use_regex=False)
        made.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_])
        made.decoder = decoders.ByteLevel()
    if inner.post_processor is not None:
        made.post_processor = inner.post_processor
    return made


def sentence_piece(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], *, has_prefix: bool = True, is_prefixed_everywhere: bool = False
) -> tokenizers.Tokenizer:
    """Return a SentencePiece tokenizer of pairs: spaces are letters, and what has no token becomes bytes.

    has_prefix: whether a space is put before a text.
    is_prefixed_everywhere: whether one is also put behind every special token inside it.
    """
    made = tokenizers.Tokenizer(models.BPE(vocabulary, merges, fuse_unk=True, byte_fallback=True))
    scheme = ("always" if is_prefixed_everywhere else "first") if has_prefix else "never"
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme=scheme, split=False)
    strip = [decoders.Strip(content=" ", left=1)] if has_prefix else []
    made.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return made


def _is_byte_level(part: object) -> bool:
    """Return whether a pre-tokenizer or a decoder of a tokenizer.json is for bytes, or one of its parts is."""
    if not isinstance(part, Mapping):
        return False
    within = part.get("pretokenizers") or part.get("decoders")
    return part.get("type") == "ByteLevel" or any(map(_is_byte_level, within if isinstance(within, list) else []))


def _pairs(model: object) -> tuple[dict[str, int], list[tuple[str, str]]] | None:
    """Return vocabulary and merges of the model of a tokenizer.json, or None where it has none."""
    if not isinstance(model, Mapping) or model.get("type") != "BPE":
        return None
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, Mapping) or not isinstance(merges, list):
        return None
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
    return dict(vocabulary), [(pair[0], pair[1]) for pair in pairs]
