"""Plain values of files and of `PATH=VALUE` texts: YAML and JSON without anything that surprises, repeats itself or takes long.

YAML is read as people write it: `3e8`, `300e6` and `1_000_000` are numbers, only `true` and `false` are truths, `2026-01-01` and
`12:30` are texts. Refused are tags, anchors on more than a text or a number, names given twice, deep nesting and large files.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

from hwsim.errors import LamforgeError, SpecError, shown

__all__ = [
    "MOST_BYTES",
    "MOST_DEPTH",
    "Refused",
    "Settings",
    "csv_text",
    "from_json",
    "from_yaml",
    "read_json",
    "read_text",
    "read_yaml",
    "set_values",
]

Settings = Mapping[str, object]
"""Values to change, by path such as `tile.tokens`; whoever takes them checks each as the reader of its file does."""

MOST_BYTES = 1 << 20
"""Size of a file that is read, at most."""
MOST_DEPTH = 40
"""Lists and mappings inside one another, at most."""

_MOST_DIGITS = 40
_INTEGER = re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9])*)")
_BASED = re.compile(r"[-+]?0(?:x[0-9a-fA-F](?:_?[0-9a-fA-F])*|o[0-7](?:_?[0-7])*|b[01](?:_?[01])*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][-+]?[0-9]{1,4})?")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelling: value for value in (True, False) for text in [str(value)] for spelling in (text.lower(), text, text.upper())
}
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# A text ends with its quote, or with all that there is: what begins one is looked at once.
_JSON_MARK = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_JSON_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""One of the two parts that JSON writes some characters in; alone it is none."""
_SIMPLE = re.compile(r"[\w.+/][\w.+/ -]*|-[\w.+/][\w.+/ -]*")
"""Texts that are one value of YAML without its marks: they need no parser."""


class Refused(Exception):
    """A text is not what it should be; says why, to be put into a sentence."""


def read_yaml(subject: str, file: Traversable, name: str, error: type[LamforgeError]) -> object:
    """Return what is in a YAML file that a message calls `name`; raise `error` when it cannot be read."""
    try:
        return from_yaml(read_text(subject, file, name, error, MOST_BYTES))
    except Refused as refusal:
        raise error(f"{subject} file must be YAML, not the text of {shown(name)} ({refusal})") from None


def read_json(subject: str, file: Traversable, name: str, error: type[LamforgeError], most_bytes: int = MOST_BYTES) -> object:
    """Return what is in a JSON file that a message calls `name`; raise `error` when it cannot be read."""
    try:
        return from_json(read_text(subject, file, name, error, most_bytes))
    except Refused as refusal:
        raise error(f"{subject} file must be JSON, not the text of {shown(name)} ({refusal})") from None


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV, the head first, with line feeds alone."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def set_values(texts: Sequence[str], example: str = "tile.tokens=2") -> dict[str, object]:
    """Return the values that texts such as `tile.tokens=2` set, by path; of a path given twice the last holds.

    example: a text that would be right, for the refusal.

    Raises:
        SpecError: a text does not read PATH=VALUE, or its value is no YAML.
    """
    values: dict[str, object] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not path or not equals:
            raise SpecError(f"Setting must read PATH=VALUE such as {example}, not {shown(text)}")
        try:
            values.pop(path, None)
            values[path] = from_yaml(value)
        except Refused as refusal:
            raise SpecError(f"Setting {shown(path)} must have a value in YAML, not {shown(value)} ({refusal})") from None
    return values


