"""How far the model of resources is off: what its engines say, and another model is further off."""

import dataclasses

import numpy as np
import pytest

from hwsim.arch.board import RESOURCES
from lamforge.explore import resource_errors as module
from lamforge.explore.resource_errors import resource_errors, synthesized_engines
from lamforge.flow.resources import Fields, resource_model


def test_errors_are_those_of_the_engines() -> None:
    fields, synthesized = synthesized_engines()
    found = resource_model().total(fields)
    assert tuple(each.resource for each in resource_errors()) == RESOURCES
    for each in resource_errors():
        some = np.flatnonzero(synthesized[each.resource])
        off = [abs(found[each.resource][place] - synthesized[each.resource][place]) for place in some]
        shares = sorted(value / synthesized[each.resource][place] for value, place in zip(off, some, strict=True))
        assert (each.engines, each.worst) == (len(some), pytest.approx(shares[-1]))
        assert shares[0] <= each.median <= shares[-1] or each.median == pytest.approx(shares[0])


def test_a_model_that_says_twice_as_much_is_a_whole_off(monkeypatch: pytest.MonkeyPatch) -> None:
    _, synthesized = synthesized_engines()

    @dataclasses.dataclass
    class Double:
        def total(self, fields: Fields) -> dict[str, np.ndarray]:
            return {name: 2 * values for name, values in synthesized.items()}

    monkeypatch.setattr(module, "resource_model", Double)
    assert all((each.median, each.worst) == (1.0, 1.0) for each in resource_errors.__wrapped__())
