"""A program: prologue, one layer as the body of a hardware loop, what follows the layers; linked, as words and symbols."""

from compiler.graph import FINAL, LAYERS
from compiler.schedule.dependencies import link
from compiler.schedule.placement import Placement
from compiler.target.memory import Run
from compiler.target.step import CACHE, PARAMETERS, SCRATCH, WEIGHTS, Step, add, loads, scalar
from hwsim.arch.isa import REGISTER_SLOT, SIDE_UNIT, End, Function, Loop, Space, isa_digest
from hwsim.arch.program import SLOT_BITS, Program
from hwsim.errors import ScheduleError

__all__ = ["emit_program", "epilogue", "layer_body", "prologue"]


def prologue(placement: Placement) -> list[Step]:
    """Return the steps before the layers: what the nodes load once, the first layer's parameters, and the registers."""
    run = placement.run
    block, first = run.memory.parameters, run.memory.units("parameters")
    steps = [step for node in placement.nodes for step in node.loads(run)]
    steps += _parameter_loads(placement, block.ahead, first)
    steps += [add(WEIGHTS, 0, 0), *_first_cache(run), add(PARAMETERS, 0, first + block.units)]
    return steps + [step for node in placement.nodes for step in node.settings(run)]


def layer_body(placement: Placement) -> list[Step]:
    """Return the steps of one layer, its nodes in the order of the graph."""
    run, memory = placement.run, placement.run.memory
    steps: list[Step] = []
    for node in placement.section(LAYERS):
        if node.name == memory.parameters.load_before:
            steps += _parameter_loads(placement, 0, 0, register=PARAMETERS)
        steps += node.steps(run, range(run.tokens))
    advance = [
        add(WEIGHTS, WEIGHTS, memory.layer_beats),
        add(CACHE, CACHE, memory.cache_layer_beats),
        add(PARAMETERS, PARAMETERS, memory.parameters.units),
    ]
    # In front of the last step, a product, which reads none of these registers.
    return [*steps[:-1], *advance, *steps[-1:]]


def epilogue(placement: Placement) -> list[Step]:
    """Return the steps after the layers: their nodes for each sequence's last row, in passes of the rows they can take."""
    run, nodes = placement.run, placement.section(FINAL)
    last = range(run.tokens - run.sequences, run.tokens)
    passes = [last[first : first + run.final_rows] for first in range(0, run.sequences, run.final_rows)]
    return [step for rows in passes for node in nodes for step in node.steps(run, rows)]


def _parameter_loads(placement: Placement, start: int, offset: int, *, register: int = 0) -> list[Step]:
    """Return the loads of a layer's block from word `start` on."""
    block, lanes = placement.run.memory.parameters, placement.run.lanes
    nodes = [node for node in placement.nodes if block.offsets.get(node.name, -1) >= start]
    if not nodes:
        return []
    first = min(nodes, key=lambda node: node.parameter_start)
    writes, beats = tuple(node.parameter_region for node in nodes), (block.words - start) * lanes // 4
    return loads(Space.PARAMETER, first.parameter_start, lanes, beats, offset, register=register, node=first.name, writes=writes)


def _first_cache(run: Run) -> list[Step]:
    """Return the steps that set the first layer's caches and leave the slot without the sequence it came with.

    Rows of one sequence come with its number above the slot's bits; with only one sequence there is nothing to do.
    """
    if run.memory.sequences == 1 or run.sequences > 1:
        return [add(CACHE, 0, 0)]
    return [
        scalar(Function.SHR, SCRATCH, REGISTER_SLOT, SLOT_BITS),
        scalar(Function.MUL, CACHE, SCRATCH, run.memory.sequence_beats),
        scalar(Function.MUL, SCRATCH, SCRATCH, 1 << SLOT_BITS),
        scalar(Function.SUB, REGISTER_SLOT, REGISTER_SLOT, 0, b=SCRATCH),
    ]


def emit_program(placement: Placement, *, name: str, head: bool, max_position: int, weights: str) -> Program:
    """Return the program of placed nodes, with or without the head; raise ScheduleError when it does not fit the program memory."""
    sections = link([prologue(placement), layer_body(placement), epilogue(placement) if head else []])
    loop = Step(Loop(count=placement.layers, length=len(sections[1])), LAYERS)
    steps = [*sections[0], loop, *sections[1], *sections[2], Step(End(), "end")]
    run, memory, cache = placement.run, placement.run.memory, placement.run.memory.cache
    limit = run.engine.control.program_words
    if len(steps) > limit:
        raise ScheduleError(
            f"Program {name} must fit {limit} instructions of {run.engine.name}, not {len(steps)} ({len(steps) - limit} too many)"
        )
    return Program(
        name=name,
        words=tuple(step.instruction.encode() for step in steps),
        symbols=tuple(step.node for step in steps),
        buffers=memory.buffers,
        rows=run.tokens,
        sequences=run.sequences,
        caches=memory.sequences,
        input_row_bytes=memory.row_units["input"] * SIDE_UNIT,
        sinks=cache.sinks,
        window=cache.window,
        ring_start=cache.ring_start,
        max_position=max_position,
        isa=isa_digest(),
        engine=run.engine.digest,
        weights=weights,
    )
