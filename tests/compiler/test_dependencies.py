"""Tokens between steps: they order every conflict, in a section and between sections in any number of turns, and no more."""

import dataclasses

import numpy as np
import pytest

from compiler.schedule import dependencies
from compiler.schedule.dependencies import link
from compiler.target.step import Step, add
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import Dot, Fetch, Format, Load, Quant
from hwsim.errors import ScheduleError
from tests.compiler.ordering import unordered

ON: dict[Unit, Instruction] = {
    Unit.FETCH: Fetch(offset=0, beats=1),
    Unit.MATRIX: Dot(format=Format.W4, rows=1, source=0, inner=1, blocks=1, scale=0, address=0),
    Unit.VECTOR: Quant(rows=1, source=0, stride=0, length=1, destination=0, scale=0),
    Unit.MOVER: Load(space=0, address=0, beats=1, offset=0),
}
FETCH, MATRIX, VECTOR, MOVER = (1 << unit for unit in Unit)


def step(unit: Unit, **touches: tuple[str, ...] | int) -> Step:
    return Step(ON[unit], unit.name, **touches)


def tokens_of(*steps: Step) -> list[tuple[int, int]]:
    """Return wait and signal masks of the steps as the only section."""
    (linked,) = link([steps])
    return [(each.instruction.wait, each.instruction.signal) for each in linked]


@pytest.mark.parametrize(
    "first, second", [("writes", "reads"), ("writes", "awaits"), ("writes", "writes"), ("reads", "writes"), ("frees", "writes")]
)
def test_two_touches_of_a_region_are_ordered(first: str, second: str) -> None:
    steps = step(Unit.MATRIX, **{first: ("a",)}), step(Unit.MOVER, **{second: ("a",)})
    assert tokens_of(*steps) == [(0, MOVER), (MATRIX, 0)]


@pytest.mark.parametrize("first", ["reads", "awaits", "frees"])
@pytest.mark.parametrize("second", ["reads", "awaits", "frees"])
def test_two_that_write_nothing_are_not_ordered(first: str, second: str) -> None:
    assert tokens_of(step(Unit.MATRIX, **{first: ("a",)}), step(Unit.MOVER, **{second: ("a",)})) == [(0, 0), (0, 0)]


@pytest.mark.parametrize("first, second", [("awaits", "writes"), ("writes", "frees")])
def test_what_is_awaited_is_free_again_and_what_is_freed_was_awaited_before(first: str, second: str) -> None:
    assert tokens_of(step(Unit.MATRIX, **{first: ("a",)}), step(Unit.MOVER, **{second: ("a",)})) == [(0, 0), (0, 0)]


def test_a_token_is_not_given_twice_for_what_one_orders() -> None:
    steps = [step(Unit.VECTOR, writes=("a",)), step(Unit.VECTOR, writes=("b",)), step(Unit.MATRIX, reads=("b",))]
    assert tokens_of(*steps, step(Unit.MATRIX, reads=("a",))) == [(0, 0), (0, MATRIX), (VECTOR, 0), (0, 0)]


def test_of_readers_on_two_units_both_are_waited_for() -> None:
    steps = [step(Unit.VECTOR, reads=("a",)), step(Unit.MATRIX, reads=("a",)), step(Unit.MOVER, writes=("a",))]
    assert tokens_of(*steps) == [(0, MOVER), (0, MOVER), (MATRIX | VECTOR, 0)]


@pytest.mark.parametrize("consumes", [0, 1])
def test_a_product_that_used_a_stream_up_needs_no_barrier_for_what_the_stream_awaited(consumes: int) -> None:
    """The mover's step has retired when the fetch has, and that one when the product has that consumed its beats."""
    first = [step(Unit.MOVER, writes=("a",)), step(Unit.FETCH, awaits=("a",)), step(Unit.MATRIX, consumes=consumes)]
    linked, _ = link([first, [step(unit) for unit in Unit]])
    assert [each.node for each in linked] == ["MOVER", "FETCH", "MATRIX", *([] if consumes else ["barrier"])]
    if not consumes:
        assert linked[0].instruction.signal == FETCH | MATRIX
        assert linked[-1].instruction.wait == MOVER


def test_a_section_does_not_end_before_its_units_have() -> None:
    """Control goes on to the next section when the barrier has retired, which every unit's last step precedes."""
    (*steps, barrier), _ = link([[step(unit) for unit in (Unit.MATRIX, Unit.VECTOR, Unit.MOVER)], [step(unit) for unit in Unit]])
    assert barrier.node == "barrier"
    # It takes no beat of a stream and writes nothing.
    assert barrier.instruction == dataclasses.replace(ON[Unit.MATRIX], blocks=0, wait=VECTOR | MOVER)
    assert [each.instruction.signal for each in steps] == [0, MATRIX, MATRIX]


