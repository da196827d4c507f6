"""Times put together: every second has one cause, hidden work is busy, what moved adds, and a grid is its points."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.offload.span import NOTHING, Span, move, overlapped, repeated, serial, spend
from hwsim.units import Bytes, Seconds, Value

CAUSES = ("arithmetic", "memory", "link", "drive")
POINTS = 3


@dataclasses.dataclass(frozen=True)
class Leaf:
    """Time of one cause at every point of a grid; what moves then, where something does."""

    cause: str
    times: tuple[float, ...]
    amounts: tuple[float, ...] | None


@dataclasses.dataclass(frozen=True)
class Tree:
    """Spans put together: serial, overlapped, or repeated a number of times at every point."""

    way: str
    parts: tuple[Leaf | Tree, ...]
    counts: tuple[float, ...] = (1.0,) * POINTS


numbers = st.tuples(*[st.integers(0, 50).map(float)] * POINTS)
leaves = st.builds(Leaf, st.sampled_from(CAUSES), numbers, st.none() | numbers)
trees: st.SearchStrategy[Leaf | Tree] = st.recursive(
    leaves,
    lambda inner: (
        st.builds(Tree, st.sampled_from(["serial", "overlapped"]), st.lists(inner, min_size=1, max_size=4).map(tuple))
        | st.builds(Tree, st.just("repeated"), st.tuples(inner), numbers)
    ),
    max_leaves=12,
)


def built(tree: Leaf | Tree, point: int | slice) -> Span:
    """Return the span of a tree at a point, or at all of them."""

    def at(values: tuple[float, ...]) -> Value:
        chosen = np.array(values)[point]
        return chosen if isinstance(point, slice) else float(chosen)

    if isinstance(tree, Leaf):
        time = Seconds(at(tree.times))
        return spend(tree.cause, time) if tree.amounts is None else move(tree.cause, Bytes(at(tree.amounts)), time)
    parts = [built(part, point) for part in tree.parts]
    if tree.way == "repeated":
        return repeated(parts[0], at(tree.counts))
    return serial(*parts) if tree.way == "serial" else overlapped(*parts)


def time_of(tree: Leaf | Tree, point: int) -> float:
    """Return how long a tree takes, by what its words mean."""
    if isinstance(tree, Leaf):
        return tree.times[point]
    times = [time_of(part, point) for part in tree.parts]
    if tree.way == "repeated":
        return times[0] * tree.counts[point]
    return sum(times) if tree.way == "serial" else max(times)


def busy_of(tree: Leaf | Tree, point: int, cause: str) -> float:
    """Return how long a cause works in a tree: overlap or not, work is work."""
    if isinstance(tree, Leaf):
        return tree.times[point] if tree.cause == cause else 0.0
    return sum(busy_of(part, point, cause) for part in tree.parts) * tree.counts[point]


def moved_of(tree: Leaf | Tree, point: int, link: str) -> float:
    """Return what a link moves in a tree."""
    if isinstance(tree, Leaf):
        return tree.amounts[point] if tree.amounts is not None and tree.cause == link else 0.0
    return sum(moved_of(part, point, link) for part in tree.parts) * tree.counts[point]


@given(trees)
def test_every_second_is_charged_to_one_cause(tree: Leaf | Tree) -> None:
    span = built(tree, 0)
    assert sum(charge.value for charge in span.charged.values()) == span.time.value
    assert all(charge.value >= 0 for charge in span.charged.values())


@given(trees)
def test_times_follow_from_the_tree(tree: Leaf | Tree) -> None:
    assert built(tree, 0).time.value == time_of(tree, 0)


@given(trees)
def test_hidden_work_is_busy_but_not_charged(tree: Leaf | Tree) -> None:
    span = built(tree, 0)
    for cause in CAUSES:
        busy = span.busy.get(cause, Seconds(0.0)).value
        assert busy == busy_of(tree, 0, cause)
        assert busy >= span.charged.get(cause, Seconds(0.0)).value


@given(trees)
def test_moved_bytes_add_whatever_overlaps(tree: Leaf | Tree) -> None:
    span = built(tree, 0)
    for link in CAUSES:
        assert span.moved.get(link, Bytes(0.0)).value == moved_of(tree, 0, link)


@given(trees)
def test_a_grid_is_its_points_exactly(tree: Leaf | Tree) -> None:
    grid = built(tree, slice(None))
    for point in range(POINTS):
        alone = built(tree, point)
        assert np.broadcast_to(grid.time.value, POINTS)[point] == alone.time.value
        for found, expected in ((grid.charged, alone.charged), (grid.busy, alone.busy), (grid.moved, alone.moved)):
            assert found.keys() == expected.keys()
            for name, amount in expected.items():
                assert np.broadcast_to(found[name].value, POINTS)[point] == amount.value


@given(trees)
def test_what_binds_has_the_largest_charge(tree: Leaf | Tree) -> None:
    span = built(tree, 0)
    largest = max(charge.value for charge in span.charged.values())
    assert span.charged[span.binding()].value == largest


@given(trees)
def test_shares_of_a_time_add_to_one(tree: Leaf | Tree) -> None:
    span = built(tree, 0)
    if span.time.value > 0:
        assert sum(span.share(cause) for cause in CAUSES) == pytest.approx(1.0)
    assert span.share("nobody") == 0.0


def test_of_equals_the_first_is_charged() -> None:
    span = overlapped(spend("first", Seconds(2.0)), spend("second", Seconds(2.0)))
    assert span.charged["first"].value == 2.0
    assert span.charged["second"].value == 0.0
    assert span.busy["second"].value == 2.0


def test_the_binding_cause_of_a_grid_has_the_largest_charge_over_all_points() -> None:
    often = spend("often", Seconds(np.array([1.0, 1.0, 1.0])))
    once = spend("once", Seconds(np.array([0.0, 0.0, 2.0])))
    assert serial(once, often).binding() == "often"


def test_axes_of_a_grid_broadcast() -> None:
    rows, columns = spend("rows", Seconds(np.array([[1.0], [3.0]]))), spend("columns", Seconds(np.array([2.0, 4.0])))
    assert np.asarray(serial(rows, columns).time.value).tolist() == [[3.0, 5.0], [5.0, 7.0]]
    both = overlapped(rows, columns)
    assert np.asarray(both.time.value).tolist() == [[2.0, 4.0], [3.0, 4.0]]
    assert np.broadcast_to(both.charged["rows"].value, (2, 2)).tolist() == [[0.0, 0.0], [3.0, 0.0]]


def test_nothing_adds_nothing() -> None:
    span = move("link", Bytes(7.0), Seconds(2.0))
    for found in (serial(NOTHING, span), serial(span, NOTHING), overlapped(NOTHING, span)):
        assert (found.time.value, found.charged["link"].value, found.moved["link"].value) == (2.0, 2.0, 7.0)
    assert serial().time.value == 0.0
