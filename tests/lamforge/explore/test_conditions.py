"""Conditions over arrays are what Python says of every point."""

import builtins
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from lamforge.explore.conditions import Condition

NUMBERS = ("attention.sinks", "batch", "engine.channel_bytes", "engine.clock_hz")
TEXTS = ("layers.format", "memory")
COLUMNS = {
    "attention.sinks": np.array([0, 1, 4, 0, 7]),
    "batch": np.array(2),
    "engine.channel_bytes": np.array([1 << 34, 1 << 20, 1 << 34, 3, 1]),
    "engine.clock_hz": np.array([2.25e8, 1e8, 1.0, 4.0, 0.5]),
    "layers.format": np.array(["w2", "w4", "w2s", "w8", "w4"]),
    "memory": np.array("hbm2"),
}
numbers = st.recursive(
    st.one_of(st.sampled_from(NUMBERS), st.integers(0, 1 << 40).map(str), st.sampled_from(["0.5", "1e9", "3"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: "({} {} {})".format(*parts)),
        inner.map(lambda part: f"(-{part})"),
    ),
    max_leaves=4,
)
texts = st.one_of(st.sampled_from(TEXTS), st.sampled_from(["'w4'", "'hbm2'", "'w2s'"]))
signs = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
comparisons = st.one_of(
    *(st.tuples(kind, signs, kind).map(" ".join) for kind in (numbers, texts)),
    st.tuples(numbers, signs, numbers, signs, numbers).map(" ".join),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: "({} {} {})".format(*parts)),
        inner.map(lambda part: f"(not {part})"),
    ),
    max_leaves=4,
)


def of_python(text: str, point: int) -> bool:
    """Return what Python's own evaluation says of a point, names by path being attributes."""
    names: dict[str, object] = {}
    for path, values in COLUMNS.items():
        value = np.broadcast_to(values, (5,))[point].item()
        outer, *inner = path.split(".")
        if inner:
            names.setdefault(outer, types.SimpleNamespace())
            setattr(names[outer], inner[0], value)
        else:
            names[outer] = value
    evaluate = builtins.eval
    return bool(evaluate(text, {}, names))


@given(conditions)
def test_conditions_are_what_python_says(text: str) -> None:
    try:
        expected = [of_python(text, point) for point in range(5)]
    except ZeroDivisionError:
        with pytest.raises(SpecError, match="must not divide by zero"):
            Condition(text).holds(COLUMNS)
        return
    found = np.broadcast_to(Condition(text).holds(COLUMNS), (5,))
    assert found.tolist() == expected


def test_names_are_told() -> None:
    condition = Condition("2 * engine.fetch.burst_beats <= engine.fetch.fifo_beats and weights.format == 'w4'")
    assert [place.path for place in condition.places] == ["engine.fetch.burst_beats", "engine.fetch.fifo_beats", "layers.format"]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true') == 0",
        "engine.tile.tokens[0] > 1",
        "(lambda: 1)() > 0",
        "engine.tile.tokens ** 2 > 1",
        "batch in [1, 2]",
        "batch > True",
        "f'{batch}' == '1'",
        "[x for x in batch] == batch",
        "batch // 2 == 1",
        "(batch := 2) > 1",
        "1j > batch",
        "batch if batch else batch",
    ],
)
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="Study condition must be of names by path, numbers, texts"):
        Condition(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("batch", "Study condition must compare something, not be 'batch'"),
        ("bach > 1", "Study condition name must be a path of a design such as 'batch', not 'bach'"),
        ("batch > 'a'", "Study condition must join numbers with numbers or texts with texts in \"batch > 'a'\""),
        ("memory + 1 > 2", "Study condition must join numbers in 'memory + 1'"),
        ("not batch", "Study condition must join a comparison in 'not batch'"),
        ("batch > 1 and batch", "Study condition must join comparisons in 'batch > 1 and batch'"),
    ],
)
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        Condition(text)
    assert str(error.value) == sentence


@pytest.mark.parametrize("text", ["batch >", "", "a" * 501, "(" * 400 + "1" + ")" * 400, "-" * 300 + "1 > 0"])
def test_what_cannot_be_parsed_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="Study condition must"):
        Condition(text)


@pytest.mark.parametrize(
    "text", ["1e400 - 1e400 < batch", "1e400 * 0 < batch", "engine.clock_hz * 1e308 > 1", "batch / 2 < 1" + "0" * 400]
)
def test_numbers_beyond_floating_point_are_refused_or_exact_and_never_a_warning(text: str) -> None:
    try:
        assert Condition(text).holds(COLUMNS).all()
    except SpecError as error:
        assert "must be of numbers that can be calculated with" in str(error)
