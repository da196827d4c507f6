"""Places what the nodes of a graph need: off chip one after the other, on chip in the regions of the engine's memories."""

import contextlib
import dataclasses

from compiler.graph import FINAL, LAYERS, Graph
from compiler.lower import Lowering, lowered
from compiler.target.memory import MemoryMap, OnChip, ParameterBlock, Run, SideTable, whole_bursts
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import SIDE_UNIT, CacheFormat
from hwsim.arch.program import INSTRUCTION_BYTES, MOST_SIDE_BYTES, Buffer
from hwsim.errors import ScheduleError, shown

__all__ = ["OVERLAPS", "Placement", "place_nodes", "plan_memory"]

_PAGE = 4096


def plan_memory(
    graph: Graph, engine: EngineConfig, *, max_position: int, tokens: int, sequences: int = 1, cache: CacheFormat = CacheFormat.KV4
) -> MemoryMap:
    """Return the map for a quantized graph, for `tokens` input rows and `sequences` caches; raise ScheduleError."""
    nodes = lowered(graph, engine)
    layer, final = ([node for node in nodes if node.section == section] for section in (LAYERS, FINAL))
    repeats = graph.repeats[LAYERS]
    streams, layer_beats = _streams(layer, 0)
    final_streams, beat = _streams(final, layer_beats * repeats)
    keepers = [(node, kept) for node in layer if (kept := node.caches(cache)) is not None]
    if len(keepers) != 1:
        raise ScheduleError(f"A layer must have one node that keeps keys and values, not {len(keepers)}")
    keeper, (heads, layout) = keepers[0]
    head_beats = layout.key_beats + layout.value_beats
    total = beat + sequences * repeats * heads * head_beats
    need = total * engine.tile.port_bytes
    if need > engine.channel_bytes:
        raise ScheduleError(
            f"Weights and cache must fit {engine.channel_bytes} bytes behind each port of {engine.name}, not need {need}"
            f" ({need - engine.channel_bytes} too many)"
        )
    parameters = _parameter_block(layer, final, keeper, engine.vector.lanes)
    tables: dict[str, SideTable] = {}
    for node in nodes:
        for table in node.side_tables(tokens=tokens, sequences=sequences, positions=max_position):
            if tables.setdefault(table.name, table) is not table:
                raise ScheduleError(f"Node {node.name} must be the only one with a buffer {shown(table.name)} in the side memory")
    sizes = {name: table.rows * table.row_units * SIDE_UNIT for name, table in tables.items()}
    sizes["parameters"] = (repeats + 1) * parameters.units * SIDE_UNIT
    programs = dict.fromkeys(("program.decode", "program.prefill"), engine.control.program_words * INSTRUCTION_BYTES)
    places, end = {}, 0
    for name, size in (programs | dict(sorted(sizes.items()))).items():
        places[name] = (end, size)
        end += -(-size // _PAGE) * _PAGE
    if end > MOST_SIDE_BYTES:
        raise ScheduleError(
            f"Tables of {max_position} positions must fit the {MOST_SIDE_BYTES} bytes of a side memory, not need {end}"
            f" ({end - MOST_SIDE_BYTES} too many)"
        )
    return MemoryMap(
        streams=streams | final_streams,
        layer_beats=layer_beats,
        cache=layout,
        cache_start=beat,
        head_beats=head_beats,
        cache_layer_beats=heads * head_beats,
        sequences=sequences,
        sequence_beats=repeats * heads * head_beats,
        total_beats=total,
        parameters=parameters,
        row_units={name: table.row_units for name, table in tables.items()},
        buffers=tuple(Buffer(name=name, offset=offset, size=size) for name, (offset, size) in places.items()),
    )


def _streams(nodes: list[Lowering], beat: int) -> tuple[dict[str, int], int]:
    """Return the first beat of each node's weights, one after the other from `beat` on, and the beat after the last."""
    streams = {}
    for node in nodes:
        if node.stream_beats():
            streams[node.name] = beat
            beat += node.stream_beats()
    return streams, beat


def _parameter_block(layer: list[Lowering], final: list[Lowering], load_before: Lowering, lanes: int) -> ParameterBlock:
    """Return the block of a layer: parameters that are used behind the place where it is loaded come first."""
    cut = layer.index(load_before) + load_before.uses_parameters_early
    offsets: dict[str, int] = {}

    def place(nodes: list[Lowering], word: int) -> int:
        for node in nodes:
            if node.parameter_words():
                offsets[node.name] = word
                word += node.parameter_words()
        return word

    ahead = place(layer[cut:], 0)
    words = max(place(layer[:cut], ahead), place(final, ahead))
    units = whole_bursts(words * lanes * 4 // SIDE_UNIT)
    return ParameterBlock(load_before=load_before.name, offsets=offsets, words=words, ahead=ahead, units=units)


OVERLAPS = (4, 3, 2)
"""Attention heads in flight, the most that fit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placement:
    """The lowerings of a graph's nodes, in its order and in their places, for one run; `layers` is how often the layer runs."""

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
