"""Places a program on chip: every node of the graph takes the regions of the engine's memories that it needs."""

from __future__ import annotations

import contextlib
import dataclasses

from compiler.graph import FINAL, LAYERS, Graph
from compiler.lower import Lowering, lowered
from compiler.target.memory_map import MemoryMap
from compiler.target.on_chip import OnChip
from compiler.target.run import Run
from hwsim.arch.config import EngineConfig
from hwsim.errors import ScheduleError

__all__ = ["OVERLAPS", "Placement", "place_nodes"]

OVERLAPS = (4, 3, 2)
"""Attention heads in flight, the most that fit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placement:
    """The nodes of a graph in their places, for one run.

    Attributes:
        run: the run and what it runs on.
        layers: how often the layer runs.
        nodes: the lowerings of all nodes, in graph order.
    """

    run: Run
    layers: int
    nodes: tuple[Lowering, ...]

    def section(self, name: str) -> list[Lowering]:
        """Return the nodes of a section, in order."""
        return [node for node in self.nodes if node.section == name]


def place_nodes(graph: Graph, engine: EngineConfig, memory: MemoryMap, *, tokens: int, sequences: int = 1) -> Placement:
    """Return the nodes placed for runs of `tokens` rows, of one sequence or of as many; raise ScheduleError."""
    for overlap in OVERLAPS[:-1]:
        with contextlib.suppress(ScheduleError):
            return _placed(graph, engine, memory, tokens, sequences, overlap)
    return _placed(graph, engine, memory, tokens, sequences, OVERLAPS[-1])


def _placed(graph: Graph, engine: EngineConfig, memory: MemoryMap, tokens: int, sequences: int, overlap: int) -> Placement:
    nodes, chip = lowered(graph, engine), OnChip(engine)
    for node in nodes:
        node.check()
    final_rows = min([sequences, *(node.most_rows() for node in nodes if node.section == FINAL)])
    run = Run(engine=engine, memory=memory, tokens=tokens, sequences=sequences, overlap=overlap, final_rows=final_rows)
    for index, node in enumerate(nodes):
        node.settle(run, chip, nodes[:index])
    parameters = chip.take("parameter", memory.parameters.words, "Parameters of a layer")
    for node in nodes:
        node.parameter_start = parameters + memory.parameters.offsets.get(node.name, 0)
        node.claim(run, chip)
    return Placement(run=run, layers=graph.repeats[LAYERS], nodes=nodes)
