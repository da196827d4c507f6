"""Laws of a comparison over random documents, what it takes for one record, what comes first, and what is refused."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from lamforge.flow.compare import Change, DocumentComparison, Json, Leaf, Part, compare_documents, read_result
from tests.lamforge.calls import CALLS

VALUES = Path(__file__).parents[1] / "values"
NAMES = st.sampled_from(["cycles", "name", "wall_s", "versions", "fits", "parts", "causes", "of", "a.b"])
LEAVES = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([0.5, -2.0, 1e300]) | st.sampled_from(["x", "y", "f" * 64])
)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12),
    max_size=6,
)


def marked(document: dict[str, Json]) -> dict[str, Json]:
    return document | {"verb": "simulate"}


def leaves(value: Json) -> Iterator[Leaf]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value


def parts(found: DocumentComparison) -> tuple[Part, Part]:
    return found.results, found.machine


def compared(a: dict[str, Json], b: dict[str, Json], tolerance: float = 0.0) -> DocumentComparison:
    return compare_documents(marked(a), marked(b), tolerance=tolerance)


@given(DOCUMENTS)
def test_of_the_same_nothing_changed(document: dict[str, Json]) -> None:
    found = compared(document, copy.deepcopy(document))
    assert not found.is_changed and not found.machine.is_changed and found.headline is None
    assert sum(each.same for each in parts(found)) == len([*leaves(document)])


@given(DOCUMENTS, DOCUMENTS)
def test_the_other_way_round_is_the_mirror(a: dict[str, Json], b: dict[str, Json]) -> None:
    for here, there in zip(parts(compared(a, b)), parts(compared(b, a)), strict=True):
        assert here.same == there.same
        assert [(each.path, each.a, each.b, each.effect) for each in here.changes] == [
            (each.path, each.b, each.a, each.effect) for each in there.changes
        ]
        for mine, others in ((here.only_a, there.only_b), (here.only_b, there.only_a)):
            assert sorted((each.path, each.values) for each in mine) == sorted((each.path, each.values) for each in others)


@given(*[st.lists(st.sampled_from("abc"), min_size=3, max_size=9)] * 2)
def test_of_lines_too(a: list[str], b: list[str]) -> None:
    here, there = (compared({"graph": [*one]}, {"graph": [*other]}).results for one, other in ((a, b), (b, a)))
    assert (here.same, [*here.only_a], [*here.only_b]) == (there.same, [*there.only_b], [*there.only_a])
    if len(a) != len(b):
        assert here.same + len(here.only_a) == len(a) and here.same + len(here.only_b) == len(b)


@given(DOCUMENTS, DOCUMENTS)
def test_every_value_is_counted_once(a: dict[str, Json], b: dict[str, Json]) -> None:
    found = parts(compared(a, b))
    both = sum(part.same + len(part.changes) for part in found)
    assert both + sum(each.values for part in found for each in part.only_a) == len([*leaves(a)])
    assert both + sum(each.values for part in found for each in part.only_b) == len([*leaves(b)])


@given(DOCUMENTS, DOCUMENTS)
def test_those_of_the_largest_effect_come_first(a: dict[str, Json], b: dict[str, Json]) -> None:
    for part in parts(compared(a, b)):
        effects = [round(each.effect, 3) for each in part.changes]
        assert effects == sorted(effects, reverse=True)
        assert all(0 <= each <= 1 for each in effects)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_of_every_verb_one_changed_value_is_found(name: str, seed: int) -> None:
    document = read_result(VALUES / f"{name}.json")
    assert not compared(document, document).is_changed
    numbers, texts = ([path for path in places(document, kind) if path[-1] not in IDENTITY] for kind in ((int, float), str))
    path = random.Random(seed).choice(numbers or texts)
    changed: Any = copy.deepcopy(document)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = "another" if isinstance(holder[path[-1]], str) else holder[path[-1]] * 2 + 1
    found = compared(document, changed).results
    assert (len(found.changes), found.only_a, found.only_b) == (1, (), ())
    assert found.changes[0].b == holder[path[-1]] and found.changes[0].path.startswith(str(path[0]))


IDENTITY = {
    *("index", "depth", "length", "position", "context", "name", "case", "system", "set", "unit", "of", "to", "method", "at")
}


def places(value: Any, kind: type | tuple[type, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the places of the values of a kind; truths are no numbers."""
    if isinstance(value, dict | list):
        for step, each in value.items() if isinstance(value, dict) else enumerate(value):
            if not isinstance(each, dict | list):
                if isinstance(each, kind) and not isinstance(each, bool):
                    yield (step,)
            else:
                yield from ((step, *rest) for rest in places(each, kind))


