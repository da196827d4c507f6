"""The parts of one engine's circuit, as they are told apart without Yosys and as much of them as is wanted with it."""

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path

from hwsim.arch.board import RESOURCES
from hwsim.arch.config import EngineConfig
from rtl.matrix.slice import Slice
from rtl.synthesis.estimate import circuit_of, count_parts, made_of, part_form
from rtl.synthesis.yosys import cells_of, modules_of
from rtl.verilog import HAND_WRITTEN, PRIMITIVES, convert

__all__ = ["SLICE", "Circuit", "CircuitPart", "Wanted", "circuit"]

SLICE = f"matrix/{Slice.module}"
"""The part that is most of an engine, by unit and name."""


class Wanted(enum.Enum):
    """What is synthesized of an engine."""

    FORMS = "forms"
    """Nothing: its parts are told apart by their Verilog, which takes seconds."""
    MEMORIES = "memories"
    """Parts that hold memories, which takes seconds more."""
    SLICE = "slice"
    """One slice; the other parts are left out."""
    WHOLE = "whole"
    """All of it, which takes minutes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CircuitPart:
    """A part of a circuit.

    Attributes:
        form: digest of its Verilog but for names.
        copies: how many there are, of memories how many lanes.
        resources: of all copies, in the order of RESOURCES; None where it was not synthesized.
    """

    form: str
    copies: int
    resources: tuple[float, ...] | None


Circuit = Mapping[str, CircuitPart]
"""Parts of an engine by unit and name."""


def circuit(config: EngineConfig, wanted: Wanted, cache: Path, processes: int = 1) -> Circuit:
    """Return the parts of an engine; counts of each module are kept in `cache`, as in `cells_of`.

    Raises:
        MachineError: Yosys is missing or refuses.
    """
    if wanted is Wanted.SLICE:
        return {SLICE: _slice(config, cache, processes)}
    modules = circuit_of(config)
    made = made_of(modules)
    if wanted is Wanted.FORMS:
        synthesized = {}
    else:
        parts = {part for part, of in made.items() if of.holds_memory or wanted is Wanted.WHOLE}
        names = frozenset().union(*(made[part].modules for part in parts))
        cells = cells_of(modules, cache, names=names, processes=processes)
        synthesized = dict.fromkeys(parts, (0.0,) * len(RESOURCES))
        for found in count_parts(modules, cells):
            if (part := f"{found.unit}/{found.name}") in parts:
                synthesized[part] = tuple(found.resources[name] for name in RESOURCES)
    return {part: CircuitPart(form=of.form, copies=of.copies, resources=synthesized.get(part)) for part, of in sorted(made.items())}


def _slice(config: EngineConfig, cache: Path, processes: int) -> CircuitPart:
    modules = modules_of([convert(Slice(config), Slice.module), *(PRIMITIVES[name] for name in HAND_WRITTEN)])
    parts = count_parts(modules, cells_of(modules, cache, processes=processes), top=Slice.module)
    resources = tuple(sum(part.resources[name] for part in parts) for name in RESOURCES)
    return CircuitPart(form=part_form(modules, modules), copies=1, resources=resources)
