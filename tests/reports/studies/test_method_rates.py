"""The benchmark of compression methods has a row for each that computes."""

from models.checkpoint import load
from models.compress import METHODS
from reports.studies.bench import method_rates


def test_every_method_has_a_rate() -> None:
    found = method_rates(load("smollm2-135m"))
    assert [each.method for each in found] == [name for name in METHODS if name != "distill"]
    print(*(f"{each.method} {each.parameters_per_s:,.0f}" for each in found), sep="\n")
    assert all(each.parameters_per_s > 0 for each in found)
