"""Texts to plain values: numbers as people write them, and everything that is refused, at once and in a sentence."""

import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError, shown
from hwsim.plain import MOST_BYTES, Refused, from_json, from_yaml, read_json, read_yaml, set_values

VALUES = [
    ("300e6", 300_000_000),
    ("3e8", 300_000_000),
    ("3.0e+8", 3e8),
    ("2e-3", 2e-3),
    ("1_000_000", 1_000_000),
    ("0x10", 16),
    ("-3", -3),
    ("007", "007"),
    ("1.", 1.0),
    (".5", 0.5),
    ("-.inf", -math.inf),
    ("12:30:00", "12:30:00"),
    ("2026-01-01", "2026-01-01"),
    ("true", True),
    ("yes", "yes"),
    ("off", "off"),
    ("null", None),
    ("", None),
    ("'3'", "3"),
    ("9" * 41, "9" * 41),
    ("lambda:4+252", "lambda:4+252"),
    ("2 GB/s", "2 GB/s"),
    ("{a: &x text, b: *x}", {"a": "text", "b": "text"}),
    ("- 1\n- {b: [2]}", [1, {"b": [2]}]),
    ("1: a", {"1": "a"}),
    ("<<: {a: 1}", {"<<": {"a": 1}}),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text[:20] for text, _ in VALUES])
def test_values(text: str, value: object) -> None:
    found = from_yaml(text)
    assert (found, type(found)) == (value, type(value))


@given(st.integers(-(10**38), 10**38) | st.floats(allow_nan=False) | st.booleans() | st.none())
def test_what_python_writes_is_read_back(value: object) -> None:
    text = {"inf": ".inf", "-inf": "-.inf", "None": "null"}.get(str(value), str(value))
    assert from_yaml(text) == value


BOMB = "a: [" + ", ".join(f"&b{level} [{', '.join([f'*b{level - 1}' if level else 'x'] * 9)}]" for level in range(12)) + "]"
WRONG = [
    ("{a: 1, a: 2}", "line 1: the name 'a' is given twice"),
    ("a:\n  b: {c: 1, c: 2}", "line 2, a.b: the name 'c' is given twice"),
    (BOMB, "line 1, a[0]: only a text or a number may be named with &, not a list or a mapping"),
    ("a: {b: !!int no}", "line 1, a.b: a value must be written without a tag, not with '!!int'"),
    ("a: !!timestamp x", "line 1, a: a value must be written without a tag, not with '!!timestamp'"),
    ("a: !!python/object/apply:os.system [id]", "line 1, a: a value must be written without a tag, not with '!!python/*"),
    ("[" * 100_000, "line 1: *"),
    ("a: " * 1 + "{a: " * 60, "line 1, a.a.a*: it is nested deeper than 40"),
    ("a: *b", "line 1, a: nothing is called 'b'"),
    ("? [1]\n: 2", "line 1: a name must be a plain text"),
    ("--- 1\n--- 2", "line 2: a second document begins"),
    ("a: [1", "line 2, a: did not find expected ',' or ']'"),
    ("a: b: c", "line 1: mapping values are not allowed in this context"),
    ("\x00", "a character that YAML does not have"),
    ("a: \udc80", "a character that YAML does not have"),
]


@pytest.mark.parametrize(("text", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_what_is_refused(text: str, reason: str) -> None:
    began = time.perf_counter()
    with pytest.raises(Refused) as refusal:
        from_yaml(text)
    assert time.perf_counter() - began < 1
    first, star, last = reason.partition("*")
    found = str(refusal.value)
    assert found.startswith(first) and found.endswith(last) if star else found == reason, found
    assert len(found) < 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "the name 'a' is given twice"),
        ("NaN", "NaN is no number of JSON"),
        ("[" * 100_000, "it is nested deeper than 40"),
        ("9" * 5000, "Exceeds the limit"),
        ("{", "Expecting property name"),
        ('["\\ud83d\\ude00", "\\uD83d"]', "it has half of a character, which no text can hold"),
        ('{"\\udc00": 1}', "it has half of a character, which no text can hold"),
        # A quote that ends nothing, and many that begin nothing.
        ('\\"' * 200_000, "Expecting value"),
        ('\\"' * 200_000 + "\\", "Expecting value"),
    ],
)
def test_json_that_is_refused(text: str, reason: str) -> None:
    began = time.perf_counter()
    with pytest.raises(Refused, match=f"^{reason}"):
        from_json(text)
    assert time.perf_counter() - began < 1
    assert from_json('{"a": "[[[\\"["}') == {"a": '[[["['}
    assert from_json('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe", "Thing file must be readable, not 'PATH' (it is no UTF-8)"),
        (b"a: 1 #" + b"x" * MOST_BYTES, f"Thing file must have at most {MOST_BYTES} bytes, not more as 'PATH' has"),
        (b"a: [", "Thing file must be YAML, not the text of 'PATH' (line 2, a: did not find expected node content)"),
        (None, "Thing file must be readable, not 'PATH' (No such file or directory)"),
    ],
)
def test_files_that_are_refused(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError) as refusal:
        read_yaml("Thing", path, "PATH", SpecError)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(("place", "reason"), [("/dev/zero", "it is no regular file"), ("y" * 5000, "File name too long")])
def test_places_that_are_no_files_are_refused(place: str, reason: str) -> None:
    for read in (read_yaml, read_json):
        with pytest.raises(SpecError) as refusal:
            read("Thing", Path(place), place, SpecError)
        assert str(refusal.value) == f"Thing file must be readable, not {shown(place)} ({reason})"
        assert len(str(refusal.value)) < 300


def test_values_are_set_by_path() -> None:
    assert set_values(["a.b=3e8", "c={d: 1}", "e=x=y", "a.b=2", "f="]) == {"c": {"d": 1}, "e": "x=y", "a.b": 2, "f": None}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a", "Setting must read PATH=VALUE such as steps=2, not 'a'"),
        ("=3", "Setting must read PATH=VALUE such as steps=2, not '=3'"),
        ("a={", "Setting 'a' must have a value in YAML, not '{' (line 2: did not find expected node content)"),
    ],
)
def test_settings_that_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        set_values([text], "steps=2")
    assert str(refusal.value) == sentence


def test_a_value_is_shown() -> None:
    assert shown("a") == "'a'"
    assert len(shown("x" * 5000)) == 200
    assert shown(10**5000) == "a number of thousands of digits"
