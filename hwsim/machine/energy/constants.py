"""Knows the energy constants of a board: data files in which every number says where it comes from."""

from __future__ import annotations

import dataclasses
import functools
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from hwsim.arch.spec_files import SpecFiles
from hwsim.errors import SpecError
from hwsim.sourced import Sourced, number, sourced

__all__ = ["EnergyConstants", "constant_of", "constants_of", "load_constants", "read_mapping"]

_FILES = SpecFiles("Board", "energy", SpecError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyConstants:
    """Energies and powers of a board.

    Attributes:
        name: the board.
        memory_j_per_bit, interface_j_per_bit: a bit moved: in the memory device, and in its controller, PHY and switch.
        ram_j_per_access: one access of up to 72 bits to an on-chip memory.
        multiplier_j_per_operation: one operation of a DSP block.
        lut_j_per_cycle, signal_j_per_cycle: a LUT at work for a cycle, and its wires.
        register_j_per_cycle, clock_j_per_register_cycle: a register for a cycle, and its share of the clock trees.
        shell_w, static_w, card_w: what is drawn all the time by the host interface, by leakage, and beside the chip.
        regulator_efficiency: power of the chip over what its regulators take.
        luts_per_multiplier, registers_per_multiplier, luts_fixed, registers_fixed: size of an engine by its multipliers.
    """

    name: str
    memory_j_per_bit: Sourced[float]
    interface_j_per_bit: Sourced[float]
    ram_j_per_access: Sourced[float]
    multiplier_j_per_operation: Sourced[float]
    lut_j_per_cycle: Sourced[float]
    signal_j_per_cycle: Sourced[float]
    register_j_per_cycle: Sourced[float]
    clock_j_per_register_cycle: Sourced[float]
    shell_w: Sourced[float]
    static_w: Sourced[float]
    card_w: Sourced[float]
    regulator_efficiency: Sourced[float]
    luts_per_multiplier: Sourced[float]
    registers_per_multiplier: Sourced[float]
    luts_fixed: Sourced[float]
    registers_fixed: Sourced[float]


def constant_of(where: str, name: str, entry: object) -> Sourced[float]:
    """Return a constant of a data file, in the unit that its name carries; raise SpecError when it does not say its source."""
    return sourced(entry, f"Constant {name} of {where}", number)


def read_mapping(file: Traversable, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the entries of a data file, which must be exactly `names`; raise SpecError."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise SpecError(f"File {file.name} must hold a mapping, not {document!r}")
    for name in names:
        if name not in document:
            raise SpecError(f"File {file.name} must have the entry {name}, which is missing")
    for name in document:
        if name not in names:
            raise SpecError(f"File {file.name} must have only the entries {', '.join(names)}, not {name!r}")
    return document


@functools.cache
def load_constants(name: str = "u280") -> EnergyConstants:
    """Return the constants of a board; raise SpecError for one there is not, or for a number without a source."""
    known = _FILES.names()
    if name not in known:
        raise SpecError(f"Board with energy constants must be one of {', '.join(known)}, not {name!r}")
    return constants_of(resources.files("hwsim.specs") / _FILES.folder / f"{name}.yaml")


def constants_of(file: Traversable) -> EnergyConstants:
    """Return the constants in a file; raise SpecError."""
    document = read_mapping(file, ("name", "constants"))
    names = [field.name for field in dataclasses.fields(EnergyConstants)][1:]
    entries = document["constants"]
    if not isinstance(entries, dict) or set(entries) != set(names):
        differing = sorted(set(names) ^ set(entries if isinstance(entries, dict) else ()))
        raise SpecError(f"Constants of {file.name} must be the known ones, not differ in {', '.join(differing)}")
    made = EnergyConstants(name=str(document["name"]), **{name: constant_of(file.name, name, entries[name]) for name in names})
    if not 0 < made.regulator_efficiency.value <= 1:
        raise SpecError(f"Regulator efficiency of {file.name} must be above 0 and at most 1, not {made.regulator_efficiency.value}")
    return made
