"""Two results become one: layers of the one below, of the other from there on, and a report that says so."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import SpecError
from models.distill.result import Result, merge, read_result
from models.matrices import FINAL_NORM, layer_of
from tests.models.distill.small import SETTINGS, integer_model, small_checkpoint, small_prepared, small_training


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a result, and one that went on from it."""
    place = tmp_path_factory.mktemp("merging")
    prepared = small_prepared(small_checkpoint(place))
    first = small_training(prepared, dataclasses.replace(SETTINGS, steps=3))
    first.open(place / "first.npz")
    first.run(place / "first.npz", deadline=time.monotonic() + 1e6)
    first.finish(place / "first", is_measured=False)
    other = dataclasses.replace(SETTINGS, steps=4, block_share=0.0, weight_rate=0.05, norm_rate=0.05)
    second = small_training(prepared, other, start=read_result(place / "first"))
    second.open(place / "second.npz")
    second.run(place / "second.npz", deadline=time.monotonic() + 1e6)
    second.finish(place / "second", is_measured=False)
    return place / "first", place / "second"


def equal(one: Result, other: Result, name: str) -> bool:
    if name in one.gains:
        return np.array_equal(one.gains[name], other.gains[name])
    found, wanted = one.matrices[name], other.matrices[name]
    return all(np.array_equal(getattr(found, each.name), getattr(wanted, each.name)) for each in dataclasses.fields(found))


def test_layers_come_from_the_one_and_the_other(folders: tuple[Path, Path], tmp_path: Path) -> None:
    merge(*folders, tmp_path / "merged", from_layer=1)
    first, second, merged = (read_result(folder) for folder in (*folders, tmp_path / "merged"))
    names = [*merged.matrices, *merged.gains]
    assert set(names) == {*first.matrices, *first.gains}
    assert any(not equal(first, second, name) for name in names if name != FINAL_NORM and layer_of(name) == 0)
    assert any(not equal(first, second, name) for name in names if name != FINAL_NORM and layer_of(name) == 1)
    for name in names:
        of = first if name != FINAL_NORM and layer_of(name) < 1 else second
        assert equal(merged, of, name), name
    assert merged.digest not in (first.digest, second.digest)
    assert integer_model(merged, small_checkpoint(tmp_path)).matrices


def test_the_report_says_what_was_merged_and_claims_no_perplexity(folders: tuple[Path, Path], tmp_path: Path) -> None:
    merge(*folders, tmp_path, from_layer=1)
    first, second, merged = (read_result(folder) for folder in (*folders, tmp_path))
    assert merged.settings == second.settings
    assert merged.report["merged"] == {"from_layer": 1, "first": first.summary(), "second": second.summary()}
    assert not {"perplexities", "log", "start"} & set(merged.report)


@pytest.mark.parametrize("layer", [0, 2, -1])
def test_neither_may_be_left_without_layers(folders: tuple[Path, Path], tmp_path: Path, layer: int) -> None:
    with pytest.raises(SpecError) as refusal:
        merge(*folders, tmp_path / "merged", from_layer=layer)
    assert str(refusal.value) == f"Layer to merge from must be from 1 to 1, not {layer}"
    assert not list(tmp_path.iterdir())


def test_the_second_must_have_begun_as_the_first(folders: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = folders
    with pytest.raises(SpecError) as refusal:
        merge(second, first, tmp_path / "merged", from_layer=1)
    digest = read_result(second).digest[:16]
    assert str(refusal.value) == f"Second result must have begun from the first, {digest}, not from None"
    assert not list(tmp_path.iterdir())