@pytest.mark.parametrize(
    "chain",
    [
        (step(Unit.VECTOR, reads=("a",), writes=("b",)), step(Unit.VECTOR, reads=("b",), writes=("b",))),
        (step(Unit.MATRIX, writes=("a",)), step(Unit.VECTOR, reads=("a",), writes=("b",))),
    ],
)
def test_what_waits_for_one_that_followed_the_barrier_takes_no_token_of_it(chain: tuple[Step, ...]) -> None:
    """The mover's region is as old as the section before, and what it waits for began when all of that had retired."""
    _, section = link([[step(Unit.MATRIX)], [*chain, step(Unit.MOVER, reads=("b", "old"))]])
    assert section[-1].instruction.wait == VECTOR


def test_a_unit_without_a_step_for_the_barriers_token_is_refused() -> None:
    enters = [step(Unit.VECTOR, reads=("a",)), step(Unit.MATRIX)]
    with pytest.raises(ScheduleError) as refused:
        link([[step(Unit.MATRIX)], enters, [step(Unit.MATRIX)]])
    assert str(refused.value) == "Every section must have a step on unit VECTOR to take the barrier's token"


def given(steps: list[Step]) -> dict[tuple[Unit, Unit], int]:
    """Return how many tokens the first unit of a pair gives to the second."""
    return {
        (one, other): sum(type(each.instruction).unit is one and bool(each.instruction.signal >> other & 1) for each in steps)
        for one in Unit
        for other in Unit
    }


def taken(steps: list[Step]) -> dict[tuple[Unit, Unit], int]:
    """Return how many tokens of the first unit of a pair the second takes."""
    return {
        (one, other): sum(type(each.instruction).unit is other and bool(each.instruction.wait >> one & 1) for each in steps)
        for one in Unit
        for other in Unit
    }


def random_sections(rng: np.random.Generator) -> list[list[Step]]:
    """Return three sections of steps on all units, each with some of five regions; streams are used up in their section.

    Steps of control itself are among them.
    """

    def some(most: int) -> tuple[str, ...]:
        return tuple(rng.choice(list("abcde"), int(rng.integers(most + 1)), replace=False).tolist())

    sections = []
    for _ in range(3):
        units = [*Unit, *(Unit(int(unit)) for unit in rng.integers(0, 4, int(rng.integers(8))))]
        rng.shuffle(units)
        units += [Unit.MATRIX]
        steps, waiting = [], 0
        for number, unit in enumerate(units):
            if rng.random() < 0.1:
                steps.append(add(3, 3, 1))
            if unit is Unit.FETCH:
                waiting += 1
                steps.append(step(unit, awaits=some(2)))
                continue
            is_last = number == len(units) - 1
            consumes = waiting if is_last else int(rng.integers(waiting + 1)) if unit is Unit.MATRIX else 0
            waiting -= consumes
            frees = some(1) if unit is Unit.MATRIX else ()
            steps.append(step(unit, reads=some(2), writes=some(1), frees=frees, consumes=consumes))
        sections.append(steps)
    return sections


def test_random_sections_are_ordered_in_any_number_of_turns(rng: np.random.Generator) -> None:
    linked = 0
    for _ in range(150):
        sections = random_sections(rng)
        try:
            prologue, body, epilogue = link(sections)
        except ScheduleError as error:
            assert "must not wait for two tokens" in str(error)
            continue
        for turns in (1, 3):
            steps = [*prologue, *body * turns, *epilogue]
            assert unordered(steps) == []
            assert given(steps) == taken(steps)
        linked += 1
    assert linked > 50


@pytest.mark.parametrize("field", ["reads", "writes", "awaits", "frees"])
def test_the_law_sees_a_field_that_is_left_out(field: str, rng: np.random.Generator) -> None:
    found = 0
    for _ in range(40):
        sections = random_sections(rng)
        without = [[dataclasses.replace(each, **{field: ()}) for each in section] for section in sections]
        try:
            linked = link(without)
        except ScheduleError:
            continue
        whole = [
            dataclasses.replace(masked, **{field: getattr(each, field)})
            for section, masks in zip(sections, linked, strict=True)
            for each, masked in zip(section, masks, strict=False)
        ]
        found += bool(unordered(whole))
    assert found > 5


def test_more_schedules_than_are_remembered_are_linked_alike(rng: np.random.Generator) -> None:
    schedules = [random_sections(rng) for _ in range(3)]
    before = [[[s.instruction for s in steps] for steps in linked_or_none(each)] for each in schedules]
    dependencies._masks.cache_clear()
    assert [[[s.instruction for s in steps] for steps in linked_or_none(each)] for each in schedules] == before


def linked_or_none(sections: list[list[Step]]) -> list[list[Step]]:
    try:
        return link(sections)
    except ScheduleError:
        return []
