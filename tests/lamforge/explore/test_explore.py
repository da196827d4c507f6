"""A study from its file to its front: rows, refusals, renderers, and that whatever stops it costs nothing that was written."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import lamforge
from hwsim.errors import MachineError, SpecError
from lamforge.explore import executors
from lamforge.explore.exact import exact
from lamforge.explore.executors import workers
from lamforge.explore.exploration import Exploration
from lamforge.explore.front import front
from lamforge.explore.space import Space
from lamforge.explore.store import Store, code_digest
from lamforge.explore.study import FILES
from reports.documents.exploration import exploration_document
from reports.text.exploration import exploration_text
from tests.lamforge.conftest import Command
from tests.lamforge.explore.small import document, rows_of, study
from tests.processes import check_ends, of_session

_BOARD = Path(lamforge.__file__).parents[1] / "hwsim/specs/boards/u280.yaml"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def found(place: Path) -> Exploration:
    return lamforge.explore(study(place), output=place / "whole")


def explored(place: Path, output: Path, **changes: object) -> Exploration:
    return lamforge.explore(study(place, **changes), output=output)


def test_every_point_is_what_the_simulator_says(place: Path, found: Exploration) -> None:
    space = Space(found.study)
    rows = rows_of(place / "whole")
    simulated = {row["point"]: row for row in rows if row["fidelity"] == "exact"}
    built = np.flatnonzero(np.broadcast_to(space.are_built(space.columns(np.arange(space.size))), (space.size,)))
    assert len(rows) == found.points + found.exact_points
    assert (found.points, sorted(simulated)) == (space.size, built.tolist())
    for point in built[::5].tolist():
        alone, row = exact(*space.request(point)), simulated[point]
        assert (row["cycles"], row["token_per_s"], row["token_per_joule"]) == (
            alone.cycles,
            alone.token_per_s,
            alone.token_per_joule,
        )
        assert row["bytes_per_token"] == (alone.stream_bytes + alone.side_bytes) / alone.tokens
        assert sum(row[f"matrix.{cause}"] for cause in alone.causes) == alone.cycles
        assert {path: row[path] for path in space.axes} == space.values(point)
    ratio = [row["cycles"] / simulated[row["point"]]["cycles"] for row in rows[: space.size] if row["point"] in simulated]
    assert found.closed_form_error is not None
    assert found.closed_form_error.worst == pytest.approx(np.abs(np.array(ratio) - 1).max())
    assert found.closed_form_error.median == pytest.approx(np.median(np.abs(np.array(ratio) - 1)))


def test_the_front_is_that_of_the_exact_rows(place: Path, found: Exploration) -> None:
    rows = [row for row in rows_of(place / "whole") if row["fidelity"] == "exact"]
    values = np.array([[row["token_per_s"], -row["engine.fetch.fifo_beats"]] for row in rows])
    best = {rows[index]["configuration"] for index in np.flatnonzero(front(values))}
    assert {each.configuration for each in found.front} == best
    speeds = [each.metrics["token_per_s"] for each in found.front]
    assert speeds == sorted(speeds, reverse=True)
    assert (place / "whole" / "front.csv").read_text().count("\n") == len(best) + 1
    assert (place / "whole" / "points.csv").read_text().count("\n") == found.points + found.exact_points + 1


def test_the_text_begins_with_the_answer_and_the_document_has_its_keys(found: Exploration) -> None:
    text = exploration_text(found)
    assert text.startswith("small: the best token_per_s is ")
    assert "closed form: " in text and "rejected by" in text and "engine.fetch.fifo_beats" in text
    made = exploration_document(found)
    assert {"points", "exact_points", "exact_points_per_s", "closed_points_per_s", "front", "rejected"} <= set(made)
    assert set(made["closed_form_error"]) == {"median", "worst"}
    assert made["rejected"]["engine"]["points"] == found.points - found.exact_points
    assert made["front"][0]["token_per_s"] == found.front[0].metrics["token_per_s"]
    json.dumps(made, allow_nan=False)


def test_a_second_run_computes_nothing(place: Path, found: Exploration, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a point must not be computed twice")

    before = {path: path.read_bytes() for path in (place / "whole" / "parts").iterdir()}
    monkeypatch.setattr("lamforge.explore.executors.exact", fail)
    monkeypatch.setattr("lamforge.explore.rows.closed", fail)
    again = explored(place, place / "whole")
    assert again.kept_points == found.points + found.exact_points
    assert again.front == found.front and again.rejected == found.rejected
    assert {path: path.read_bytes() for path in (place / "whole" / "parts").iterdir()} == before


def test_the_front_alone_or_a_count_of_points_is_simulated(place: Path, found: Exploration, tmp_path: Path) -> None:
    some = explored(place, tmp_path / "some", exact=5)
    assert some.exact_points == 5
    best = explored(place, tmp_path / "front", exact="front")
    assert 1 <= best.exact_points < found.exact_points
    rows = {row["configuration"]: row for row in rows_of(place / "whole") if row["fidelity"] == "exact"}
    for row in rows_of(tmp_path / "front"):
        assert row["fidelity"] == "closed" or row == rows[row["configuration"]]


def test_more_may_be_simulated_of_a_study_that_was_explored(place: Path, found: Exploration, tmp_path: Path) -> None:
    explored(place, tmp_path / "out", exact=3)
    more = explored(place, tmp_path / "out", exact="all")
    assert more.kept_points == found.points + 3
    assert rows_of(tmp_path / "out") == rows_of(place / "whole")


class Killed(BaseException):
    """Stands for a process that is killed."""


@pytest.mark.parametrize("search", ["grid", {"method": "optuna", "trials": 60, "seed": 1}], ids=["grid", "optuna"])
def test_a_run_that_ends_before_any_write_goes_on(
    search: object, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that stops before each of its writes in turn, with a file half written, ends with the rows of one that did not."""
    whole = explored(place, tmp_path / "whole", search=search)
    write, count = Store.write, 0
    monkeypatch.setattr("lamforge.explore.exploration._FLUSH_ROWS", 4)

    def once(store: Store, fidelity: str, number: int, rows: object) -> None:
        nonlocal count
        if count == 2:
            half = store.folder / "parts" / f".{fidelity}-{number:06}.parquet.half"
            half.mkdir(parents=True, exist_ok=True)
            (half / f"{fidelity}-{number:06}.parquet").write_bytes(b"half")
            raise Killed
        count += 1
        write(store, fidelity, number, rows)

    monkeypatch.setattr(Store, "write", once)
    for _ in range(40):
        count = 0
        try:
            last = explored(place, tmp_path / "out", search=search)
        except Killed:
            continue
        break
    rows = rows_of(tmp_path / "out")
    assert rows == rows_of(tmp_path / "whole")
    assert last.front == whole.front
    assert len({(row["fidelity"], row["configuration"]) for row in rows}) == len(rows)
    assert not list((tmp_path / "out" / "parts").glob(".*"))


