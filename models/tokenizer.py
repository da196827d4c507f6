"""Turns text into tokens and back, and a conversation into the text that a model was tuned on."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence

import tokenizers

from hwsim.errors import CheckpointError, NoChatTemplateError, SpecError, cut, shown
from models.chat_template import render
from models.tokenizer_classes import GENERIC

__all__ = ["TextStream", "Tokenizer", "byte_pairs", "check_tokens"]

# What bytes that are no character, or not yet, are decoded as.
_INCOMPLETE = "\ufffd"
# Names under which a message's reasoning is given. Ref: transformers, utils/chat_template_utils.py.
_REASONING = ("reasoning_content", "thinking", "reasoning")


class TextStream:
    """Turns tokens into text as they come, holding back bytes that do not yet form a character.

    The pieces together are the text of all tokens, where their bytes form characters.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        # The last tokens that gave text, and those since then: spaces and bytes depend on what stands before them.
        self._before: list[int] = []
        self._since: list[int] = []

    def push(self, token: int) -> str:
        """Return the text that `token` completes, perhaps none."""
        self._since.append(token)
        piece = self._held()
        if not piece or piece.endswith(_INCOMPLETE):
            return ""
        self._before, self._since = self._since, []
        return piece

    def finish(self) -> str:
        """Return the text of what was held back, with a sign for bytes that form no character."""
        piece = self._held()
        self._before, self._since = self._since, []
        return piece

    def _held(self) -> str:
        before, all_ = (
            self._inner.decode(tokens, skip_special_tokens=True) for tokens in (self._before, self._before + self._since)
        )
        return all_[len(before) :]


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer with its chat template.

    inner: what turns text into tokens; it neither cuts nor fills up.
    chat_template: Jinja text, or None.
    special_tokens: texts by name, such as `bos_token`; the template knows each by its name.
    eos_ids: tokens that end a text, beside that of `eos_token`, which comes first here.
    files: contents of the files it was read from, by their names in a Hugging Face folder; none for one that was made otherwise.
    model_type: the family of networks that config.json named beside them, which decides what some files mean; None without one.
    """

    inner: tokenizers.Tokenizer
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = dataclasses.field(default_factory=dict)
    eos_ids: Sequence[int] = ()
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    model_type: str | None = None

    def __post_init__(self) -> None:
        eos = self._named("eos_token")
        ends = (*([] if eos is None else [eos]), *self.eos_ids)
        object.__setattr__(self, "eos_ids", tuple(dict.fromkeys(ends)))

    @property
    def bos_id(self) -> int | None:
        """Token that is named `bos_token`; None where none is."""
        return self._named("bos_token")

    @property
    def size(self) -> int:
        """Number of tokens, special ones included."""
        return self.inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a part of a text, such as a rendered conversation: nothing is added.

        Special tokens spelled in it are recognised. SpecError when the tokenizer has no tokens for the text.
        """
        return list(self._encoded(text, adds_special=False).ids)

    def encode_whole(self, text: str) -> list[int]:
        """Return the tokens of a whole text, with those that the tokenizer puts before and after one.

        SpecError when the tokenizer has no tokens for the text.
        """
        return list(self._encoded(text, adds_special=True).ids)

    @property
    def opening(self) -> list[int]:
        """Tokens that the tokenizer puts before a whole text, such as the token of `bos_token`."""
        # A text of one word, so that what comes before it can be told from what comes after.
        whole = self._encoded("a", adds_special=True)
        added = itertools.takewhile(lambda pair: pair[1], zip(whole.ids, whole.special_tokens_mask, strict=True))
        return [token for token, _ in added]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens` without special ones."""
        return self.inner.decode(list(tokens), skip_special_tokens=True)

    def stream(self) -> TextStream:
        """Return a decoder that takes one token at a time."""
        return TextStream(self.inner)

    def render_chat(self, messages: Sequence[Mapping[str, object]], *, asks_for_answer: bool = True) -> str:
        """Return the text of a conversation under the chat template, as transformers renders it.

        messages: at least one, each with `role` and `content`; what is None is left out.
        asks_for_answer: whether the text ends where the assistant begins to speak.

        NoChatTemplateError without a template. SpecError when the template refuses the conversation, is wrong, or does not end.
        """
        if self.chat_template is None:
            raise NoChatTemplateError("Tokenizer must carry a chat template to render a conversation, but has none")
        if not messages:
            raise SpecError("Conversation must have at least one message, not none")
        given = {
            "messages": [_told(message) for message in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": asks_for_answer,
        }
        return render(self.chat_template, {**self.special_tokens, **given})

    def folder_files(self) -> Mapping[str, bytes]:
        """Return the contents of the files that make this tokenizer in a Hugging Face folder, by name."""
        if self.files:
            return self.files
        settings = {
            "tokenizer_class": GENERIC,
            **self.special_tokens,
            **({} if self.chat_template is None else {"chat_template": self.chat_template}),
            "clean_up_tokenization_spaces": False,
            # Without them some releases of transformers also make token types, which models refuse.
            "model_input_names": ["input_ids", "attention_mask"],
        }
        described = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        return {"tokenizer.json": self.inner.to_str().encode(), "tokenizer_config.json": described.encode("utf-8", "replace")}

    def _named(self, name: str) -> int | None:
        text = self.special_tokens.get(name)
        return None if text is None else self.inner.token_to_id(text)

    def _encoded(self, text: str, *, adds_special: bool) -> tokenizers.Encoding:
        try:
            return self.inner.encode(text, add_special_tokens=adds_special)
        # The library raises bare Exception, such as for a word that it knows no token for.
        except Exception as error:
            raise SpecError(f"Text must be one that the tokenizer has tokens for, not {shown(text)}: {cut(error)}") from None


def byte_pairs(text: str) -> tokenizers.Tokenizer:
    """Return what the text of a tokenizer.json describes, with its truncation and padding off; CheckpointError otherwise."""
    try:
        inner = tokenizers.Tokenizer.from_str(text)
    except Exception as error:
        # The library raises bare Exception for every malformed file.
        raise CheckpointError(f"File tokenizer.json must describe a tokenizer, but: {cut(error)}") from None
    inner.no_truncation()
    inner.no_padding()
    return inner


def check_tokens(tokens: Sequence[int], vocab: int) -> None:
    """Refuse tokens that a model of `vocab` tokens does not have, such as of a tokenizer that is not its own, with SpecError."""
    largest = max(tokens, default=0)
    if largest >= vocab:
        raise SpecError(f"Tokens of a text must be below the model's {vocab:,}, not {largest:,}")


def _told(message: Mapping[str, object]) -> dict[str, object]:
    """Return a message as templates get it: without what is None, and its reasoning under every name that templates read."""
    held = {name: value for name, value in message.items() if value is not None}
    reasoning = next((held[name] for name in _REASONING if name in held), None)
    return held if reasoning is None else {"thinking": reasoning, **held, "reasoning_content": reasoning}
