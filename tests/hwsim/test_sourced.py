"""A number of a data file comes with its source: what is read, what is refused, and that every shipped file keeps to it."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwsim import units
from hwsim.errors import SpecError
from hwsim.reader import read
from hwsim.sourced import KINDS, Count, Sourced
from hwsim.units import BytesPerSecond, Quantity

GOOD = {"value": 3, "kind": "paper", "source": "Table 1"}
SPECS = Path(__file__).parents[2] / "hwsim" / "specs"
# Engines are choices, not facts.
FILES = sorted(path for path in SPECS.rglob("*.yaml") if path.parent.name != "engines")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fan:
    """A fan with numbers of every sort."""

    speed: Sourced[float] = Sourced(value=1.0, kind="paper", source="Table 1")
    blades: Sourced[Count] = Sourced(value=Count(1), kind="paper", source="Table 1")
    rate: Sourced[BytesPerSecond] | None = None


def fan(**entries: object) -> Fan:
    return read(Fan, entries, "Fan", SpecError)


def test_a_number_with_its_source() -> None:
    assert fan(blades=GOOD).blades == Sourced(value=3, kind="paper", source="Table 1")
    assert fan(rate=GOOD | {"value": "2 GB/s"}).rate == Sourced(value=BytesPerSecond(2e9), kind="paper", source="Table 1")
    assert [kind for kind in KINDS if Sourced(value=0, kind=kind, source="x").is_assumed] == ["assumed"]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (3, "Fan speed must be a mapping of value, kind and source, not 3"),
        ({"value": 3, "kind": "paper"}, "Fan speed must have the field 'source'"),
        (GOOD | {"kind": "hearsay"}, f"Fan speed.kind must be one of {', '.join(sorted(KINDS))}, not 'hearsay'"),
        (GOOD | {"kind": ["paper"]}, f"Fan speed.kind must be one of {', '.join(sorted(KINDS))} (nearest: paper), not ['paper']"),
        (GOOD | {"source": " "}, "Fan speed.source must be text that says where the number comes from, not ' '"),
        (GOOD | {"source": 7}, "Fan speed.source must be text that says where the number comes from, not 7"),
        (GOOD | {"value": -1}, "Fan speed.value must be a number of at least 0, not -1"),
        (GOOD | {"value": float("nan")}, "Fan speed.value must be a number of at least 0, not nan"),
        (GOOD | {"value": True}, "Fan speed.value must be a number of at least 0, not True"),
    ],
)
def test_what_is_refused(entry: object, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        fan(speed=entry)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("value", [0, 1.5, True, "3"])
def test_counts_that_are_refused(value: object) -> None:
    with pytest.raises(SpecError, match=r"^Fan blades\.value must be a whole number of at least 1, not "):
        fan(blades=GOOD | {"value": value})


@pytest.mark.parametrize("text", ["0 GB/s", "-7 GB/s"])
def test_rates_that_are_refused(text: str) -> None:
    with pytest.raises(SpecError) as refusal:
        fan(rate=GOOD | {"value": text})
    assert str(refusal.value) == f"Fan rate.value must be above 0, not '{text}'"


QUANTITIES = [
    kind for kind in vars(units).values() if isinstance(kind, type) and issubclass(kind, Quantity) and hasattr(kind, "unit")
]


def bare_numbers(data: Any, path: str = "") -> Iterator[str]:
    """Yield the places of numbers, and of texts that are quantities, outside an entry with a source."""
    if isinstance(data, dict) and set(data) == {"value", "kind", "source"}:
        assert data["kind"] in KINDS and data["source"].strip(), path
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from bare_numbers(value, f"{path}/{key}")
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from bare_numbers(value, f"{path}/{index}")
    elif isinstance(data, int | float) or any(is_quantity(kind, data) for kind in QUANTITIES):
        yield path


def is_quantity(kind: type[Quantity], text: object) -> bool:
    try:
        kind.of(text)
    except SpecError:
        return False
    return True


# How many devices a system has and how a user sets it up: choices, which have no source.
CHOICES = re.compile(
    "/(gpus|csds|drives|cards|batches|compression|is_direct|has_host_attention|has_overlap|(weights|cache|activations)/(gpu|host))"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SPECS)))
def test_every_number_of_a_shipped_file_has_a_source(path: Path) -> None:
    found = bare_numbers(yaml.safe_load(path.read_text()))
    assert not [place for place in found if not (path.parent.name == "offload" and CHOICES.fullmatch(place))]


def test_a_number_without_a_source_is_found() -> None:
    assert list(bare_numbers({"a": GOOD, "b": [1, {"c": "7 GB/s"}], "d": "text"})) == ["/b/0", "/b/1/c"]
