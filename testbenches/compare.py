"""The comparison of two logs of one program: every cycle, every drained word, every code; the first difference as a sentence."""

import dataclasses

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Axpy, Dot, decode
from hwsim.arch.program import Program
from testbenches.backend import Log

__all__ = ["Verdict", "compare_logs", "name_instruction"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of a comparison.

    Attributes:
        compared, mismatches: values compared and values that differ.
        instructions: instructions whose dispatch, issue and retirement were compared.
        cycle_difference: largest difference of any of these cycles and of the total.
        first: a sentence on the first difference; None when there is none.
    """

    compared: int
    mismatches: int
    instructions: int
    cycle_difference: int
    first: str | None

    @property
    def is_equal(self) -> bool:
        """Whether the logs agree in every bit and every cycle."""
        return self.first is None


def name_instruction(program: Program, pc: np.ndarray, index: int) -> str:
    """Return a name for the unit instruction at `index` of the run: its kind, word and graph node."""
    word = int(pc[index])
    iteration = int((pc[:index] == word).sum())
    kind = type(decode(program.words[word])).__name__
    return f"{kind} of node {program.symbols[word].replace('{}', str(iteration))} (instruction {index}, word {word})"


def compare_logs(program: Program, engine: EngineConfig, expected: Log, found: Log, names: tuple[str, str]) -> Verdict:
    """Return the verdict on `found` against `expected`, which knows its instructions; `names` are the two backends'."""
    assert expected.pc is not None
    differences: list[tuple[int, str]] = []
    worst = abs(expected.cycles - found.cycles)
    if worst:
        last = max(expected.cycles, found.cycles)
        differences.append((last, f"the run takes {expected.cycles} cycles in the {names[0]}, {found.cycles} in the {names[1]}"))
    units = (decode(program.words[int(pc)]).unit for pc in expected.pc)
    unit_of = np.array([-1 if unit is None else int(unit) for unit in units])
    streams = [("dispatch", np.arange(len(expected.pc)), expected.dispatch, found.dispatch)]
    for unit in Unit:
        mine = np.flatnonzero(unit_of == unit)
        streams.append(("issue", mine, expected.issue[unit], found.issue[unit]))
        streams.append(("retirement", mine, expected.retire[unit], found.retire[unit]))
    for what, indices, ours, theirs in streams:
        count = min(len(ours), len(theirs))
        if len(ours) != len(theirs):
            differences.append((1 << 62, f"the {names[0]} has {len(ours)} events of {what}, the {names[1]} {len(theirs)}"))
        gaps = np.abs(ours[:count] - theirs[:count])
        worst = max(worst, int(gaps.max(initial=0)))
        if gaps.any():
            at = int(np.flatnonzero(gaps)[0])
            name = name_instruction(program, expected.pc, int(indices[at]))
            sentence = f"{what} of {name} is at cycle {ours[at]} in the {names[0]}, {theirs[at]} in the {names[1]}"
            differences.append((int(min(ours[at], theirs[at])), sentence))
    compared, mismatches = 0, 0
    for field, where in (("drained", _drained_place), ("codes", _codes_place)):
        ours, theirs = getattr(expected, field), getattr(found, field)
        if ours is None or theirs is None:
            continue
        count = min(len(ours), len(theirs))
        if len(ours) != len(theirs):
            mismatches += abs(len(ours) - len(theirs)) * ours.shape[1]
            differences.append((1 << 61, f"the {names[0]} has {len(ours)} words of {field}, the {names[1]} {len(theirs)}"))
        wrong = ours[:count] != theirs[:count]
        compared += wrong.size
        mismatches += int(wrong.sum())
        if wrong.any():
            word, lane = (int(part[0]) for part in np.nonzero(wrong))
            cycles = getattr(found, f"{field}_cycle")
            cycle = int(cycles[word]) if cycles is not None else 0
            by = getattr(expected, f"{field}_by")
            index = int(by[word])
            place = where(program, engine, expected.pc, index, word - int(np.searchsorted(by, index)), lane)
            ours, theirs = (each.astype(np.int32)[word, lane] for each in (ours, theirs))
            name = f"{name_instruction(program, expected.pc, index)} at cycle {cycle}, {place}"
            differences.append((cycle, f"{name}: {ours} in the {names[0]}, {theirs} in the {names[1]}"))
    first = min(differences)[1] if differences else None
    return Verdict(compared=compared, mismatches=mismatches, instructions=len(expected.pc), cycle_difference=worst, first=first)


def _drained_place(program: Program, engine: EngineConfig, pc: np.ndarray, index: int, word: int, lane: int) -> str:
    """Return which row, block and tile a drained word's lane is of."""
    instruction = decode(program.words[int(pc[index])])
    if isinstance(instruction, Axpy):
        group, row = divmod(word, instruction.rows)
        first = group * engine.mixed_lanes
        return f"row {row}, lanes {first} to {first + engine.mixed_lanes - 1} of every tile"
    assert isinstance(instruction, Dot)
    group, row = divmod(word, instruction.rows)
    block, part = divmod(group, engine.drain_words)
    slices = engine.tile.slices
    slice_ = (part * engine.vector.lanes + lane) % slices if slices >= engine.vector.lanes else (lane % slices)
    return f"row {row}, block {block}, tile {slice_ // engine.tile.slices_per_port}, slice {slice_}"


def _codes_place(program: Program, engine: EngineConfig, pc: np.ndarray, index: int, word: int, lane: int) -> str:
    """Return which element of the instruction's rows a code is."""
    return f"element {word * engine.vector.lanes + lane} of its rows"