def records(rng: np.random.Generator) -> list[dict[str, Any]]:
    names = [f"system {place}" for place in rng.permutation(20)]
    return [{"name": name, "token_per_s": float(value)} for name, value in zip(names, rng.random(20), strict=True)]


@pytest.mark.parametrize("key", ["name", "configuration", "constraint", "system"])
def test_records_are_matched_by_what_they_are_called(key: str, rng: np.random.Generator) -> None:
    rows: list[Any] = [{key: row["name"], "token_per_s": row["token_per_s"]} for row in records(rng)]
    shuffled = [dict(rows[place]) for place in rng.permutation(len(rows))]
    assert not compared({"rows": rows}, {"rows": shuffled}).is_changed
    shuffled[3]["token_per_s"] = 7.0
    found = compared({"rows": rows}, {"rows": shuffled[1:]}).results
    assert [each.path for each in found.changes] == [f"rows[{shuffled[3][key]}].token_per_s"]
    assert [(each.path, each.values) for each in found.only_a] == [(f"rows[{shuffled[0][key]}]", 2)]
    assert found.only_b == ()


def test_records_are_matched_by_as_many_names_as_it_takes() -> None:
    grid = [(length, depth) for length in (3, 4) for depth in (0, 1)]
    a = {"tasks": [{"length": length, "depth": depth, "right": depth == 1} for length, depth in grid]}
    b = {"tasks": [{"length": length, "depth": float(depth), "right": (length, depth) != (4, 0)} for length, depth in grid[::-1]]}
    found = compared(a, b).results
    assert [(each.path, each.a, each.b) for each in found.changes] == [("tasks[3, 0].right", False, True)]
    twice = {"tasks": [{"length": 3, "depth": 0, "right": False}] * 2}
    assert compared(twice, twice).results.same == 6


def test_a_digest_is_shown_short_and_matched_whole() -> None:
    digests = ["a" * 63 + end for end in "bc"]
    a: dict[str, Json] = {"front": [{"configuration": each, "cycles": 1} for each in digests]}
    b: dict[str, Json] = {"front": [{"configuration": each, "cycles": place} for place, each in enumerate(reversed(digests))]}
    found = compared(a, b).results
    assert [(each.path, each.b) for each in found.changes] == [("front[aaaaaaaaaaaa].cycles", 0)]


def test_lines_that_moved_are_the_same() -> None:
    found = compared({"graph": ["a", "b", "c", "d"]}, {"graph": ["new", "a", "b", "d", "e"]}).results
    assert found.same == 3
    assert [each.path for each in (*found.only_a, *found.only_b)] == ["graph[2]", "graph[0]", "graph[4]"]


def test_what_an_architect_wants_first() -> None:
    """Figures that are asked for before others of equal effect, parts by what they are of the sum, digests last."""
    causes = {"compute": 900, "memory": 100, "drain": 0}
    a: dict[str, Json] = {"other": 10.0, "token_per_s": 10.0, "cycles": 1000, "causes": causes, "program": "a" * 64, "note": "x"}
    slower = {"cycles": 1100, "causes": {"compute": 900, "memory": 199, "drain": 1}, "program": "b" * 64}
    found = compared(a, a | slower | {"other": 5.0, "token_per_s": 5.0, "note": "y"})
    assert [each.path for each in found.results.changes] == [
        *("note", "token_per_s", "other", "cycles", "causes.memory", "causes.drain", "program")
    ]
    parts = {each.path: each for each in found.results.changes}
    assert parts["causes.memory"].share_of_whole == pytest.approx(99 / 1100)
    assert parts["causes.drain"].share is None and parts["causes.drain"].effect == pytest.approx(1 / 1100)
    assert parts["token_per_s"].share == -0.5
    assert found.headline is not None and found.headline.path == "token_per_s"


