"""A verb takes its request's fields, reads numbers and places as people give them, and refuses what does not belong."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lamforge
from lamforge.flow.verb import verb


@dataclasses.dataclass(frozen=True, kw_only=True)
class AskRequest:
    """A question.

    Attributes:
        count: how often.
        folder: where to.
        name: as it is.
    """

    count: int = dataclasses.field(kw_only=False)
    folder: Path = Path("there")
    name: str | Path = "x"


def run(request: AskRequest) -> AskRequest:
    """Return the question.

    Raises:
        SpecError: never.
    """
    return request


ask = verb("group.ask", AskRequest, run)


def test_a_verb_is_its_request_and_its_run() -> None:
    assert (ask.__name__, ask.__qualname__, ask.__module__) == ("ask", "group.ask", run.__module__)
    assert list(inspect.signature(ask).parameters) == ["count", "folder", "name"]
    assert inspect.signature(ask).return_annotation == "AskRequest"
    assert "Return the question." in ask.__doc__ and "count: how often." in ask.__doc__
    assert ask(3) == AskRequest(3)


def test_numbers_of_arrays_and_texts_of_places_are_read() -> None:
    found = ask(np.int16(3), folder="here", name="name")
    assert type(found.count) is int
    assert (found.folder, found.name) == (Path("here"), "name")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lamforge.simulate("build/x", layers="w4"), "Formats must be left to the model, which has its own, not given"),
        (lambda: lamforge.simulate(workload="smollm2-135m", context=256, prompt=8, program="decode2"), "Program must be left out"),
        (lambda: lamforge.offload.run("gpu-a100", prompt=3.7), "Prompt must be a whole number from 1 to 16777216, not 3.7"),
        (lambda: lamforge.offload.run("gpu-a100", batch=True), "Batch must be a whole number from 1 to 16777216, not True"),
        (lambda: lamforge.dummy("smollm2-135m", output="never", seed=-1), "Seed must be at least 0, not -1"),
        (lambda: lamforge.export(lamforge.list("engines"), output="never"), "Model must be a compressed model, its folder or what"),
    ],
)
def test_what_does_not_belong_is_refused(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(lamforge.LamforgeError) as refusal:
        call()
    assert str(refusal.value).startswith(sentence)


def test_results_are_short_to_read() -> None:
    timing = lamforge.simulate(workload="smollm2-135m", context=256)
    assert len(repr(timing)) < 400
    assert copy.copy(timing).cycles == timing.cycles