def from_yaml(text: str) -> object:
    """Return the value of a YAML text; raise Refused where it is none, or uses what is left out here."""
    if _SIMPLE.fullmatch(text.strip()):
        return _scalar(text.strip())
    # A training starts where there is no YAML parser, and its settings are simple.
    import yaml

    document = _Document(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    try:
        return document.value()
    except yaml.MarkedYAMLError as error:
        raise document.refusal(error.problem_mark, str(error.problem or error.context)) from None
    except (yaml.YAMLError, UnicodeError):
        raise Refused("a character that YAML does not have") from None


def from_json(text: str) -> object:
    """Return the value of a JSON text; raise Refused where it is none, or uses what is left out here."""
    depth = 0
    for mark in _JSON_MARK.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        if depth > MOST_DEPTH:
            raise Refused(f"it is nested deeper than {MOST_DEPTH}")
    try:
        found: object = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        if _JSON_HALF.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refused("it has half of a character, which no text can hold") from None
    except ValueError as error:
        raise Refused(str(error)) from None
    return found


def read_text(subject: str, file: Traversable, name: str, error: type[LamforgeError], most_bytes: int = MOST_BYTES) -> str:
    """Return the UTF-8 text of a file that a message calls `name`; raise `error` when it cannot be read or is longer."""
    try:
        if not file.is_file():
            reason = "it is no regular file" if file.is_dir() or getattr(file, "exists", bool)() else "No such file or directory"
            raise error(f"{subject} file must be readable, not {shown(name)} ({reason})")
        with file.open("rb") as stream:
            content = stream.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise error(f"{subject} file must have at most {most_bytes} bytes, not more as {shown(name)} has")
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or ("it is no UTF-8" if isinstance(cause, UnicodeError) else str(cause))
        raise error(f"{subject} file must be readable, not {shown(name)} ({reason})") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise Refused(f"the name {shown(name)} is given twice")
        found[name] = value
    return found


def _constant(text: str) -> object:
    raise Refused(f"{text} is no number of JSON")


def _scalar(text: str) -> object:
    """Return what a text without quotes stands for; numbers of more than 40 characters stay texts."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) <= _MOST_DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if not text.isdecimal() and _FLOAT.fullmatch(text):
            value = float(text)
            # `1e6` without a point is a whole number.
            is_whole = "." not in text and "-" not in text[1:] and "e" in text.lower() and abs(value) < 1e15
            return int(value) if is_whole else value
        special = _SPECIAL.fullmatch(text)
        if special:
            return math.nan if special[1] is None else float(f"{special[1]}inf")
    return text


class _Document:
    """One document of YAML events, made into plain values."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._named: dict[str, object] = {}
        self._places: list[str] = []

    def value(self) -> object:
        """Return the one value that the text holds, None where it is empty."""
        next(self._events)
        kind, _ = self._next()
        if kind == "StreamEnd":
            return None
        value = self._node(*self._next())
        self._next()
        kind, event = self._next()
        if kind != "StreamEnd":
            raise self.refusal(event.start_mark, "a second document begins")
        return value

    def refusal(self, mark: Any, reason: str) -> Refused:
        """Return what is wrong in a line, with the place in the document that was being read."""
        line = [] if mark is None else [f"line {mark.line + 1}"]
        place = "".join(self._places).lstrip(".")
        return Refused(f"{', '.join([*line, place[:100]] if place else line)}: {reason}")

    def _next(self) -> tuple[str, Any]:
        event = next(self._events)
        return type(event).__name__.removesuffix("Event"), event

    def _node(self, kind: str, event: Any) -> object:
        if len(self._places) > MOST_DEPTH:
            raise self.refusal(event.start_mark, f"it is nested deeper than {MOST_DEPTH}")
        if kind == "Alias":
            if event.anchor not in self._named:
                raise self.refusal(event.start_mark, f"nothing is called {shown(event.anchor)}")
            return self._named[event.anchor]
        if event.tag not in (None, "!"):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self.refusal(event.start_mark, f"a value must be written without a tag, not with {shown(tag)}")
        if kind == "Scalar":
            is_plain = event.implicit[0] and event.style in (None, "")
            value = _scalar(event.value) if is_plain else event.value
            if event.anchor is not None:
                self._named[event.anchor] = value
            return value
        if event.anchor is not None:
            raise self.refusal(event.start_mark, "only a text or a number may be named with &, not a list or a mapping")
        return self._list() if kind == "SequenceStart" else self._mapping()

    def _inside(self, place: str, kind: str, event: Any) -> object:
        self._places.append(place)
        value = self._node(kind, event)
        self._places.pop()
        return value

    def _list(self) -> list[object]:
        found: list[object] = []
        while (step := self._next())[0] != "SequenceEnd":
            found.append(self._inside(f"[{len(found)}]", *step))
        return found

    def _mapping(self) -> dict[str, object]:
        found: dict[str, object] = {}
        while (step := self._next())[0] != "MappingEnd":
            kind, event = step
            if kind != "Scalar" or event.tag is not None:
                raise self.refusal(event.start_mark, "a name must be a plain text")
            if event.value in found:
                raise self.refusal(event.start_mark, f"the name {shown(event.value)} is given twice")
            self._places.append(f".{event.value}")
            value = self._next()
            self._places.pop()
            found[event.value] = self._inside(f".{event.value}", *value)
        return found
