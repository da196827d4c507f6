"""Lengths of prompts as `lamforge evaluate` takes them."""

import pytest

from hwsim.errors import SpecError
from lamforge.cli.evaluate import _lengths


@pytest.mark.parametrize(("text", "lengths"), [(None, ()), ("200", (200,)), ("200, 900,200", (200, 900))])
def test_lengths(text: str | None, lengths: tuple[int, ...]) -> None:
    assert _lengths(text) == lengths


@pytest.mark.parametrize("text", ["", "200,", "-3", "2e3", "²"])
def test_lengths_that_are_none(text: str) -> None:
    with pytest.raises(SpecError, match="^Lengths must be whole numbers between commas, such as 200,900, not "):
        _lengths(text)