def killed_at_random(place: Path, output: Path, kills: int, chance: random.Random) -> None:
    """Explore in processes of their own, of which so many are killed."""
    file = place / "study.yaml"
    file.write_text(yaml.safe_dump(document(place), sort_keys=False))
    command = [sys.executable, "-m", "lamforge", "explore", str(file), "-o", str(output), "--json"]
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.5, 8))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = subprocess.run(command, capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr


def test_a_run_that_is_killed_goes_on(place: Path, found: Exploration, tmp_path: Path, seed: int) -> None:
    killed_at_random(place, tmp_path / "out", 2, random.Random(seed))
    assert rows_of(tmp_path / "out") == rows_of(place / "whole")


@pytest.mark.long
def test_a_run_that_is_killed_twenty_times_goes_on(place: Path, found: Exploration, tmp_path: Path, seed: int) -> None:
    killed_at_random(place, tmp_path / "out", 20, random.Random(seed))
    assert rows_of(tmp_path / "out") == rows_of(place / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_terminal_that_ends_a_run_with_workers_is_one_sentence(place: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The signal goes to every process, while those that compute are being loaded."""
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(document(place, exact="all"), sort_keys=False))
    command = [sys.executable, "-m", "lamforge", "explore", str(file), "-o", str(tmp_path / "out"), "--workers", "2", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(of_session(process.pid)) < 3:
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(process.pid, number)
    _, said = process.communicate()
    assert said.splitlines()[-1:] == ["Interrupted" if number == signal.SIGINT else "Hung up"] and "Traceback" not in said
    assert process.returncode == 128 + number


def test_no_worker_outlives_a_run_that_is_killed(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    axes = {"engine.clock_hz": {"from": 1e8, "to": 2e8, "step": 1e4}, "memory": ["hbm2"]}
    file.write_text(yaml.safe_dump(document(place, axes=axes, exact="all"), sort_keys=False))
    command = [sys.executable, "-m", "lamforge", "explore", str(file), "-o", str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    for _ in range(600):
        # The run, what begins processes, what takes note of them, and two workers.
        if len(others := of_session(process.pid)) == 5 or process.poll() is not None:
            break
        time.sleep(0.1)
    assert len(others) == 5
    process.kill()
    process.wait()
    for other in others:
        check_ends(other)


def test_a_full_disk_is_a_sentence_and_what_is_there_is_kept(
    place: Path, found: Exploration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith("exact"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SpecError, match=r"^Output must be a path that can be written, not '.*' \(No space left on device\)$"):
        explored(place, tmp_path / "out")
    assert {row["fidelity"] for row in rows_of(tmp_path / "out")} == {"closed"}
    monkeypatch.undo()
    explored(place, tmp_path / "out")
    assert rows_of(tmp_path / "out") == rows_of(place / "whole")


def test_folders_of_others_are_refused(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    explored(place, output, exact=1)
    kept = "what was computed is kept: choose another folder"
    with pytest.raises(SpecError, match=rf"^Output must be of the study as its file is now, not of small as it was .*{kept}"):
        explored(place, output, constraints={"fits": "board"})
    monkeypatch.setattr("lamforge.explore.store.code_digest", lambda: "0" * 64)
    with pytest.raises(SpecError, match=rf"^Output must be of this version of Lamforge, not of another .*{kept}"):
        explored(place, output, exact=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(SpecError, match=r"^Output must be a new or empty folder, or one with results of the study, not '.*other'$"):
        explored(place, tmp_path / "other")
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match=r"^Output must be a folder that can be written, not '.*file'"):
        explored(place, tmp_path / "file")


def test_a_file_that_a_study_names_is_part_of_it(tmp_path: Path) -> None:
    made = study(tmp_path, exact=1)
    lamforge.explore(made, output=tmp_path / "out")
    network = tmp_path / "network.json"
    network.write_text(network.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(SpecError, match="Output must be of the study as its file is now"):
        lamforge.explore(made, output=tmp_path / "out")
    with pytest.raises(
        SpecError, match="Files that a study names must be the same wherever it is computed, and are not on a worker"
    ):
        executors.computed(made, "0" * 64, [0])


def write_board(path: Path, **changes: tuple[str, str]) -> Path:
    """Write the board `u280` under the same name with parts of its text replaced; return the path."""
    text = _BOARD.read_text()
    for before, after in changes.values():
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "change", [("name: SLR1, lut: 333000", "name: SLR1, lut: 3000"), ("fill:\n  value: {lut: 0.70", "fill:\n  value: {lut: 0.60")]
)
def test_all_of_a_board_is_part_of_a_study(tmp_path: Path, change: tuple[str, str]) -> None:
    board = write_board(tmp_path / "board.yaml")
    made = study(
        tmp_path, axes={"engine.fetch.fifo_beats": [16, 32], "board": [str(board)]}, constraints={"fits": "board"}, exact=1
    )
    lamforge.explore(made, output=tmp_path / "out")
    write_board(board, change=change)
    with pytest.raises(SpecError, match="Output must be of the study as its file is now"):
        lamforge.explore(made, output=tmp_path / "out")


def test_a_board_without_a_price_meets_no_bound_on_it_and_has_none_to_compare(tmp_path: Path) -> None:
    price = next(line for line in _BOARD.read_text().splitlines(keepends=True) if line.startswith("price:"))
    board = str(write_board(tmp_path / "board.yaml", price=(price, "")))
    axes = {"engine.fetch.fifo_beats": [16, 32], "board": [board, "u280"]}
    bounded = study(tmp_path, axes=axes, constraints={"price_usd": {"at_most": 1e6}})
    found = lamforge.explore(bounded, output=tmp_path / "bounded")
    assert {each.values["board"] for each in found.front} == {"u280"}
    assert [(each.constraint, each.points, each.alone) for each in found.rejected] == [("price_usd at most 1e+06", 2, 2)]
    weighed = study(tmp_path, axes=axes | {"board": [board]}, objectives={"token_per_s": "maximize", "price_usd": "minimize"})
    with pytest.raises(SpecError, match=r"^Study objectives must all be known of at least one point, not price_usd of none$"):
        lamforge.explore(weighed, output=tmp_path / "weighed")


def test_a_folder_that_is_in_use_is_refused(place: Path, tmp_path: Path) -> None:
    made = study(place, exact=1)
    with (
        Store.opened(tmp_path / "out", Space(made)),
        pytest.raises(SpecError, match=r"^Output '.*/out' is being written by another command: wait"),
    ):
        lamforge.explore(made, output=tmp_path / "out")


def test_damaged_parts_are_refused(place: Path, tmp_path: Path) -> None:
    explored(place, tmp_path / "out", exact=1)
    (tmp_path / "out" / "parts" / "exact-000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(SpecError, match=r"^Part of a study must be Parquet as explore writes it, not '.*': remove it$"):
        explored(place, tmp_path / "out", exact=1)
    (tmp_path / "out" / "study.json").write_text("{}")
    with pytest.raises(SpecError, match=r"^Output must hold study.json as explore writes it"):
        explored(place, tmp_path / "out", exact=1)


def test_constraints_that_no_point_meets_are_refused_with_why(place: Path, tmp_path: Path) -> None:
    constraints = {"engine.fetch.fifo_beats": {"at_least": 64}, "engine.fetch.burst_beats": {"at_most": 4}}
    with pytest.raises(SpecError) as error:
        explored(place, tmp_path / "out", constraints=constraints)
    text = str(error.value)
    assert text.startswith("Study constraints must leave at least one of 24 points, not none: 'engine.fetch.burst_beats at most 4'")
    assert "rejects 24; " in text and "misses by 100.0%" in text
    contrary = {"engine.fetch.fifo_beats": {"at_least": 64}, "fits": "board", "engine.tile.tokens": {"at_least": 2}}
    found = explored(place, tmp_path / "fine", constraints=contrary, exact=2)
    assert found.rejected[0].constraint == "engine.fetch.fifo_beats at least 64"
    with pytest.raises(SpecError, match="Study conditions must leave at least one of 24 points, not none"):
        explored(place, tmp_path / "none", conditions=["batch > 1"])


def test_constraints_that_contradict_one_another_are_named(place: Path, tmp_path: Path) -> None:
    constraints = {"engine.fetch.fifo_beats": {"at_least": 64}, "engine.fetch.burst_beats": {"at_least": 16}}
    conditions = ["engine.fetch.fifo_beats < 64 or engine.fetch.burst_beats < 16"]
    with pytest.raises(SpecError) as error:
        explored(place, tmp_path / "out", constraints=constraints, conditions=conditions)
    assert "no point meets both 'engine.fetch.fifo_beats at least 64' and 'engine.fetch.burst_beats at least 16'" in str(
        error.value
    )


def test_what_only_the_simulation_knows_may_be_bounded(place: Path, found: Exploration, tmp_path: Path) -> None:
    rows = [row for row in rows_of(place / "whole") if row["fidelity"] == "exact"]
    limit = float(np.median([row["token_per_joule"] for row in rows]))
    some = explored(place, tmp_path / "out", constraints={"token_per_joule": {"at_least": limit}})
    assert all(each.metrics["token_per_joule"] >= limit for each in some.front)
    rejected = {each.constraint: each.points for each in some.rejected}
    assert rejected[f"token_per_joule at least {limit:g}"] == sum(row["token_per_joule"] < limit for row in rows)


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_optuna_asks_for_the_same_points_whoever_computes(place: Path, tmp_path: Path, sampler: str) -> None:
    changes = {
        "search": {"method": "optuna", "sampler": sampler, "trials": 40, "seed": 3},
        "constraints": {"token_per_s": {"at_least": 20000}},
        "conditions": ["engine.fetch.fifo_beats >= 2 * engine.fetch.burst_beats"],
    }
    made = study(place, **changes)
    one = lamforge.explore(made, output=tmp_path / "one")
    assert 0 < one.exact_points < one.points <= 24
    lamforge.explore(made, output=tmp_path / "again")
    assert rows_of(tmp_path / "one") == rows_of(tmp_path / "again")
    kept = lamforge.explore(made, output=tmp_path / "again")
    assert kept.kept_points == one.points + one.exact_points and kept.front == one.front


def test_optuna_and_dask_are_asked_for_by_the_extra(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        SpecError, match=r"^Optuna must be installed for its search, as the extra lamforge\[explore\] does, and is not$"
    ):
        explored(place, tmp_path / "out", search="optuna")
    with pytest.raises(
        SpecError, match=r"^Dask must be installed for a scheduler, as the extra lamforge\[explore\] does, and is not$"
    ):
        lamforge.explore(study(place), output=tmp_path / "out", scheduler="tcp://127.0.0.1:1")
    assert not list(tmp_path.iterdir())


def test_several_processes_give_the_rows_of_one(place: Path, found: Exploration, tmp_path: Path) -> None:
    lamforge.explore(study(place), output=tmp_path / "out", workers=2)
    assert rows_of(tmp_path / "out") == rows_of(place / "whole")


def test_a_worker_that_is_killed_costs_nothing(place: Path, found: Exploration, tmp_path: Path) -> None:
    points = [row["point"] for row in rows_of(place / "whole") if row["fidelity"] == "exact"]
    with workers(2) as crew:
        seen = []
        for outcomes in crew.outcomes(Space(found.study), points):
            if not seen:
                for process in list(crew._pool._processes.values())[:1]:
                    process.kill()
            seen += [each.point for each in outcomes]
    assert sorted(seen) == sorted(points)


def test_a_cluster_gives_the_rows_of_one_process_and_may_go_away(place: Path, found: Exploration, tmp_path: Path) -> None:
    import distributed

    alone = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**alone, protocol="tcp") as cluster:
        lamforge.explore(study(place), output=tmp_path / "out", scheduler=cluster.scheduler_address)
        assert rows_of(tmp_path / "out") == rows_of(place / "whole")
        points = [row["point"] for row in rows_of(place / "whole") if row["fidelity"] == "exact"]
        with pytest.raises(MachineError) as error, workers(1, cluster.scheduler_address) as crew:
            for number, _ in enumerate(crew.outcomes(Space(found.study), points * 20)):
                if number == 2:
                    cluster.close()
        assert str(error.value).startswith(f"Scheduler {crew._scheduler} must stay until the study is done, and went away (what")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["u28", "-o", "OUT"], f"Study must be one of {', '.join(FILES.names())} or a YAML file, not 'u28' (nearest: u280)"),
        (["FILE"], "Missing option '--output' / '-o' (see `lamforge explore --help`)"),
        (["FILE", "-o", "OUT", "--workers", "0"], "Workers must be 1 to 1024, not 0"),
        (["FILE", "-o", "OUT", "--scheduler", "here"], "Scheduler must be an address such as tcp://host:8786, not 'here'"),
        (["missing.yaml", "-o", "OUT"], "Study file must be readable, not 'missing.yaml' (No such file or directory)"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    arguments: list[str], text: str, place: Path, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(document(place), sort_keys=False))
    names = {"FILE": tmp_path / "study.yaml", "OUT": tmp_path / "out"}
    code, out, err = command("explore", *(names.get(word, word) for word in arguments))
    assert (code, out, err) == (2, "", f"{text}\n")


def test_the_command_shows_text_and_json(place: Path, tmp_path: Path, command: Command) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        yaml.safe_dump({name: part for name, part in document(place, exact=2).items() if name != "name"}, sort_keys=False)
    )
    code, out, _ = command("explore", file, "-o", tmp_path / "out")
    assert code == 0 and out.startswith("mine: the best token_per_s is ")
    code, out, _ = command("explore", file, "-o", tmp_path / "out", "--json")
    assert code == 0 and json.loads(out)["exact_points"] == 2


def test_the_code_digest_sees_what_decides_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(lamforge.__file__).parents[1]
    before = code_digest()
    for part in ("hwsim", "compiler", "models", "rtl", "lamforge"):
        ignored = shutil.ignore_patterns("*.xz", "*.part", "__pycache__", "shipped", "calibration", "evaluation")
        shutil.copytree(root / part, tmp_path / part, ignore=ignored)
    monkeypatch.setattr("lamforge.explore.store._ROOT", tmp_path)
    assert code_digest() == before
    for file in (
        "hwsim/machine/time/network.py",
        "compiler/lower/heads.py",
        "models/zoo/llama-2-7b.json",
        "rtl/regions.py",
        "lamforge/flow/resources/slrs.py",
        "lamforge/flow/target.py",
        "lamforge/explore/exact.py",
        "lamforge/flow/resources/parts.csv",
    ):
        (tmp_path / file).write_text((tmp_path / file).read_text() + "\n")
        assert code_digest() != before
        before = code_digest()
    assert executors.code_digest is code_digest


def test_workers_of_another_version_are_refused(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    monkeypatch.setattr(distributed.Client, "run", lambda client, function: {"tcp://there:1": "0" * 64})
    alone = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None, "protocol": "tcp"}
    with distributed.LocalCluster(**alone) as cluster, pytest.raises(SpecError) as error:
        lamforge.explore(study(place), output=tmp_path / "out", scheduler=cluster.scheduler_address)
    text = f"Workers of {cluster.scheduler_address} must have this version of Lamforge, not another as tcp://there:1"
    assert str(error.value) == text and not (tmp_path / "out").exists()
