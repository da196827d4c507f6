"""The study of engines for a U280 that is kept in docs/studies: its rows are what a simulation and the model say today."""

import csv
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.board import RESOURCES
from lamforge.explore.exact import exact
from lamforge.explore.space import Space
from lamforge.explore.study import load_study
from lamforge.flow.resources import fields_of_engine, resource_model
from reports.studies.u280 import NAME, kept_page, kept_table, study

DOCS = Path(__file__).parents[3] / "docs" / "studies"


def test_kept_rows_are_those_of_today(rng: np.random.Generator) -> None:
    """The fastest design of each network and a few others, simulated again."""
    with (DOCS / f"{NAME}.csv").open() as file:
        rows = list(csv.DictReader(file))
    space = Space(load_study(NAME))
    first = {row["network"]: place for place, row in reversed(list(enumerate(rows)))}
    assert set(first) == set(space.axes["network"])
    for place in {*first.values(), *rng.integers(len(rows), size=3).tolist()}:
        row = rows[place]
        values = {path: type(each[0])(row[path]) if path in row else 225e6 for path, each in space.axes.items()}
        request, memory = space.request(space.point_of(values))
        found = exact(request, memory)
        assert f"{found.token_per_s:.6g}" == row["token_per_s"], place
        assert f"{found.cycles:.6g}" == row["cycles"]
        assert f"{found.token_per_joule:.6g}" == row["token_per_joule"]
        resources = resource_model().total(fields_of_engine(request.engine))
        assert [f"{float(resources[name]):.6g}" for name in RESOURCES] == [row[name] for name in RESOURCES]


@pytest.mark.long
def test_kept_results_are_current(tmp_path: Path) -> None:
    """Where this fails, `make docs` writes them again."""
    kept = study(tmp_path / "out")
    assert kept_page(kept) == (DOCS / f"{NAME}.md").read_text()
    assert kept_table(kept) == (DOCS / f"{NAME}.csv").read_text()
