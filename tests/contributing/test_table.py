"""CONTRIBUTING's table and its tests are about the same things: every row has tests, every test here has a row."""

import ast
import re
import tomllib
from collections.abc import Mapping, Sequence

from tests.contributing.tree import ROOT

DATA, CODE = "tests/contributing/test_data.py", "tests/contributing/test_code.py"
COMPLETE, HOST, PROVER = "tests/hwsim/test_complete.py", "tests/hwsim/host/test_runtime.py", "tests/formal/test_prover.py"
ELSEWHERE: Mapping[str, Sequence[str]] = {
    "an instruction": (
        f"{COMPLETE}::test_an_instruction_without_its_row_fails_at_import",
        f"{CODE}::test_an_instruction_that_nothing_runs",
    ),
    "a weight format": (f"{COMPLETE}::test_a_format_without_its_row_fails_at_import", f"{CODE}::test_a_weight_format_in_models"),
    "a cache format": (f"{COMPLETE}::test_a_format_without_its_row_fails_at_import",),
    "a device for the host": (f"{HOST}::test_every_port_is_told_its_buffer",),
    "a proof": (f"{PROVER}::test_a_law_that_holds_is_proved_once_and_remembered", f"{PROVER}::test_a_law_that_breaks_is_shown"),
    "a family of networks": (f"{DATA}::test_a_family_of_networks",),
}
"""Rows whose tests are not the one of tests/contributing with the row's name."""


def rows() -> list[str]:
    """Return what each row of the tables is about."""
    lines = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    cells = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    return [cell for cell in cells if cell != "to add" and set(cell) != {"-"}]


def named_by(row: str) -> Sequence[str]:
    """Return the tests of a row: those told above, or the one with its name."""
    name = f"test_{re.sub(r'[^a-z0-9]+', '_', row.lower())}"
    files = [file for file in (DATA, CODE) if name in names_in(file)]
    return ELSEWHERE.get(row) or [f"{file}::{name}" for file in files]


def names_in(file: str) -> set[str]:
    """Return the names of a file's tests."""
    nodes = ast.parse((ROOT / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_has_a_test_that_exists() -> None:
    assert len(rows()) > 30
    for row in rows():
        assert named_by(row), f"Row {row!r} must have a test in {DATA} or {CODE}, or be in ELSEWHERE"
        for test in named_by(row):
            file, _, name = test.partition("::")
            assert name in names_in(file), f"Row {row!r} must name a test that exists, not {test}"


def test_every_test_has_a_row() -> None:
    named = {test for row in rows() for test in named_by(row)}
    for file in (DATA, CODE):
        for name in names_in(file):
            assert f"{file}::{name}" in named, f"Test {name} of {file} must have a row in CONTRIBUTING.md"
    assert ELSEWHERE.keys() <= set(rows())


def test_rows_name_places_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    places = {place for place in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if "<" not in place}
    assert len(places) > 50
    missing = sorted(place for place in places if not (ROOT / place).exists())
    assert not missing, f"CONTRIBUTING.md must name places that exist, not {', '.join(missing)}"


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    for contract in contracts:
        layers = " > ".join(contract.get("layers", [])).replace("(", "").replace(")", "")
        assert layers in text, f"CONTRIBUTING.md must have the layers {layers}"
