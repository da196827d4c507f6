"""Plain values to objects: every mistake in one sentence with its path, and tables and schemas from the same declarations."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import pytest

from hwsim.errors import ConfigError, SpecError
from hwsim.plain import read_yaml
from hwsim.reader import NAME, Limits, Matching, OneOf, SpecFiles, fields_of, json_schema, read, read_flat

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel."""

    spokes: Annotated[int, Limits(4, 64, is_power=True)]
    """Spokes of the wheel."""
    size: Annotated[float, Limits(above=0)] = 26

    def __post_init__(self) -> None:
        if self.size > self.spokes * 10:
            raise ConfigError(f"Wheel must have a spoke for every 10 of its size, not {self.spokes} of {self.size:g}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bicycle:
    """A bicycle."""

    name: Annotated[str, NAME]
    wheels: tuple[Wheel, ...]
    gears: int = 1
    is_electric: bool = False
    colour: Annotated[int, OneOf({"red": 1, "green": 2})] = 1
    note: str | None = None
    code: Annotated[str, Matching("[a-z]+", "small letters")] = "a"


GOOD = {"name": "mine", "wheels": [{"spokes": 32}, {"spokes": 8, "size": 20}]}


def test_good_values() -> None:
    made = read(Bicycle, GOOD | {"colour": "green", "note": None}, "Bicycle", SpecError)
    assert made == Bicycle(name="mine", wheels=(Wheel(spokes=32), Wheel(spokes=8, size=20.0)), colour=2)
    assert isinstance(made.wheels[1].size, float)


def test_one_wheel_and_one_letter_are_enough() -> None:
    made = read(Bicycle, {"name": "a", "wheels": [{"spokes": 4}], "note": "x", "code": "z"}, "Bicycle", SpecError)
    assert (made.name, made.note, len(made.wheels)) == ("a", "x", 1)


def test_a_shipped_file_is_read_by_name_and_an_unknown_name_says_the_nearest() -> None:
    engines = SpecFiles("Engine", "engines", ConfigError)
    assert engines.read("tiny") == read_yaml("Engine", ROOT / "hwsim/specs/engines/tiny.yaml", "tiny", ConfigError)
    with pytest.raises(ConfigError) as refusal:
        engines.read("tinny")
    names = ", ".join(engines.names())
    assert str(refusal.value) == f"Engine must be one of {names} or a YAML file, not 'tinny' (nearest: tiny)"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"gears": -1}, "Bicycle gears must be an integer of at least 0, not -1"),
        ({"gears": 2.0}, "Bicycle gears must be an integer of at least 0, not 2.0"),
        ({"gears": True}, "Bicycle gears must be an integer of at least 0, not True"),
        ({"gears": "3"}, "Bicycle gears must be an integer of at least 0, not '3'"),
        ({"gears": None}, "Bicycle gears must be an integer of at least 0, not None"),
        ({"wheels": [{"spokes": 4, "size": float("inf")}]}, "Bicycle wheels[0].size must be a number above 0, not inf"),
        ({"is_electric": 1}, "Bicycle is_electric must be true or false, not 1"),
        ({"colour": "gren"}, "Bicycle colour must be one of green, red (nearest: green), not 'gren'"),
        ({"colour": ["red"]}, "Bicycle colour must be one of green, red (nearest: red), not ['red']"),
        ({"colour": 1}, "Bicycle colour must be one of green, red, not 1"),
        ({"note": ""}, "Bicycle note must be text, not ''"),
        ({"code": "a\n"}, "Bicycle code must be small letters, not 'a\\n'"),
        ({"gaers": 1}, "Bicycle field must be one of its own such as 'gears', not 'gaers'"),
        ({"wheels": []}, "Bicycle wheels must be a list, not []"),
        ({"wheels": [{"spokes": 6}]}, "Bicycle wheels[0].spokes must be a power of two from 4 to 64, not 6"),
        ({"wheels": [{"spokes": 4, "size": 50}]}, "Wheel must have a spoke for every 10 of its size, not 4 of 50"),
        (
            {"wheels": [{"spokes": 4, "size": float("nan")}, {"spoks": 1}], "gears": "x" * 5000, "name": "../x"},
            "Bicycle wheels[1] must have the field 'spokes'; "
            "Bicycle name must be 1 to 64 letters, digits, '.', '_' and '-' that begin with a letter or a digit and have no '..',"
            " not '../x'; Bicycle wheels[0].size must be a number above 0, not nan; "
            "Bicycle wheels[1] field must be one of its own such as 'spokes', not 'spoks'; "
            f"Bicycle gears must be an integer of at least 0, not '{'x' * 197}…'",
        ),
        (
            {"wheels": [{"spokes": 4, "size": 50}], "gears": -1},
            "Wheel must have a spoke for every 10 of its size, not 4 of 50; Bicycle gears must be an integer of at least 0, not -1",
        ),
    ],
)
def test_mistakes(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        read(Bicycle, GOOD | change, "Bicycle", SpecError)
    assert str(refusal.value) == sentence


def test_of_many_mistakes_the_first_are_said() -> None:
    with pytest.raises(ConfigError) as refusal:
        read(Bicycle, GOOD | {f"x{index}": 1 for index in range(30)}, "Bicycle", ConfigError)
    assert str(refusal.value).endswith("; and 20 more mistakes")


@pytest.mark.parametrize("name", ["a", "w4a8.kv-4_x", "0", "x" * 64])
def test_names(name: str) -> None:
    assert re.fullmatch(NAME.pattern, name)


@pytest.mark.parametrize("name", ["", ".a", "-a", "a..b", "a/b", "a b", "a\n", "ä", "x" * 65, "$(id)", "a;b", "_a"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="^Bicycle name must be 1 to 64 letters, "):
        read(Bicycle, GOOD | {"name": name}, "Bicycle", SpecError)


def test_fields_are_listed() -> None:
    fields = {field.path: field for field in fields_of(Bicycle)}
    assert list(fields)[:5] == ["", "name", "wheels", "wheels[]", "wheels[].spokes"]
    spokes, size = fields["wheels[].spokes"], fields["wheels[].size"]
    assert (spokes.says, spokes.is_required, spokes.kind) == ("a power of two from 4 to 64", True, Wheel)
    assert (size.says, size.is_required, size.default) == ("a number above 0", False, 26)


def test_editors_get_a_schema() -> None:
    schema = json_schema(Bicycle)
    assert schema["required"] == ["name", "wheels"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["colour"]["enum"] == ["red", "green"]
    wheel = schema["$defs"]["Wheel"]["properties"]
    assert (wheel["spokes"]["minimum"], wheel["spokes"]["maximum"]) == (4, 64)
    assert wheel["spokes"]["description"] == "Spokes of the wheel."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flat:
    """Numbers and texts."""

    steps: Annotated[int, Limits(1)] = 1
    share: Annotated[float, Limits(0, 1)] = 0.5
    format: Annotated[str, OneOf(("w2", "w4"))] = "w2"
    row_bytes: Annotated[int, Limits(16, 64, multiple=16)] = 16


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0},
        {"steps": True},
        {"steps": 1.0},
        {"share": 2},
        {"share": float("nan")},
        {"format": "w3"},
        {"row_bytes": 24},
        {"row_bytes": 80},
        {"stepz": 1},
        {"stepz": 1, "shar": 2},
    ],
)
def test_the_reader_without_pydantic_says_the_same(values: dict[str, object]) -> None:
    sentences = []
    for reader in (read, read_flat):
        with pytest.raises(SpecError) as refusal:
            reader(Flat, values, "Flat", SpecError)
        sentences.append(str(refusal.value))
    assert sentences[0] == sentences[1]
    for right in ({"steps": 3}, {"row_bytes": 48}):
        assert read_flat(Flat, right, "Flat", SpecError) == read(Flat, right, "Flat", SpecError)
    assert next(field.says for field in fields_of(Flat) if field.path == "row_bytes") == "a multiple of 16 from 16 to 64"
