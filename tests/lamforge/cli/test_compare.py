"""`lamforge compare`: real runs of small verbs, the answer in the first line, JSON, exit codes and refusals."""

import copy
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

import lamforge
from hwsim.errors import SpecError
from lamforge.cli.commands import GROUPS
from lamforge.flow.compare import DocumentComparison, compare_documents
from reports.documents.of_result import document_of
from reports.text.comparison import answer_text, comparison_text
from tests.lamforge.conftest import Command
from tests.lamforge.explore.small import FEW_AXES, explored_study, study, write_network

SMALL = ("--engine", "tiny", "--context", "16", "--format", "w4")
OFFLOAD = ("offload", "run", "gpu-a100")


def told(a: dict[str, Any], b: dict[str, Any]) -> str:
    return answer_text(compare_documents(a | {"verb": "x"}, b | {"verb": "x"}))


@pytest.fixture
def two(command: Command, tmp_path: Path) -> tuple[Path, Path]:
    """The same estimate of two batches."""
    files = (tmp_path / "a.json", tmp_path / "b.json")
    for file, batch in zip(files, (1, 4), strict=True):
        assert command(*OFFLOAD, "--batch", batch, "--json", "-o", file)[0] == 0
    return files


def test_two_files(two: tuple[Path, Path], command: Command) -> None:
    a, b = two
    assert json.loads(a.read_text())["verb"] == "offload run"
    code, out, err = command("compare", a, b)
    first, *lines = out.splitlines()
    assert (code, err) == (0, "")
    rates = [json.loads(file.read_text())["tokens_per_s"] for file in two]
    assert first.startswith(f"B is {100 * (rates[1] / rates[0] - 1):.3g}% faster: tokens_per_s ")
    assert lines[:2] == [f"A: {a}", f"B: {b}"] and any(line.startswith("batch ") for line in lines)
    code, out, _ = command("compare", a, b, "--json")
    document = json.loads(out)
    assert (document["verb"], document["of"], document["is_changed"]) == ("compare", "offload run", True)
    assert document["answer"] == first
    changes = {each["path"]: each for each in document["changes"]}
    assert [changes["tokens_per_s"][side] for side in "ab"] == rates
    assert f"{len(changes) - 1} other values change" in first


def test_exit_codes_are_those_of_git_diff(two: tuple[Path, Path], command: Command) -> None:
    a, b = two
    assert [command("compare", a, other, "--exit-code")[0] for other in (a, b)] == [0, 1]
    code, out, _ = command("compare", a, a, "--exit-code", "--json")
    assert code == 0 and json.loads(out)["changes"] == []
    # What an estimate depends on is another thing at another batch; the figures themselves are within the tolerance.
    for file in (a, b):
        document = json.loads(file.read_text())
        file.write_text(json.dumps(document | {"depends_on": []}))
    code, out, _ = command("compare", a, b, "--exit-code", "--tolerance", "0.99")
    assert code == 0 and out.startswith("Nothing changed of ")


def test_a_simulation_twice_is_the_same(command: Command, tmp_path: Path) -> None:
    """Its times are not, and are told apart."""
    network = write_network(tmp_path)
    for name in "ab":
        assert command("simulate", "--workload", network, *SMALL, "--json", "-o", tmp_path / name)[0] == 0
    code, out, _ = command("compare", tmp_path / "a", tmp_path / "b", "--exit-code")
    assert code == 0
    assert out.startswith("Nothing changed of ")
    assert "of the machine, no result" in out and "wall_s" in out


def test_results_in_python(tmp_path: Path, command: Command) -> None:
    network = str(write_network(tmp_path))
    a, b = (
        lamforge.simulate(workload=network, engine="tiny", context=16, layers="w4", memory=memory) for memory in ("ideal", "hbm2")
    )
    found = lamforge.compare(a, b)
    assert isinstance(found, DocumentComparison) and found.verb == "simulate"
    assert found.headline is not None
    assert (found.headline.path, found.headline.a, found.headline.b) == ("token_per_s", a.token_per_s, b.token_per_s)
    # Part of a mapping, of which the sum is a figure of its own.
    causes = next(each for each in found.results.changes if each.path == "causes.memory")
    assert causes.whole == max(a.cycles, b.cycles)
    assert not lamforge.compare(a, a).is_changed
    assert command("simulate", "--workload", network, *SMALL, "--json", "-o", tmp_path / "a")[0] == 0
    assert not lamforge.compare(a, tmp_path / "a").is_changed
    with pytest.raises(SpecError, match="^Results must be of the same verb, not of simulate in 'A' and of offload run in 'B'$"):
        lamforge.compare(a, lamforge.offload.run("gpu-a100"))
    with pytest.raises(SpecError, match="^Result must be a path, or what a verb returned, not 3$"):
        lamforge.compare(3, a)


def test_two_comparisons_are_compared(two: tuple[Path, Path]) -> None:
    found = lamforge.compare(*two)
    assert not lamforge.compare(found, copy.deepcopy(found)).is_changed
    mirror = lamforge.compare(found, lamforge.compare(*reversed(two)))
    assert mirror.is_changed


