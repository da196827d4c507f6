"""Turns text into tokens and back, and a conversation into the text that a model was tuned on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
import tokenizers
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Regex, decoders, models, pre_tokenizers

from hwsim.errors import CheckpointError, SpecError

__all__ = ["TextStream", "Tokenizer", "byte_pairs"]

# Word pattern that Qwen2 splits text by before merging bytes. Ref: tokenizer.json of Qwen/Qwen2-0.5B.
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# GGUF token types. Ref: the GGUF specification, tokenizer.ggml.token_type.
_GGUF_CONTROL = 3
_GGUF_USER_DEFINED = 4


class TextStream:
    """Turns tokens into text as they come, holding back bytes that do not yet form a character."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        self._stream = decoders.DecodeStream(skip_special_tokens=True)

    def push(self, token: int) -> str:
        """Return the text that `token` completes, perhaps none."""
        return self._stream.step(self._inner, token) or ""


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer with its chat template.

    inner: the byte-pair tokenizer.
    chat_template: Jinja text, or None.
    bos_token, eos_token: their texts, or None; the template may use them.
    eos_ids: tokens that end a text, beside that of `eos_token`, which comes first here.
    """

    inner: tokenizers.Tokenizer
    chat_template: str | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    eos_ids: Sequence[int] = ()

    def __post_init__(self) -> None:
        eos = None if self.eos_token is None else self.inner.token_to_id(self.eos_token)
        ends = (*([] if eos is None else [eos]), *self.eos_ids)
        object.__setattr__(self, "eos_ids", tuple(dict.fromkeys(ends)))

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, object]) -> "Tokenizer | None":
        """Return the tokenizer that GGUF metadata describe, or None for a kind that cannot be built.

        metadata: values by key; the byte-pair kinds `smollm`, `gpt-2` and `qwen2` can be built.
        """
        kind = metadata.get("tokenizer.ggml.pre")
        pre_tokenizer = _gguf_pre_tokenizer(kind)
        if metadata.get("tokenizer.ggml.model") != "gpt2" or pre_tokenizer is None:
            return None
        tokens = _texts(metadata, "tokenizer.ggml.tokens")
        pairs = [tuple(merge.split(" ")) for merge in _texts(metadata, "tokenizer.ggml.merges")]
        merges = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]
        if len(merges) != len(pairs):
            raise CheckpointError("GGUF tokenizer.ggml.merges must hold pairs separated by one space")
        try:
            inner = tokenizers.Tokenizer(models.BPE({text: index for index, text in enumerate(tokens)}, merges))
        except Exception as error:
            # The library raises bare Exception when a merge names an unknown token.
            raise CheckpointError(f"GGUF tokenizer must have merges of its own tokens, but: {error}") from None
        inner.pre_tokenizer = pre_tokenizer
        inner.decoder = decoders.ByteLevel()
        types = metadata.get("tokenizer.ggml.token_type")
        if isinstance(types, list) and len(types) == len(tokens):
            inner.add_special_tokens([text for text, kind in zip(tokens, types, strict=True) if kind == _GGUF_CONTROL])
            inner.add_tokens([text for text, kind in zip(tokens, types, strict=True) if kind == _GGUF_USER_DEFINED])
        template = metadata.get("tokenizer.chat_template")
        return cls(
            inner,
            chat_template=template if isinstance(template, str) else None,
            bos_token=_token_at(tokens, metadata.get("tokenizer.ggml.bos_token_id")),
            eos_token=_token_at(tokens, metadata.get("tokenizer.ggml.eos_token_id")),
        )

    @property
    def size(self) -> int:
        """Number of tokens, special ones included."""
        return self.inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`; nothing is added, and special tokens spelled in it are recognised."""
        return list(self.inner.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens` without special ones."""
        return self.inner.decode(list(tokens), skip_special_tokens=True)

    def stream(self) -> TextStream:
        """Return a decoder that takes one token at a time."""
        return TextStream(self.inner)

    def render_chat(self, messages: Sequence[Mapping[str, str]], *, asks_for_answer: bool = True) -> str:
        """Return the text of a conversation under the chat template, which runs in a sandbox.

        messages: each with `role` and `content`.
        asks_for_answer: whether the text ends where the assistant begins to speak.

        SpecError when there is no template or it refuses the conversation.
        """
        if self.chat_template is None:
            raise SpecError("Tokenizer must carry a chat template to render a conversation, but has none")
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        environment.globals["raise_exception"] = _refuse
        try:
            return environment.from_string(self.chat_template).render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=asks_for_answer,
                bos_token=self.bos_token or "",
                eos_token=self.eos_token or "",
            )
        except (jinja2.TemplateError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise SpecError(f"Conversation must suit the chat template, but: {error}") from None


def byte_pairs(text: str) -> tokenizers.Tokenizer:
    """Return the byte-pair tokenizer that the text of a tokenizer.json describes; CheckpointError otherwise."""
    try:
        return tokenizers.Tokenizer.from_str(text)
    except Exception as error:
        # The library raises bare Exception for every malformed file.
        raise CheckpointError(f"File tokenizer.json must describe a tokenizer, but: {error}") from None


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _gguf_pre_tokenizer(kind: object) -> pre_tokenizers.PreTokenizer | None:
    if kind == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    if kind == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if kind == "qwen2":
        words = pre_tokenizers.Split(Regex(_QWEN2_WORDS), behavior="isolated")
        return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return None


def _texts(metadata: Mapping[str, object], key: str) -> list[str]:
    value = metadata.get(key)
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise CheckpointError(f"GGUF {key} must be a list of texts")
    return value


def _token_at(tokens: list[str], index: object) -> str | None:
    return tokens[index] if isinstance(index, int) and 0 <= index < len(tokens) else None
