"""The study of resources: it finds the laws of a made-up circuit, goes on where it was stopped, and refuses what cannot be."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.board import RESOURCES
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import SpecError
from lamforge.cli.main import main
from lamforge.flow.resources import ENGINES, ORIGIN, PARTS, ResourceModel, engine_runs, fields_of_engine, part_runs
from lamforge.flow.verb import SILENT, Listener
from reports.documents.studies import resources_document
from reports.studies.resources import ResourcesRequest, ResourceStudy, run
from reports.studies.resources.circuits import _pace, circuits
from reports.studies.resources.engines import VALUES, differing_in_one_field, drawn, memory_shapes, row_pairs, settings_of, slices
from reports.studies.resources.study import changed_parts
from reports.text.studies import resources_text
from rtl.matrix.region import shares_of
from rtl.matrix.stages import check_stages
from rtl.synthesis.circuit import SLICE, Circuit, CircuitPart, Wanted, circuit
from rtl.synthesis.estimate import estimate

Law = Callable[[EngineConfig], tuple[int, dict[str, float], tuple[object, ...]]]
"""Copies, resources of one copy, and what its Verilog depends on."""


def bits(count: int) -> int:
    return count.bit_length() - 1


LAWS: Mapping[str, Law] = {
    "control/own": lambda of: (1, {"lut": 100 + 7 * bits(of.control.program_words)}, (of.control.program_words,)),
    "control/watchdog": lambda of: (1, {"ff": 20}, (of.control.watchdog_cycles,)),
    "fetch/stream_port": lambda of: (
        of.tile.ports,
        {"lut": 20 * of.tile.slices_per_port + 3 * bits(of.fetch.fifo_beats), "bram36": of.tile.slices_per_port / 2},
        (of.tile.port_bits, of.fetch.fifo_beats),
    ),
    "memories/residual": lambda of: (
        of.vector.lanes,
        {"bram36": max(0.5, of.buffer.residual_words / 1024)},
        (of.buffer.residual_words, of.vector.lanes),
    ),
    SLICE: lambda of: (
        of.tile.slices,
        {
            "lut": 500 * of.tile.nibble_rows + 90 * (of.tile.tokens - of.tile.nibble_rows) + 32 * of.lane_bits,
            "dsp": 8 * ((of.tile.nibble_rows + 1) // 2),
        },
        (of.tile.nibble_rows, of.tile.tokens, of.lane_bits, of.mixed_lanes),
    ),
}
"""A circuit that is made up."""


def made_up(engine: EngineConfig, wanted: Wanted, folder: Path) -> Circuit:
    found = {}
    for part, law in LAWS.items():
        copies, resources, form = law(engine)
        is_synthesized = wanted is Wanted.WHOLE or part == SLICE if wanted is not Wanted.MEMORIES else part != SLICE
        all_copies = tuple(copies * resources.get(name, 0.0) for name in RESOURCES)
        found[part] = CircuitPart(
            form=repr(form), copies=copies, resources=all_copies if is_synthesized and wanted is not Wanted.FORMS else None
        )
    if wanted is Wanted.SLICE:
        alone = found[SLICE]
        assert alone.resources is not None
        share = tuple(value / alone.copies for value in alone.resources)
        return {SLICE: dataclasses.replace(alone, copies=1, resources=share)}
    return found


class Stopped(Exception):
    """Ends a run as a signal does."""


class Counted:
    """Makes made-up circuits, and stops at some number of them."""

    def __init__(self, most: int | None = None):
        self.count, self.most = 0, most

    def __call__(self, engine: EngineConfig, wanted: Wanted, folder: Path) -> Circuit:
        if self.count == self.most:
            raise Stopped
        self.count += 1
        return made_up(engine, wanted, folder)


class Heard(Listener):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.notes: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def progress(self, name: str, fraction: float, note: str = "") -> None:
        self.notes.append(f"{name} {fraction} {note}")


def request(folder: Path, *, is_whole: bool = True, seed: int = 3) -> ResourcesRequest:
    place = ResourcesRequest(output=folder / "out", cache=folder / "kept", engines=64, seed=seed, workers=1, shipped=("tiny",))
    return dataclasses.replace(place, is_whole=is_whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ResourceStudy:
    return run(request(tmp_path_factory.mktemp("whole")), make=made_up)


def test_the_laws_of_the_circuit_are_found(whole: ResourceStudy) -> None:
    model = ResourceModel(part_runs((whole.output / PARTS).read_text()))
    for engine in drawn(40, seed=8):
        found = model.total(fields_of_engine(engine))
        laws = [law(engine)[:2] for law in LAWS.values()]
        for name in RESOURCES:
            assert found[name] == pytest.approx(sum(count * each.get(name, 0) for count, each in laws), rel=5e-3), (name, engine)


def test_parts_depend_on_what_changes_their_verilog(whole: ResourceStudy) -> None:
    assert whole.dependent["control/own"] == ("control.program_words",)
    assert whole.dependent["fetch/stream_port"] == ("tile.port_bits", "fetch.fifo_beats")
    assert whole.dependent["memories/residual"] == ("vector.lanes", "buffer.residual_words")
    assert set(whole.dependent[SLICE]) >= {"tile.ports", "tile.tokens", "tile.nibble_tokens", "buffer.activation_segments"}
    assert whole.contradicted == ()
    assert {run.part: run.copies for run in part_runs((whole.output / PARTS).read_text())} == {
        "control/own": "one",
        "control/watchdog": "one",
        "fetch/stream_port": "ports",
        "memories/residual": "lanes",
        SLICE: "slices",
    }


def test_engines_that_are_kept_apart_are_not_in_the_model(whole: ResourceStudy) -> None:
    fields, resources = engine_runs((whole.output / ENGINES).read_text())
    seen = {
        run.fields["control.watchdog_cycles"] for run in part_runs((whole.output / PARTS).read_text()) if "watchdog" in run.part
    }
    assert len(resources["lut"]) == whole.apart == 32
    assert not seen & set(fields["control.watchdog_cycles"].tolist())
    assert whole.off["lut"].worst < 5e-3
    assert whole.off["dsp"].exact == 16
    text = resources_text(whole)
    assert text.startswith("Over 16 engines that it has not seen, the model of 49 is off by 0.0")
    assert resources_document(whole)["off"]["dsp"]["exact"] == 16


def test_a_run_that_was_stopped_goes_on(whole: ResourceStudy, tmp_path: Path) -> None:
    everything = Counted()
    run(request(tmp_path / "at once"), make=everything)
    for most in (0, 100):
        with pytest.raises(Stopped):
            run(request(tmp_path), make=Counted(most))
        assert not (tmp_path / "out").exists()
    rest = Counted()
    run(request(tmp_path), make=rest)
    assert rest.count == everything.count - 100
    for name in (PARTS, ENGINES, ORIGIN):
        assert (tmp_path / "out" / name).read_text() == (whole.output / name).read_text()
    # What is there is not made again.
    heard = Heard()
    run(request(tmp_path), heard, make=Counted(0))
    assert heard.said == heard.notes == []


def test_a_run_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    run(request(tmp_path, is_whole=False), heard, make=made_up)
    assert heard.said[-1] == "whole of 64 engines, 0 of which are kept"
    assert re.fullmatch(r"whole of 64 engines 1\.0 [\d,]+ an hour, 0 min left", heard.notes[-1])
    assert _pace(10, 40, 1800) == "20 an hour, 1.5 h left"
    assert _pace(10, 15, 1800) == "20 an hour, 15 min left"
    monkeypatch.setattr("reports.studies.resources.circuits._SAID_EVERY_S", 0)
    run(request(tmp_path, is_whole=False, seed=4), heard, make=made_up)
    assert re.fullmatch(r"whole of 64 engines: 64 done, [\d,]+ an hour, 0 min left", heard.said[-1])


def test_a_part_that_nothing_counts_is_refused(tmp_path: Path) -> None:
    def strange(engine: EngineConfig, wanted: Wanted, folder: Path) -> Circuit:
        part = CircuitPart(form="", copies=3 * engine.tile.ports, resources=None)
        return {**made_up(engine, wanted, folder), "fetch/strange": part}

    with pytest.raises(
        SpecError, match=r"^Copies of fetch/strange must be of one, has_regions, ports, slices, .*, not 192 with tile.ports 64, "
    ):
        run(request(tmp_path), make=strange)
    assert not (tmp_path / "out").exists()


def test_a_part_whose_fields_do_not_decide_it_is_told(tmp_path: Path) -> None:
    def hidden(engine: EngineConfig, wanted: Wanted, folder: Path) -> Circuit:
        # Two fields that must change together: no change of one shows it.
        form = engine.fetch.burst_beats == 2 and engine.buffer.scales == 8 and engine.vector.lanes == 16
        odd = CircuitPart(form=str(form), copies=1, resources=(7.0 if form else 1.0,) * 5)
        return {**made_up(engine, wanted, folder), "mover/odd": odd}

    found = run(request(tmp_path), make=hidden)
    assert found.contradicted == ("mover/odd",)
    assert [run.resources[0] for run in part_runs((found.output / PARTS).read_text()) if run.part == "mover/odd"] == [7.0]
    assert "Engines with the same fields have different circuits of mover/odd: the largest was taken." in resources_text(found)


def test_parts_that_have_changed_are_named(whole: ResourceStudy, tmp_path: Path) -> None:
    def changed(engine: EngineConfig, wanted: Wanted, folder: Path) -> Circuit:
        parts = dict(made_up(engine, wanted, folder))
        del parts["control/watchdog"]
        return {**parts, "control/own": dataclasses.replace(parts["control/own"], form="another")}

    assert changed_parts(whole.origin, tmp_path, made_up) == {"tiny": (), "small": ()}
    assert changed_parts(whole.origin, tmp_path, changed)["small"] == ("control/own", "control/watchdog")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--engines", "3"], "Engines must be at least 4, of which one is kept apart, not 3"),
        (["--seed", "-1"], "Seed must be at least 0, not -1"),
        (["--workers", "0"], "Workers must be 1 to 1024, not 0"),
        (["--output", "FILE"], "Output must be a folder that can be written, not 'FILE'"),
        (["--output", "FILE/below"], "Output must be a folder that can be written, not 'FILE/below'"),
    ],
)
def test_refusals(
    options: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("")
    with pytest.raises(SystemExit) as stop:
        main(["study", "resources", *options])
    assert stop.value.code == 2
    assert text in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


def test_drawn_engines_have_every_pair_of_rows_and_can_be_built() -> None:
    engines = drawn(ResourcesRequest().engines, seed=0)
    assert engines[:10] == drawn(10, seed=0)
    assert engines[:10] != drawn(10, seed=1)
    assert {(of.tile.tokens, of.tile.nibble_tokens) for of in engines} == set(row_pairs())
    for engine in engines:
        check_stages(engine)
        shares_of(engine)
    ports = [of.tile.ports for of in engines]
    assert {1, 2, 4, 8, 16, 32} <= set(ports)
    watchdogs = np.log2([of.control.watchdog_cycles for of in engines])
    assert 13 < np.median(watchdogs) < 19


def test_engines_that_are_varied_differ_in_one_field() -> None:
    base, *others = differing_in_one_field(load_engine("small"))
    paths = [[path for path, value in settings_of(other).items() if value != settings_of(base)[path]] for other in others]
    assert {len(path) for path in paths} == {1}
    assert {path for (path,) in paths} == set(VALUES)


def test_every_slice_and_every_shape_of_a_memory_is_there() -> None:
    found = slices()
    keys = {(of.tile.tokens, of.tile.nibble_rows, of.lane_bits, of.mixed_lanes) for of in found}
    assert len(keys) == len(found)
    for engine in drawn(100, seed=5):
        if engine.tile.tokens == engine.tile.nibble_rows:
            assert (engine.tile.tokens, engine.tile.nibble_rows, engine.lane_bits, engine.mixed_lanes) in keys
    shapes = memory_shapes()
    for path, width in (
        ("buffer.result_words", "vector.lanes"),
        ("buffer.side_words", "vector.lanes"),
        ("fetch.fifo_beats", "tile.port_bits"),
    ):
        pairs = {(settings_of(of)[path], settings_of(of)[width]) for of in shapes}
        assert pairs == {(depth, wide) for depth in VALUES[path].values for wide in VALUES[width].values}


@pytest.mark.long
def test_two_tiny_engines_with_yosys(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A slice and memories alone are those of the whole, which is what `estimate` says; two processes do it."""
    folder = tmp_path_factory.getbasetemp() / "synthesis"
    tiny = load_engine("tiny")
    engines = [tiny, tiny.with_values({"control.queue_depth": 2})]

    def found(wanted: Wanted) -> list[Circuit]:
        return circuits(engines, wanted, folder=folder, workers=2, listener=SILENT, make=circuit)

    whole, memories, alone = (found(wanted) for wanted in (Wanted.WHOLE, Wanted.MEMORIES, Wanted.SLICE))
    for engine, parts, some, one in zip(engines, whole, memories, alone, strict=True):
        told = {f"{part.unit}/{part.name}": part for part in estimate(engine, folder).parts}
        assert {part for part, each in parts.items() if any(each.resources or ())} == set(told)
        for part, each in told.items():
            assert (parts[part].copies, parts[part].resources) == (each.count, tuple(each.resources[name] for name in RESOURCES))
        held = {part: each for part, each in some.items() if each.resources is not None}
        assert {"memories/residual", "fetch/stream_port", "vector/temporary"} <= set(held)
        assert held == {part: parts[part] for part in held}
        assert one[SLICE] == parts[SLICE]
    assert {part for part in whole[0] if whole[0][part].form != whole[1][part].form} == {
        f"control/queue_{unit}" for unit in ("fetch", "matrix", "mover", "vector")
    }