def test_marks_are_those_of_the_command(two: tuple[Path, Path], command: Command) -> None:
    for words, verb in (
        (("list", "boards"), "list"),
        (("offload", "list"), "offload list"),
        (("validate", "energy"), "validate energy"),
    ):
        code, out, _ = command(*words, "--json")
        assert code == 0 and next(iter(json.loads(out).items())) == ("verb", verb)
    assert document_of(lamforge.list("boards"))["verb"] == "list"
    assert [importlib.import_module(f"lamforge.cli.{group}").app.info.name for group in GROUPS] == [*GROUPS]


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        ({"n": 1}, {"n": 1}, "Nothing changed of 1 value."),
        (
            {"token_per_s": 210.2, "n": 1},
            {"token_per_s": 217.0, "n": 2},
            "B is 3.24% faster: token_per_s 210.2 → 217; 1 other value changes",
        ),
        ({"cycles": 800, "m": 1}, {"cycles": 8, "m": 1}, "B is 99% lower in cycles: cycles 800 → 8; nothing else changes"),
        (
            {"x": {"perplexity": 12.0}},
            {"x": {"perplexity": 12.0000001}},
            "B is 8.33e-07% higher in perplexity: x.perplexity 12 → 12.0000001",
        ),
        ({"fits": True, "cycles": 3}, {"fits": False, "cycles": 4}, "B differs in fits: fits yes → no; 1 other value changes"),
        ({"n": 0, "m": 1}, {"n": 3, "m": 1}, "B differs in n: n 0 → 3; nothing else changes"),
        ({"n": 1}, {"n": 1, "m": [1, 2]}, "Nothing changed of 1 value; B alone has 2 more values"),
        (
            {"n": 1, "k": 1},
            {"n": 2, "m": [1, 2]},
            "B is 100% higher in n: n 1 → 2; nothing else changes; A alone has 1 value; B alone has 2 values",
        ),
    ],
)
def test_the_answer(a: dict[str, Any], b: dict[str, Any], answer: str) -> None:
    assert told(a, b).startswith(answer)


def test_values_of_one_list_take_one_line() -> None:
    a = {"verb": "x", "rates": [float(each) for each in range(1, 99)], "n": 1}
    b = a | {"rates": [each * 2.0 for each in range(1, 99)], "n": 2}
    lines = comparison_text(compare_documents(a, b)).splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("rates", "n "))] == ["n", "rates[0]"]
    assert any(line.startswith("rates[0] and 97 more of the list ") for line in lines)


def test_two_studies(command: Command, tmp_path: Path) -> None:
    a = explored_study(tmp_path).folder
    b = tmp_path / "small"
    lamforge.explore(study(tmp_path, axes=FEW_AXES | {"engine.fetch.fifo_beats": [16, 32]}), output=b)
    code, out, _ = command("compare", a, b)
    assert code == 0
    first, *lines = out.splitlines()
    assert first.startswith("B's best token_per_s is ") and "came to the front, " in first
    assert any(line.startswith("left ") for line in lines)
    assert any(line.startswith("axes.engine.fetch.fifo_beats ") for line in lines)
    code, out, _ = command("compare", a, b, "--json")
    document = json.loads(out)
    assert document["answer"] == first and document["matched_by"] == "configuration"
    assert len(document["front"]["left"]) > 0
    code, out, _ = command("compare", a, a, "--exit-code")
    assert code == 0 and out.startswith("Nothing changed of ")
    assert command("compare", a, b, "--exit-code")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["A"], "Missing argument 'B' (see `lamforge compare --help`)"),
        ([], "Missing argument 'A' (see `lamforge compare --help`)"),
        (["A", "B", "C"], "Command must begin with one of board, compare, "),
        (["A", "none"], "Result must be a file or a folder that exists, or a commit with a command, not 'none'"),
        (["A", "FOLDER"], "Results must be two folders of studies or two results of a verb, not one of each"),
        (["FOLDER", "FOLDER"], "Study folder must hold study.json as explore writes it, not what is in '"),
        (["A", "TEXT"], "Result file must be JSON, not the text of '"),
        (["A", "SYNTH"], "Results must be of the same verb, not of offload run in '"),
        (["A", "B", "--tolerance", "1"], "Tolerance must be a share from 0 to below 1, not 1.0"),
        (["none", ".", "--", "list", "engines"], "Commit must be one of the repository in '"),
    ],
)
def test_refusals(arguments: list[str], sentence: str, two: tuple[Path, Path], command: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no JSON")
    (tmp_path / "synth").write_text('{"verb": "synth"}')
    places = {"A": two[0], "B": two[1]} | {name: tmp_path / name.lower() for name in ("FOLDER", "TEXT", "SYNTH")}
    code, out, err = command("compare", *(places.get(word, word) for word in arguments))
    assert (code, out) == (2, "")
    assert err.startswith(sentence) and err.count("\n") == 1
