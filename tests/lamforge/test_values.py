"""What a fixed list of calls prints with `--json` is what it always printed: numbers, bits, cycles and digests."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.lamforge.calls import CALLS
from tests.lamforge.conftest import Command

VALUES = Path(__file__).parent / "values"
VOLATILE = {"wall_s", "memory_mb", "provenance", "folder", "generate_s", "versions"}
"""Seconds, the machine and places."""
ANSWER_TIMES = {"prefill_s", "step_s", "token_per_s"}
CLOSE = 1e-12
"""Relative difference of two numbers that different processors may compute of the same formula."""
CLOSE_FLOATS = 1e-4
"""The same of a float model's products, whose sums processors order differently."""
PARTS = {
    "estimates": [name for name in CALLS if name.startswith(("offload", "validate"))],
    "machine": [name for name in CALLS if not name.startswith(("offload", "validate"))],
}


def differences(before: Any, now: Any, close: float, path: str = "") -> list[str]:
    """Return where two documents differ; volatile entries are left out of `before`."""
    if isinstance(before, dict) and isinstance(now, dict):
        missing = [f"{path}.{name} is gone" for name in before if name not in now]
        return missing + [
            found for name in before if name in now for found in differences(before[name], now[name], close, f"{path}.{name}")
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [found for index, pair in pairs for found in differences(*pair, close, f"{path}[{index}]")]
    if isinstance(before, float) and isinstance(now, float) and math.isclose(before, now, rel_tol=close):
        return []
    return [] if type(before) is type(now) and before == now else [f"{path} was {str(before)[:60]}, is {str(now)[:60]}"]


def without(value: Any, names: set[str]) -> Any:
    """Return a document without the entries of some names."""
    if isinstance(value, dict):
        return {name: without(entry, names) for name, entry in value.items() if name not in names}
    return [without(entry, names) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("part", PARTS)
def test_values_are_what_they_were(part: str, made: Path, tmp_path: Path, command: Command) -> None:
    found = []
    for name in PARTS[part]:
        arguments = [word.format(made=made, out=tmp_path) for word in shlex.split(CALLS[name])]
        code, out, err = command(*arguments, "--json")
        assert code == 0, f"{name}: {err}"
        volatile = VOLATILE | (ANSWER_TIMES if name == "generate" else set())
        before = json.loads((VALUES / f"{name}.json").read_text())
        close = CLOSE_FLOATS if name == "evaluate" else CLOSE
        found += [f"{name}{each}" for each in differences(before, without(json.loads(out), volatile), close)]
    assert found == []


def test_a_difference_is_found() -> None:
    before = {"a": [1, {"b": 2.0}], "c": "x", "d": None}
    assert differences(before, {"a": [1, {"b": 2.0 + 1e-14}], "c": "x", "d": None, "new": 1}, CLOSE) == []
    changed: dict[str, Any] = {"a": [1.0, {"b": 2.1}], "c": "y"}
    assert differences(before, changed, CLOSE) == [".d is gone", ".a[0] was 1, is 1.0", ".a[1].b was 2.0, is 2.1", ".c was x, is y"]
    assert differences([1], [1, 2], CLOSE) == [" was [1], is [1, 2]"]
