"""The benchmark of sweeps measures exact points: of what changes from one to the next, under two memories, equal to whole runs."""

import dataclasses

import pytest

from hwsim.errors import MachineError
from reports.studies import bench


def test_points_equal_whole_runs_or_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_POINTS", 3)
    monkeypatch.setattr(bench, "_WHOLE_POINTS", 1)
    found = bench.sweep_rates()
    assert {(each.memory, each.changes) for each in found} == {(m, c) for m in ("ideal", "hbm2") for c in ("program", "timing")}
    assert all(each.points_per_s > 0 and each.whole_per_s > 0 for each in found)
    exact = bench.exact
    monkeypatch.setattr(bench, "exact", lambda *design: dataclasses.replace(exact(*design), cycles=1))
    with pytest.raises(MachineError, match="must take the cycles of whole runs"):
        bench.sweep_rates()
