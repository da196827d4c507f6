"""The files of a tokenizer in a Hugging Face folder, and what they mean together, as transformers reads them.

Ref: transformers 5.24, tokenization_utils_base.py and tokenization_utils_tokenizers.py.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import tokenizers
from tokenizers import AddedToken

from hwsim.errors import CheckpointError, cut, shown
from models.families import has_file, object_in
from models.tokenizer import Tokenizer, byte_pairs
from models.tokenizer_classes import GENERIC, class_of, rebuilt

__all__ = ["CONFIG", "FILE", "NAMES", "TEMPLATES", "older_names", "read_files", "tokenizer_of", "write_files"]

FILE = "tokenizer.json"
CONFIG = "tokenizer_config.json"
TEMPLATES = "additional_chat_templates"
"""Folder of chat templates that have a name, each NAME.jinja."""
_MAP = "special_tokens_map.json"
_ADDED = "added_tokens.json"
_TEMPLATE = "chat_template.jinja"
_OLD_TEMPLATE = "chat_template.json"
_GENERATION = "generation_config.json"
# The last three are other forms of tokenizer.json, which wins; older releases of transformers also read them.
_FILES = (FILE, CONFIG, _MAP, _ADDED, _TEMPLATE, _OLD_TEMPLATE, _GENERATION, "tokenizer.model", "vocab.json", "merges.txt")
NAMES = re.compile("|".join((*map(re.escape, _FILES), rf"{TEMPLATES}/[^/\\\0]+\.jinja")))
"""Names of files that belong to a tokenizer."""
_DEFAULT = "default"
_NEW_GENERIC = "TokenizersBackend"
"""What transformers 5 calls GENERIC."""
_ORDER = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens in the order in which those that the vocabulary lacks are added to it."""


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the contents of the tokenizer's files in a folder, by name; CheckpointError where one cannot be read."""
    paths = [folder / name for name in _FILES]
    found = {}
    try:
        templates = sorted((folder / TEMPLATES).glob("*.jinja"))
        for path in (path for path in (*paths, *templates) if has_file(path)):
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"Files of the tokenizer in {folder.name} must be readable, but: {error.strerror}") from None
    return found


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a tokenizer, contents by name, into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def older_names(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a tokenizer with what transformers 5 calls by a new name under the one that releases before it know too.

    files: contents by name. Those without a new name stay as they are, to the byte.
    """
    changed = dict(files)
    for name in (CONFIG, _MAP):
        settings = dict(_object(files, name))
        if isinstance(settings.get("extra_special_tokens"), list):
            # Of two lists transformers takes this one unless it is empty; before 5 it is an object alone, of tokens with a name.
            listed = settings.pop("extra_special_tokens")
            settings["additional_special_tokens"] = listed or settings.get("additional_special_tokens", [])
        if settings.get("tokenizer_class") == _NEW_GENERIC:
            settings["tokenizer_class"] = GENERIC
        if settings != _object(files, name):
            changed[name] = (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()
    return changed


def tokenizer_of(files: Mapping[str, bytes], *, model_type: str | None = None, eos_ids: Sequence[int] = ()) -> Tokenizer | None:
    """Return the tokenizer that files describe, or None without tokenizer.json.

    files: contents by name.
    model_type: the network's family as its config.json names it, which has a say where no class of tokenizer is named.
    eos_ids: tokens that end a text beside that of `eos_token`.

    CheckpointError says what is wrong with the files.
    """
    if FILE not in files:
        return None
    settings = _object(files, CONFIG)
    document = _object(files, FILE)
    # What tokenizer_config.json says of added tokens is newer than these two files.
    is_new = "added_tokens_decoder" in settings
    mapped = {} if is_new else _object(files, _MAP)
    kind = class_of(settings, document, model_type)
    padding = document.get("padding")
    padded = {"pad_token": padding.get("pad_token")} if isinstance(padding, Mapping) else {}
    values = {**padded, **(kind.tokens if kind is not None else {}), **settings, **mapped}
    special, extra = _named(values), _extra(values)
    inner = byte_pairs(_text(files, FILE))
    if kind is not None:
        inner = rebuilt(inner, document, kind, values)
    added = _added(settings) if is_new else _older_added(files, document, {*special.values(), *extra})
    _add(inner, added, [*special.values(), *extra], special.values())
    inner.encode_special_tokens = values.get("split_special_tokens") is True
    return Tokenizer(
        inner,
        chat_template=_chosen_template(files, settings),
        special_tokens=special,
        eos_ids=eos_ids,
        files=dict(files),
        model_type=model_type,
    )


def _text(files: Mapping[str, bytes], name: str) -> str:
    try:
        return files[name].decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"File {name} must be text in UTF-8, but: {cut(error)}") from None


def _object(files: Mapping[str, bytes], name: str) -> Mapping[str, object]:
    """Return the object in a JSON file, an empty one where there is no such file."""
    if name not in files:
        return {}
    return object_in(name, _text(files, name))


def _chosen_template(files: Mapping[str, bytes], settings: Mapping[str, object]) -> str | None:
    """Return the chat template, or the one named `default` of several; files of their own go before tokenizer_config.json."""
    named = {Path(name).stem: _text(files, name) for name in files if name.startswith(f"{TEMPLATES}/")}
    if _TEMPLATE in files:
        named = {_DEFAULT: _text(files, _TEMPLATE), **named}
    if named:
        return named.get(_DEFAULT)
    template = settings.get("chat_template")
    if template is None:
        template = _object(files, _OLD_TEMPLATE).get("chat_template")
    if isinstance(template, list):
        entries = [entry for entry in template if isinstance(entry, Mapping) and entry.get("name") == _DEFAULT]
        template = entries[-1].get("template") if entries else None
    elif isinstance(template, Mapping):
        template = template.get(_DEFAULT)
    return template if isinstance(template, str) else None


def _token(value: object) -> str | None:
    """Return the text of a token, which stands alone or in an object with its properties."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _named(values: Mapping[str, object]) -> dict[str, str]:
    """Return the texts of the special tokens that have a name, such as `bos_token`."""
    extra = values.get("extra_special_tokens")
    named = {name: value for name, value in values.items() if name.endswith("_token")} | (
        dict(extra) if isinstance(extra, Mapping) else {}
    )
    texts = {name: _token(named[name]) for name in (*(name for name in _ORDER if name in named), *named)}
    return {name: text for name, text in texts.items() if text is not None}


def _extra(values: Mapping[str, object]) -> list[str]:
    """Return the texts of the special tokens without a name."""
    listed = values.get("extra_special_tokens") or values.get("additional_special_tokens")
    texts = [_token(value) for value in listed] if isinstance(listed, list) else []
    return [text for text in texts if text is not None]


def _added(settings: Mapping[str, object]) -> dict[int, AddedToken]:
    """Return the added tokens of tokenizer_config.json by their numbers."""
    listed = settings["added_tokens_decoder"]
    if not isinstance(listed, Mapping) or not all(str(number).isdecimal() for number in listed):
        raise CheckpointError(f"File {CONFIG} added_tokens_decoder must map numbers to tokens")
    return {int(number): _added_token(CONFIG, value) for number, value in listed.items()}


def _older_added(files: Mapping[str, bytes], document: Mapping[str, object], special: set[str]) -> dict[int, AddedToken]:
    """Return the added tokens of added_tokens.json and of tokenizer.json, which wins, by their numbers."""
    found = {}
    for text, number in _object(files, _ADDED).items():
        if not isinstance(number, int):
            raise CheckpointError(f"File {_ADDED} must map tokens to numbers, not to {shown(number)}")
        found[number] = AddedToken(text, normalized=text not in special, special=text in special)
    listed = document.get("added_tokens")
    for value in listed if isinstance(listed, list) else []:
        number = value.get("id") if isinstance(value, Mapping) else None
        if not isinstance(number, int):
            raise CheckpointError(f"File {FILE} added_tokens must be objects with a number id, not {shown(value)}")
        found[number] = _added_token(FILE, value)
    return found


def _added_token(name: str, value: object) -> AddedToken:
    text = _token(value)
    if text is None or not isinstance(value, Mapping):
        raise CheckpointError(f"File {name} must give every added token as an object with its content, not {shown(value)}")
    is_special = value.get("special") is True
    is_normalized = value.get("normalized", not is_special) is True
    single, left, right = (value.get(key) is True for key in ("single_word", "lstrip", "rstrip"))
    return AddedToken(text, special=is_special, normalized=is_normalized, single_word=single, lstrip=left, rstrip=right)


def _add(inner: tokenizers.Tokenizer, added: Mapping[int, AddedToken], special: Sequence[str], named: Collection[str]) -> None:
    """Add the tokens that the tokenizer does not have yet, or has with other properties.

    special: texts of all special tokens; those with a name are also in `named`.
    """
    held = inner.get_added_tokens_decoder().values()
    fresh = [token for _, token in sorted(added.items()) if repr(token) not in {repr(token) for token in held}]
    known = {token.content for token in (*held, *fresh)}
    for token in fresh:
        token.special = token.special or token.content in named
    inner.add_tokens([*fresh, *(AddedToken(text, special=True) for text in dict.fromkeys(special) if text not in known)])
