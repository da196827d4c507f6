"""The one reader of data files: plain values become the frozen objects that their classes declare, or a sentence of all mistakes.

A class says what a file may hold by its fields: their types, defaults and the marks below (`Annotated[int, Limits(1, 64)]`). From
the same declarations come the tables of docs/files.md and the JSON Schemas that editors read. Without a mark a number must be
0 or more and finite, and a text or a list must not be empty. Pydantic does the checking, and is loaded when the first file is read.
"""

import dataclasses
import difflib
import functools
import math
import operator
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import GenericAlias
from typing import Any, TypeVar, cast, get_args, get_type_hints

from hwsim.errors import LamforgeError, shown
from hwsim.nearest import nearest
from hwsim.plain import read_yaml

__all__ = [
    "NAME",
    "Field",
    "Limits",
    "Matching",
    "OneOf",
    "SpecFiles",
    "check_name",
    "fields_of",
    "json_schema",
    "read",
    "read_flat",
    "spelled",
]

Kind = TypeVar("Kind")

_MOST_MISTAKES = 10
_YAML = (".yaml", ".yml")
_MOST_EXTENSIONS = 20
"""Files that extend one another in turn, at most."""
_INNER = ("schema", "fields", "items_schema", "args_schema", "choices", "definitions")
"""Where a schema of Pydantic keeps the schemas of its parts."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Mark of a number: from `least` to `most`, both included, or above or below others; a multiple, or a power of two."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    multiple: int | None = None
    is_power: bool = False

    @property
    def bounds(self) -> dict[str, float]:
        """The limits there are, as Pydantic calls them."""
        bounds = {"ge": self.least, "le": self.most, "gt": self.above, "lt": self.below, "multiple_of": self.multiple}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        schema = handler(source) | self.bounds
        if self.is_power:
            return core_schema.no_info_after_validator_function(_power, schema, metadata={"says": _says(schema, "a power of two")})
        return schema


@dataclasses.dataclass(frozen=True)
class Matching:
    """Mark of a text that must match a regular expression whole; `says` is what it must be, in words."""

    pattern: str
    says: str

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        # Not Pydantic's own check, in which `$` stands before a last line break too.
        schema = core_schema.str_schema(pattern=f"^(?:{self.pattern})$")

        def check(value: str, _: str) -> str:
            if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
                raise ValueError
            return value

        return spelled(check, schema, self.says)


@dataclasses.dataclass(frozen=True)
class OneOf:
    """Mark of one of several texts or numbers; where texts are in a mapping, the field holds what it says of the text."""

    names: Sequence[str] | Sequence[int] | Mapping[str, object]

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        known: dict[Any, object] = dict(self.names) if isinstance(self.names, Mapping) else {name: name for name in self.names}

        def check(value: Any, subject: str) -> object:
            if isinstance(value, bool) or not isinstance(value, str | int) or value not in known:
                near = nearest(str(value), map(str, known))
                raise LamforgeError(f"{subject} must be {near}, not {shown(value)}")
            return known[value]

        return spelled(check, core_schema.literal_schema(list(known)), f"one of {', '.join(map(str, known))}")


NAME = Matching(
    r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "1 to 64 letters, digits, '.', '_' and '-' that begin with a letter or a digit and have no '..'",
)
"""Mark of a name that goes into file names, makefiles and scripts."""


def check_name(name: object, subject: str, error: type[LamforgeError]) -> None:
    """Raise `error` for a name that may not go into file names, makefiles and scripts."""
    if not isinstance(name, str) or re.fullmatch(NAME.pattern, name) is None:
        raise error(f"{subject} name must be {NAME.says}, not {shown(name)}")


def spelled(parse: Callable[[Any, str], object], schema: Any, says: str) -> Any:
    """Return the schema of what is made of a value by a function, for `__get_pydantic_core_schema__`.

    parse: given the value and the subject of its refusals.
    schema: of what a file may hold, for editors.
    says: the same in words.
    """
    from pydantic_core import PydanticCustomError, core_schema

    def check(value: Any) -> object:
        try:
            return parse(value, "")
        except LamforgeError as refusal:
            raise PydanticCustomError("refused", "{sentence}", {"sentence": str(refusal)}) from None

    return core_schema.no_info_plain_validator_function(check, json_schema_input_schema=schema, metadata={"says": says})


def read(kind: type[Kind], data: object, subject: str, error: type[LamforgeError]) -> Kind:
    """Return plain values as an object of a dataclass.

    subject: what the object is, with which every mistake begins.

    Raises:
        error: something is missing, unknown or not as the class declares it; one sentence names every mistake.
    """
    from pydantic import ValidationError

    try:
        return cast(Kind, _validator(cast(Hashable, kind)).validate_python(data))
    except ValidationError as mistakes:
        found = mistakes.errors(include_url=False)
    # A list with mistakes in its entries counts as too short.
    inside = [mistake["loc"] for mistake in found]
    found = [
        mistake
        for mistake in found
        if mistake["type"] != "too_short" or not any(mistake["loc"] == loc[: len(mistake["loc"])] != loc for loc in inside)
    ]
    known = {field.path: field for field in fields_of(cast(Hashable, kind))}
    missing: dict[tuple[object, ...], list[str]] = {}
    for mistake in found:
        if mistake["type"] == "missing":
            missing.setdefault(mistake["loc"][:-1], []).append(str(mistake["loc"][-1]))
    sentences = [
        f"{_where(subject, place)} must have the field{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"
        for place, names in missing.items()
    ]
    sentences += [_sentence(mistake, subject, known) for mistake in found if mistake["type"] != "missing"]
    more = len(sentences) - _MOST_MISTAKES
    shown = "; ".join(sentences[:_MOST_MISTAKES])
    raise error(f"{shown}; and {more} more mistakes" if more > 0 else shown)


def read_flat(kind: type[Kind], data: object, subject: str, error: type[LamforgeError]) -> Kind:
    """Return plain values as a dataclass of marked numbers and texts that all have defaults, as `read` does but without Pydantic.

    For what runs where there are few packages.

    Raises:
        error: something is unknown or not as the class declares it; one sentence names every mistake.
    """
    if not isinstance(data, Mapping):
        raise error(f"{subject} must be a mapping of fields, not {shown(data)}")
    hints, sentences = get_type_hints(kind, include_extras=True), []
    for name, value in data.items():
        if name not in hints:
            near = difflib.get_close_matches(str(name)[:100], hints, 1, 0.0)[0]
            sentences.append(f"{subject} field must be one of its own such as {near!r}, not {shown(name)}")
            continue
        declared, mark = get_args(hints[name])
        if isinstance(mark, OneOf):
            is_right, says = isinstance(value, str) and value in mark.names, nearest(str(value), map(str, mark.names))
        else:
            types = (int, float) if declared is float else (int,)
            checks = {"ge": operator.ge, "le": operator.le, "gt": operator.gt, "lt": operator.lt, "multiple_of": _is_multiple}
            is_right = isinstance(value, types) and not isinstance(value, bool) and value < math.inf
            is_right = is_right and all(checks[check](value, bound) for check, bound in mark.bounds.items())
            says = _says({"type": declared.__name__} | mark.bounds)
        if not is_right:
            sentences.append(f"{subject} {name} must be {says}, not {shown(value)}")
    if sentences:
        raise error("; ".join(sentences[:_MOST_MISTAKES]))
    return kind(**data)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """What a file may say in one place.

    Attributes:
        path: names from the outermost on, with `[]` for the entries of a list.
        says: what the value must be.
        is_required: whether the place must be filled.
        default: what is taken where it is not.
        kind: the class that declares it; none for the entries of a list.
        is_whole: whether what is inside is told elsewhere.
    """

    path: str
    says: str
    is_required: bool
    default: object
    kind: type | None
    is_whole: bool

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.path.rpartition(".")[2]


@functools.cache
def fields_of(kind: type) -> tuple[Field, ...]:
    """Return what a file of a dataclass may say, place by place, in the order of the declarations."""
    schema = _schema(kind)
    shared = {part["ref"]: part for part in schema.get("definitions", ())}
    return tuple(_fields(schema, "", None, shared))


def json_schema(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass, as editors read it."""
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """Leaves out defaults that a file would spell otherwise."""

        def default_schema(self, schema: Any) -> dict[str, Any]:
            is_plain = type(schema.get("default")) in (bool, int, float, str)
            return super().default_schema(schema) if is_plain else self.generate_inner(schema["schema"])

    return Generator().generate(_schema(kind, True))


