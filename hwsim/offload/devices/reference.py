"""Renders docs/devices.md from the device files and their types.

`python -m hwsim.offload.devices.reference [FILE]` writes the page to FILE, or to standard output.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from hwsim.arch.doc_pages import field_docs, table, write_page
from hwsim.offload.devices import FAMILIES, Device, Family
from hwsim.offload.pcie import PcieConstants, pcie_constants
from hwsim.sourced import KINDS, Sourced, facts_of
from hwsim.units import Bytes, Quantity

__all__ = ["render"]


def render() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Device reference",
        "Generated from the files of `hwsim/specs/devices` by `make docs`; edit those, not this page. A number that nobody"
        " stated is absent; one that is assumed is in italics.",
        "## Kinds of sources",
        table(("kind", "the number is"), ((f"`{kind}`", meaning) for kind, meaning in KINDS.items())),
    ]
    for family in FAMILIES:
        parts += _family(family)
    constants = pcie_constants()
    parts += [
        "## PCI Express",
        "What `hwsim/offload/pcie.py` computes rates from.",
        table(("constant", "value", "kind", "meaning", "source"), _constant_rows(constants)),
    ]
    return "\n\n".join(parts) + "\n"


def _family(family: Family[Any]) -> list[str]:
    devices: tuple[Device, ...] = family.all()
    docs = field_docs(family.kind)
    present = [name for name in docs if any(name in device.facts for device in devices)]
    present.sort(key=lambda name: name == "price")
    facts = [(f"`{device.name}`", f"`{name}`", fact) for device in devices for name, fact in device.facts.items()]
    return [
        f"## {family.subject}s",
        str(family.kind.__doc__).splitlines()[0],
        table(
            (family.subject, "", *(f"`{name}`" for name in present)),
            ((f"`{device.name}`", device.title, *(_cell(device.facts.get(name)) for name in present)) for device in devices),
        ),
        table(("field", "meaning"), ((f"`{name}`", docs[name]) for name in present)),
        table((family.subject, "fields", "kind", "source"), _merged(facts)),
    ]


def _merged(facts: Sequence[tuple[str, str, Sourced[Any]]]) -> list[tuple[str, str, str, str]]:
    """Return rows of device, fields, kind and source; fields of one device that share a source share a row."""
    fields: dict[tuple[str, str, str], list[str]] = {}
    for device, field, fact in facts:
        fields.setdefault((device, fact.kind, fact.source), []).append(field)
    return [(device, ", ".join(names), kind, source) for (device, kind, source), names in fields.items()]


def _constant_rows(constants: PcieConstants) -> list[tuple[str, str, str, str, str]]:
    docs = field_docs(PcieConstants)
    facts = facts_of(constants).items()
    return [(f"`{name}`", _text(fact.value), fact.kind, docs.get(name, ""), fact.source) for name, fact in facts]


def _cell(fact: Sourced[object] | None) -> str:
    if fact is None:
        return ""
    return f"*{_text(fact.value)}*" if fact.is_assumed else _text(fact.value)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, Quantity):
        return _quantity(value)
    if dataclasses.is_dataclass(value) and type(value).__str__ is object.__str__:
        return " ".join(f"{field.name} {_text(getattr(value, field.name))}" for field in dataclasses.fields(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _quantity(quantity: Quantity) -> str:
    """Return a quantity in the largest decimal unit of which there is one; pages and other whole KiB in these."""
    if isinstance(quantity, Bytes) and quantity.value % 1024 == 0 and quantity.value < 2**20:
        return f"{quantity.to('KiB'):g} KiB"
    decimal = [name for name in quantity.spellings if name.endswith(quantity.unit) and "i" not in name]
    name = max((name for name in decimal if quantity.to(name) >= 1), key=quantity.spellings.__getitem__)
    return f"{quantity.to(name):.7g} {name}"


if __name__ == "__main__":
    write_page(render())
