"""Renders docs/devices.md from the device files and their types.

`python -m hwsim.offload.devices.reference [FILE]` writes the page to FILE, or to standard output.
"""

from collections.abc import Sequence
from typing import Any

from hwsim.arch.doc_pages import field_docs, table, write_page
from hwsim.offload.devices import FAMILIES, Device, Family
from hwsim.offload.pcie import PcieConstants, pcie_constants
from hwsim.sourced import KINDS, Sourced, facts_of, value_text

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
    return [(f"`{name}`", value_text(fact.value), fact.kind, docs.get(name, ""), fact.source) for name, fact in facts]


def _cell(fact: Sourced[object] | None) -> str:
    if fact is None:
        return ""
    return f"*{value_text(fact.value)}*" if fact.is_assumed else value_text(fact.value)


if __name__ == "__main__":
    write_page(render())
