"""The circuits of a front synthesized by Yosys, beside what the fitted model says of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from hwsim.arch.board import RESOURCES, Board
from hwsim.arch.config import EngineConfig
from lamforge.explore.footprint import footprint_of
from lamforge.flow.verb import Listener

__all__ = ["Synthesized", "synthesized", "synthesized_table"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Synthesized:
    """A circuit of the front.

    Attributes:
        engine: one engine that has it; clocks may differ.
        designs: how many designs of the front have it.
        model, yosys: resources by the fitted model and as synthesized, by names of RESOURCES.
        full: of each resource, how full the fullest SLR of the board gets by the synthesis: the part of what may be used there.
    """

    engine: EngineConfig
    designs: int
    model: Mapping[str, float]
    yosys: Mapping[str, float]
    full: Mapping[str, float]

    @property
    def fits(self) -> bool:
        """Whether every SLR holds it within the board's fill."""
        return all(share <= 1 for share in self.full.values())

    @property
    def off(self) -> Mapping[str, float]:
        """How far the model is off, as a share of what was synthesized; 0 where both are 0."""
        return {
            name: self.model[name] / self.yosys[name] - 1 if self.yosys[name] else float(self.model[name] > 0) for name in RESOURCES
        }


def synthesized(designs: Sequence[tuple[EngineConfig, Board]], listener: Listener) -> Iterator[Synthesized]:
    """Yield the circuits of designs in their order, each once for a board; what Yosys counted before is read.

    Raises:
        MachineError: Yosys is missing, or refuses.
    """
    # Loaded here: what is explored without synthesis does without the circuit.
    from lamforge.flow import synth

    circuits: dict[tuple[object, ...], list[tuple[EngineConfig, Board]]] = {}
    for engine, board in designs:
        key = (engine.tile, engine.fetch, engine.vector, engine.buffer, engine.control, board.name)
        circuits.setdefault(key, []).append((engine, board))
    for number, alike in enumerate(circuits.values()):
        engine, board = alike[0]
        listener.progress("synthesis", number / len(circuits), f"circuit {number + 1} of {len(circuits)}, minutes each")
        found = synth.run(synth.SynthRequest(engine=engine, board=board))
        yield Synthesized(
            engine=engine,
            designs=len(alike),
            model={name: float(values[0]) for name, values in footprint_of(engine).resources.items()},
            yosys=found.total,
            full=found.full,
        )
    listener.progress("synthesis", 1.0)


def synthesized_table(found: Sequence[Synthesized]) -> pa.Table:
    """Return circuits as rows: the fields of the engine's units by path, resources of both, and how full the fullest SLR is."""
    rows = []
    for each in found:
        fields = {
            f"{unit}.{name}": value
            for unit, part in each.engine.to_dict().items()
            if isinstance(part, dict)
            for name, value in part.items()
        }
        resources = {
            f"{name}.{kind}": values[name]
            for name in RESOURCES
            for kind, values in (("model", each.model), ("yosys", each.yosys), ("full", each.full))
        }
        rows.append({**fields, "designs": each.designs, **resources})
    return pa.Table.from_pylist(rows)