def test_parts_that_do_not_add_up_are_no_parts() -> None:
    a: dict[str, Json] = {"total": {"lut": 5000.0, "dsp": 30.0}}
    found = compared(a, {"total": {"lut": 5000.0, "dsp": 45.0}}).results
    assert [(each.path, each.whole, each.share) for each in found.changes] == [("total.dsp", None, 0.5)]


@pytest.mark.parametrize(
    ("a", "b", "effect"),
    [(1, 2, 0.5), (2, 1, 0.5), (0, 3, 1), (-1, 1, 1), ("x", "y", 1), (None, 4, 1), (True, 1, 1), (1e300, -1e300, 1)],
)
def test_effects(a: Leaf, b: Leaf, effect: float) -> None:
    assert Change(path="x", a=a, b=b).effect == effect


def test_times_of_the_machine_are_no_results() -> None:
    a: dict[str, Json] = {"cycles": 3, "wall_s": 1.0, "provenance": {"python": "3.11", "machine": {"cores": 2}}}
    b: dict[str, Json] = {"cycles": 3, "wall_s": 2.0, "provenance": {"python": "3.12", "machine": {"cores": 2}}, "folder": "x"}
    found = compared(a, b)
    assert not found.is_changed and found.results.same == 1
    assert [each.path for each in found.machine.changes] == ["provenance.python", "wall_s"]
    assert [each.path for each in found.machine.only_b] == ["folder"]
    reply: dict[str, Json] = {"verb": "generate", "text": "x", "token_per_s": 3.0}
    assert not compare_documents(reply, reply | {"token_per_s": 4.0}).is_changed
    demo: dict[str, Json] = {"verb": "demo", "generation": {"token_per_s": 1.0}, "decode": {"token_per_s": 1.0}}
    faster = {each: {"token_per_s": 2.0} for each in ("generation", "decode")}
    assert [each.path for each in compare_documents(demo, demo | faster).results.changes] == ["decode.token_per_s"]
    bench: dict[str, Json] = {"verb": "study bench", "simulator_s": 3.0}
    assert compare_documents(bench, bench | {"simulator_s": 4.0}).is_changed


def test_a_tolerance_hides_what_is_as_close() -> None:
    a: dict[str, Json] = {"cycles": 1000, "token_per_s": 1.0, "fits": True}
    b: dict[str, Json] = {"cycles": 1010, "token_per_s": 1.02, "fits": True}
    assert [each.path for each in compared(a, b, 0.01).results.changes] == ["token_per_s"]
    assert not compared(a, b, 0.02).is_changed
    assert compared(a, a | {"fits": 1}, 0.5).is_changed


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_tolerance_that_is_no_share_is_refused(tolerance: float) -> None:
    with pytest.raises(SpecError, match="^Tolerance must be a share from 0 to below 1, not "):
        compared({}, {}, tolerance)


def test_other_verbs_are_refused() -> None:
    with pytest.raises(SpecError, match="^Results must be of the same verb, not of synth in 'a' and of simulate in 'b'$"):
        compare_documents({"verb": "synth"}, {"verb": "simulate"}, names=("a", "b"))
    timing, program = (read_result(VALUES / f"{name}.json") for name in ("simulate-small", "compile-small"))
    with pytest.raises(
        SpecError, match="^Results must be of the same verb, not documents with .* names in common, as in 'A' and 'B'$"
    ):
        compare_documents(timing, program | {"verb": "compile"})
    assert compare_documents(timing, timing | {"verb": "simulate"}).verb == "simulate"
    assert compare_documents(timing, timing).verb is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "Result file must be JSON, not the text of '{path}' ("),
        ("[1]", "Result must be the JSON object that a verb prints, not [1] in '{path}'"),
        ('{"a": NaN}', "Result file must be JSON, not the text of '{path}' (NaN is no number of JSON)"),
    ],
)
def test_what_is_no_result_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(SpecError) as refusal:
        read_result(path)
    assert str(refusal.value).startswith(sentence.format(path=path))


def test_a_large_document_takes_no_time(rng: np.random.Generator) -> None:
    """Of a hundred thousand values."""
    rows = [{"name": str(place), "values": rng.random(9).tolist()} for place in range(10_000)]
    changed = json.loads(json.dumps(rows))
    changed[77]["values"][3] = 2.0
    assert [each.path for each in compared({"rows": rows}, {"rows": changed}).results.changes] == ["rows[77].values[3]"]