@dataclasses.dataclass(frozen=True)
class SpecFiles:
    """The files of one kind of data.

    Attributes:
        subject: what a message calls such a thing, such as `Engine`.
        folder: with those that ship, inside `package`.
        error: what a wrong name or file raises.
        package: the folder `hwsim/specs`, or another one.
        references: fields that name other files; a path there is relative to the file that it is in.
    """

    subject: str
    folder: str
    error: type[LamforgeError]
    package: str = "hwsim.specs"
    references: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the names of those that ship."""
        entries = (resources.files(self.package) / self.folder).iterdir()
        return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))

    def read(self, name: str) -> object:
        """Return what is in a shipped file by name, or in a YAML file by path."""
        if name.endswith(_YAML):
            return read_yaml(self.subject, Path(name), name, self.error)
        names = self.names()
        if name not in names:
            near = difflib.get_close_matches(name[:100], names, 1, 0.0)[0]
            known = f"one of {', '.join(names)} or a YAML file"
            raise self.error(f"{self.subject} must be {known}, not {shown(name)} (nearest: {near})")
        return read_yaml(self.subject, resources.files(self.package) / self.folder / f"{name}.yaml", name, self.error)

    def fields(self, name: str) -> dict[str, Any]:
        """Return the fields in a shipped file by name, or in a YAML file by path, over those of the file that it `extends`."""
        return self.extended(self._own(name), name)

    def extended(self, fields: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return fields over those of the file that they extend, which may extend another one; a message calls them `name`."""
        found, seen = dict(fields), [name]
        while (base := found.pop("extends", None)) is not None:
            if not isinstance(base, str):
                raise self.error(f"{self.subject} {seen[-1]} must extend another one by name, not {shown(base)}")
            if base in seen:
                raise self.error(f"{self.subject} {seen[-1]} must extend another one, not itself")
            if len(seen) > _MOST_EXTENSIONS:
                raise self.error(f"{self.subject} {name} must extend at most {_MOST_EXTENSIONS} others in turn, not more")
            seen.append(base)
            found = self._own(base) | found
        return found

    def _own(self, name: str) -> dict[str, Any]:
        """Return the fields that a file itself has."""
        data = self.read(name)
        if not isinstance(data, dict):
            raise self.error(f"{self.subject} {name} must be a mapping of fields, not {shown(data)}")
        return self._located(data, name)

    def _located(self, fields: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return the fields of a file with its paths to others as they are from here."""
        found = dict(fields)
        for field in {"extends", *self.references} & found.keys() if name.endswith(_YAML) else ():
            if isinstance(value := found[field], dict):
                found[field] = self._located(value, name)
            elif isinstance(value, str) and value.endswith(_YAML):
                found[field] = str(Path(name).parent / value)
        return found


@functools.cache
def _schema(kind: type, is_documented: bool = False) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    # In a tuple, because a dataclass by itself takes no configuration from here.
    alone: Any = GenericAlias(tuple, (kind,))
    config = ConfigDict(extra="forbid", use_attribute_docstrings=is_documented)
    schema = _stricter(TypeAdapter(alone, config=config).core_schema)
    if schema["type"] == "definitions":
        return schema | {"schema": schema["schema"]["items_schema"][0]}
    return schema["items_schema"][0]


@functools.cache
def _validator(kind: type) -> Any:
    from pydantic_core import SchemaValidator

    return SchemaValidator(_schema(kind))


def _stricter(schema: Any) -> Any:
    """Return a schema with what holds of every file: see the head of this file; and with refusals of constructors as mistakes."""
    from pydantic_core import core_schema

    made = dict(schema)
    for name in _INNER:
        inner = schema.get(name)
        if isinstance(inner, list):
            made[name] = [_stricter(part) if isinstance(part, dict) else part for part in inner]
        elif isinstance(inner, dict):
            made[name] = _stricter(inner) if "type" in inner else {tag: _stricter(part) for tag, part in inner.items()}
    kind = made["type"]
    if kind in ("int", "float", "bool", "str"):
        made["strict"] = True
    if kind in ("int", "float") and "ge" not in made and "gt" not in made:
        made["ge"] = 0
    if kind == "float":
        made["allow_inf_nan"] = False
    if kind in ("str", "tuple"):
        made["min_length"] = 1
    if kind == "dataclass" and made["post_init"]:
        ref = made.pop("ref", None)
        return core_schema.no_info_after_validator_function(_constructed, made | {"post_init": False}, ref=ref)
    return made


def _constructed(made: Any) -> object:
    from pydantic_core import PydanticCustomError

    try:
        made.__post_init__()
    except LamforgeError as refusal:
        raise PydanticCustomError("refused", "{sentence}", {"sentence": str(refusal)}) from None
    return made


def _is_multiple(value: float, of: float) -> bool:
    return value % of == 0


def _power(value: int) -> int:
    if value & (value - 1):
        raise ValueError
    return value


def _fields(schema: Any, path: str, kind: type | None, shared: Mapping[str, Any]) -> Iterator[Field]:
    """Yield what a schema has at a path, and below it."""
    says, is_required, is_whole, default = "", True, False, None
    while True:
        told = schema.get("metadata", {})
        says, is_whole = says or told.get("says", ""), is_whole or told.get("is_whole", False)
        if schema["type"] == "default":
            is_required = False
            default = schema["default"] if "default" in schema else schema["default_factory"]()
        if schema["type"] == "definition-ref":
            schema = shared[schema["schema_ref"]]
        elif "schema" in schema and schema["type"] != "dataclass":
            schema = schema["schema"]
        else:
            break
    yield Field(path=path, says=says or _says(schema), is_required=is_required, default=default, kind=kind, is_whole=is_whole)
    if schema["type"] == "dataclass":
        for part in schema["schema"]["fields"]:
            yield from _fields(part["schema"], f"{path}.{part['name']}".lstrip("."), schema["cls"], shared)
    elif schema["type"] == "tuple":
        yield from _fields(schema["items_schema"][0], f"{path}[]", None, shared)
    elif schema["type"] == "tagged-union":
        for tag, part in schema["choices"].items():
            yield from _fields(part, f"{path}.{tag}", None, shared)


def _says(schema: Any, noun: str = "") -> str:
    """Return what a value must be, in words."""
    kind = schema["type"]
    if kind in ("int", "float"):
        noun = noun or ("an integer" if kind == "int" else "a number")
        least, most, above, below, multiple = (schema.get(bound) for bound in ("ge", "le", "gt", "lt", "multiple_of"))
        if multiple is not None:
            noun = f"a multiple of {_digits(multiple)}"
        if least is not None and most is not None:
            return f"{noun} from {_digits(least)} to {_digits(most)}"
        at_most = "of at most" if above is None else "and at most"
        words = (("of at least", least), ("above", above), (at_most, most), ("below", below))
        return " ".join([noun, *(f"{word} {_digits(bound)}" for word, bound in words if bound is not None)])
    if kind == "dataclass":
        names = schema["fields"]
        return f"a mapping of {', '.join(names[:-1])} and {names[-1]}" if len(names) == 3 else "a mapping of fields"
    if kind == "literal":
        return f"one of {', '.join(map(str, schema['expected']))}"
    return {"bool": "true or false", "str": "text", "tuple": "a list", "dict": "a mapping"}.get(kind, kind)


def _digits(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}".replace("e+0", "e")


def _path(places: Sequence[object], *, is_general: bool = False) -> str:
    """Return a place in a file, such as `slrs.value[2].lut`; in general, as fields_of spells it, without the numbers."""
    index = "[]" if is_general else "[{}]"
    return "".join(index.format(place) if isinstance(place, int) else f".{place}" for place in places).lstrip(".")


def _where(subject: str, places: Sequence[object]) -> str:
    return f"{subject} {_path(places)}".rstrip()


def _sentence(mistake: Any, subject: str, known: Mapping[str, Field]) -> str:
    """Return a mistake that Pydantic found as a sentence."""
    places, kind, data = mistake["loc"], mistake["type"], mistake["input"]
    where, general = _where(subject, places), _path(places, is_general=True)
    if kind == "refused":
        sentence = str(mistake["ctx"]["sentence"])
        return f"{where}{sentence}" if sentence.startswith(" ") else sentence
    if kind == "unexpected_keyword_argument":
        name, beside = str(places[-1]), _below(_path(places[:-1], is_general=True), known)
        near = difflib.get_close_matches(name[:100], beside, 1, 0.0)
        one = f"one of its own such as {near[0]!r}" if near else "one of its own"
        return f"{_where(subject, places[:-1])} field must be {one}, not {shown(name)}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = mistake["ctx"]["discriminator"].strip("'")
        tag = data.get(key) if isinstance(data, dict) else None
        return f"{where} {key} must be {nearest(str(tag), _below(general, known))}, not {shown(tag)}"
    says = known[general].says if general in known else mistake["msg"]
    return f"{where} must be {says}, not {shown(data)}"


def _below(path: str, known: Mapping[str, Field]) -> list[str]:
    """Return the names that a file may have at a path."""
    inner = [each.removeprefix(f"{path}.") for each in known if not path or each.startswith(f"{path}.")]
    return [name for name in inner if name and "." not in name and not name.endswith("[]")]
