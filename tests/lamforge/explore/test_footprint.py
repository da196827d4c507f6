"""What points take of their boards: resources by circuit, and how full the fullest SLR gets."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from hwsim.arch.board import RESOURCES, Board, load_board
from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError
from lamforge.explore.exploration import ExploreRequest, run
from lamforge.explore.footprint import footprint, footprint_of, fullness
from lamforge.explore.rows import Rows
from lamforge.explore.space import Space
from lamforge.explore.study import Study, study_of
from lamforge.flow import synth
from lamforge.flow.resources import fields_of_engine, resource_model
from lamforge.flow.synth import spread_over_slrs
from rtl.synthesis import Estimate, Part

SPECS = Path(__file__).parents[3] / "hwsim" / "specs"


def study(**changes: object) -> Study:
    document: dict[str, object] = {
        "base": {
            "network": "llama-2-7b",
            "engine": "u280",
            "context": 2048,
            "engine.buffer.activation_segments": 512,
            "engine.buffer.residual_words": 512,
            "engine.buffer.parameter_words": 512,
        },
        "axes": {
            "engine.tile.ports": [2, 32],
            "engine.tile.tokens": [2, 4],
            "engine.buffer.result_words": [2048, 8192],
            "engine.clock_hz": [2e8, 3e8],
        },
        "constraints": {"fits": "board"},
    }
    return study_of(document | changes)


def engines(space: Space, points: np.ndarray) -> list[EngineConfig]:
    return [space.request(int(point))[0].engine for point in points]


def test_points_have_the_resources_of_their_engines() -> None:
    space = Space(study())
    points = np.arange(space.size)
    found = footprint(points, space.columns(points))
    assert len(found.fields["tile.ports"]) == space.size / 2, "clocks share a circuit"
    block = Rows(space, "x").closed(points)
    for place, engine in enumerate(engines(space, points)):
        alone = resource_model().total(fields_of_engine(engine))
        for name in RESOURCES:
            assert block.metrics[name][place] == float(alone[name]), (name, place)


def test_the_fullest_slr_is_that_of_synth() -> None:
    """The same floorplan and board as `lamforge synth`, from the model's parts."""
    board = load_board("u280")
    fill = board.fill.value
    space = Space(study())
    for engine in engines(space, np.arange(space.size)):
        circuit = footprint_of(engine)
        parts = tuple(
            Part(
                unit=name.partition("/")[0],
                name=name.partition("/")[2],
                count=1,
                resources={key: float(np.ravel(v)[0]) for key, v in each.items()},
            )
            for name, each in circuit.parts.items()
        )
        slrs = spread_over_slrs(Estimate(engine="x", parts=parts, tool="none"), engine, board)
        shares, place = fullness(circuit, board)
        for name in RESOURCES:
            every = [slr.used[name] / (slr.free[name] * fill.share(name)) for slr in slrs]
            assert float(shares[name][0]) == pytest.approx(max(every), rel=1e-12)
            if name == RESOURCES[int(place[0, 0])]:
                assert max(range(len(every)), key=every.__getitem__) == int(place[1, 0])


def test_what_fits_no_slr_is_rejected_by_the_resource_that_does_not() -> None:
    space = Space(study())
    rows = Rows(space, "x")
    block = rows.closed(np.arange(space.size))
    names = [f"board {name}" for name in RESOURCES]
    shares = np.stack([block.excess[:, rows.constraints.index(name)] for name in names], axis=1)
    values = [space.values(point) for point in range(space.size)]
    for place, each in enumerate(values):
        if each["engine.tile.ports"] == 32:
            assert (shares[place, RESOURCES.index("bram36")] > 0) == (each["engine.buffer.result_words"] == 8192)
        assert (shares[place, RESOURCES.index("lut")] > 0) == (each["engine.tile.ports"] == 32 and each["engine.tile.tokens"] == 4)
        fullest, _, slr = str(block.notes["fullest"][place]).partition(" in ")
        assert fullest == RESOURCES[int(shares[place].argmax())]
        assert slr in ("SLR0", "SLR1", "SLR2")


def test_engines_that_cannot_be_built_take_nothing() -> None:
    space = Space(study(axes={"engine.fetch.fifo_beats": [8, 4096]}))
    block = Rows(space, "x").closed(np.arange(2))
    assert np.isnan(block.metrics["lut"][0]) and block.metrics["lut"][1] > 0
    assert block.metrics["price_usd"].tolist() == [7500, 7500]
    assert block.notes["fullest"].tolist()[0] == ""


def test_circuits_of_the_front_are_synthesized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[EngineConfig] = []

    # A board of one's own, which no name stands for.
    board_file = tmp_path / "mine.yaml"
    board_file.write_text((SPECS / "boards" / "u280.yaml").read_text().replace("name: u280\n", "name: mine\n", 1))

    def counted(request: synth.SynthRequest) -> synth.Synthesis:
        assert isinstance(request.engine, EngineConfig) and isinstance(request.board, Board)
        asked.append(request.engine)
        parts = (Part(unit="matrix", name="slice", count=1, resources=dict.fromkeys(RESOURCES, 100.0)),)
        slrs = spread_over_slrs(Estimate(engine="x", parts=parts, tool="none"), request.engine, request.board)
        return synth.Synthesis(
            engine=request.engine, board=request.board, tool="none", parts=parts, slrs=slrs, ranking=None, synthesis_s=0.0
        )

    monkeypatch.setattr(synth, "run", counted)
    axes = {"engine.tile.tokens": [2, 4], "engine.clock_hz": [2e8, 3e8]}
    base = {"network": "smollm2-135m", "engine": "small", "context": 256, "board": str(board_file)}
    goals = {"token_per_s": "maximize", "engine.tile.tokens": "maximize", "engine.clock_hz": "minimize"}
    document = study_of({"base": base, "axes": axes, "objectives": goals})
    found = run(ExploreRequest(document, output=tmp_path / "out", synth="exact"))
    circuits = {each.values["engine.tile.tokens"] for each in found.front}
    assert [each.tile.tokens for each in asked] == [each.engine.tile.tokens for each in found.synthesized]
    assert {each.tile.tokens for each in asked} == circuits and len(asked) == len(circuits)
    assert sum(each.designs for each in found.synthesized) == len(found.front)
    for each in found.synthesized:
        assert each.off["lut"] == each.model["lut"] / 100 - 1
        assert each.fits
        assert each.full["uram"] == 100 / (320 * 0.8)
    assert (tmp_path / "out" / "synthesis.csv").read_text().count("\n") == len(asked) + 1


def test_synthesis_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Synth must be model or exact, not 'both'"):
        run(ExploreRequest(study(), output=tmp_path, synth=cast(Any, "both")))
    with pytest.raises(SpecError, match="Synth must be model where there are placements"):
        run(ExploreRequest("placement", output=tmp_path, synth="exact"))
