"""Fronts are what their definition says, whatever the number of points; constraints that contradict one another are named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lamforge.explore.front import Tally, best, best_of_each, front, front_of_each, ranked_front

VALUES = arrays(
    np.float64,
    st.tuples(st.integers(0, 30), st.integers(1, 4)),
    elements=st.one_of(st.integers(-3, 3).map(float), st.just(float("nan"))),
)


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one >= other).all() and (one > other).any())


def by_definition(values: np.ndarray) -> list[bool]:
    whole = [not np.isnan(row).any() for row in values]
    return [
        whole[index] and not any(whole[other] and dominates(values[other], row) for other in range(len(values)))
        for index, row in enumerate(values)
    ]


@given(VALUES)
def test_the_front_is_what_no_point_dominates(values: np.ndarray) -> None:
    assert front(values).tolist() == by_definition(values)


def test_a_front_over_many_blocks(rng: np.random.Generator) -> None:
    values = rng.integers(0, 40, (3000, 3)).astype(float)
    found = front(values)
    assert found.tolist() == by_definition(values)
    # All on the front.
    line = np.stack([np.arange(2000.0), -np.arange(2000.0)], axis=1)
    assert front(line).all()


@given(VALUES, st.integers(0, 40), st.integers(0, 1 << 30))
def test_each_group_has_what_it_has_alone(values: np.ndarray, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, are_met = rng.integers(0, 4, len(values)), rng.integers(0, 4, len(values)) > 0
    fronts, firsts = front_of_each(values, groups), best_of_each(values, groups, count).tolist()
    ranked = ranked_front(values, are_met, groups).tolist()
    alone: list[int] = []
    for group in range(4):
        places = np.flatnonzero(groups == group)
        assert fronts[places].tolist() == front(values[places]).tolist()
        assert [place for place in firsts if groups[place] == group] == places[best(values[places], count)].tolist()
        met = places[are_met[places]]
        own = met[front(values[met])].tolist()
        alone += sorted(own, key=lambda place: tuple(-values[place]))
    assert firsts == sorted(firsts)
    assert [values[place].tolist() for place in ranked] == [values[place].tolist() for place in alone]
    assert sorted(ranked) == sorted(alone)


@given(VALUES, st.integers(0, 40))
def test_the_best_are_fronts_one_after_the_other(values: np.ndarray, count: int) -> None:
    found = best(values, count)
    whole = int((~np.isnan(values).any(axis=1)).sum())
    assert len(found) == min(count, whole) and found.tolist() == sorted(set(found.tolist()))
    for index in np.flatnonzero(~np.isnan(values).any(axis=1)):
        if index not in found:
            assert not any(dominates(values[index], values[each]) for each in found)


@given(
    arrays(np.float64, st.tuples(st.integers(0, 12), st.just(3)), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0, np.inf, np.nan]))
)
def test_the_tally_counts_what_each_constraint_rejects(excess: np.ndarray) -> None:
    tally = Tally("abc")
    met = [
        tally.add(np.arange(first, min(first + 5, len(excess))), excess[first : first + 5]) for first in range(0, len(excess), 5)
    ]
    broken = excess > 0
    assert np.concatenate([[], *met]).astype(bool).tolist() == (~broken.any(axis=1)).tolist()
    counts = {each.constraint: (each.points, each.alone) for each in tally.rejections}
    for index, name in enumerate("abc"):
        alone = broken[:, index] & (broken.sum(axis=1) == 1)
        assert counts.get(name, (0, 0)) == (broken[:, index].sum(), alone.sum())
    pairs = {(each.first, each.second) for each in tally.contradictions}
    for one, other in ((0, 1), (0, 2), (1, 2)):
        both = (~broken[:, one] & ~broken[:, other]).any()
        each = (~broken[:, one]).any() and (~broken[:, other]).any()
        assert (("abc"[one], "abc"[other]) in pairs) == (each and not both)
    finite = [row.max() for row in np.where(broken, excess, -np.inf) if 0 < row.max() < np.inf]
    assert tally.nearest[0] == pytest.approx(min(finite, default=np.inf))
