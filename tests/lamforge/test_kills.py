"""Commands that are killed at any moment: the next one gives the bits of one that was not disturbed, and leaves nothing else."""

import json
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.lamforge.forked import ALL, OF_MODELS, Forks, Started
from tests.models.test_compress_resume import TEXT
from tests.reports.tiny_demo import write_sources

RECIPE = """
steps:
  - smooth
  - {method: gptq, format: w4}
  - {method: gptq, format: w8, at: head}
attention: lambda:4+12
calibration: {sequences: 3, length: 24, seed: 7, rounded: true, text: TEXT}
"""
MOMENTS = 50
COMMANDS = {
    "compress": "compress {sources}/hf --recipe {sources}/calibrated.yaml -o out",
    "compile": "compile {sources}/model --engine tiny -o out",
    "rtl": "rtl --engine tiny -o out",
    "cosim": "cosim {sources}/model --engine tiny --memory ideal --question beat --raw --json",
    "demo": "",
}
"""Commands by name; `{sources}` has a checkpoint, a recipe and a model."""
TIMED = re.compile(r"(?:^|_)(?:s|mb|seconds|per_s|time|created)$")
"""Names of what is another number in every run, in JSON."""
_NUMBER = re.compile(rb"[0-9.,]+")


@pytest.fixture(scope="module")
def forks(request: pytest.FixtureRequest) -> Iterator[Forks]:
    found = Forks(request.param)
    yield found
    found.close()


@pytest.fixture(scope="module")
def sources(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills") / "sources"
    write_sources(folder)
    (folder / "text.txt").write_text(TEXT * 4)
    (folder / "calibrated.yaml").write_text(RECIPE.replace("TEXT", str(folder / "text.txt")))
    shutil.copytree(made / "model", folder / "model")
    return folder


def started(forks: Forks, name: str, sources: Path, folder: Path) -> Started:
    """Start a command in a folder, which is made where it is missing."""
    folder.mkdir(exist_ok=True)
    if name == "demo":
        return forks.start(folder, demo=sources)
    return forks.start(folder, COMMANDS[name].format(sources=sources).split())


def ran(forks: Forks, name: str, sources: Path, folder: Path) -> tuple[Mapping[str, object], float]:
    """Run a command that nothing disturbs; return what it gave, and its seconds."""
    began = time.perf_counter()
    running = started(forks, name, sources, folder)
    code = running.ended()
    assert code == 0, running.said("stderr")
    took_s = time.perf_counter() - began
    found: dict[str, object] = {str(path.relative_to(folder)): content(name, path) for path in folder.rglob("*")}
    if name == "cosim":
        found["stdout"] = untimed(json.loads(running.said("stdout")))
    return found, took_s


def content(name: str, path: Path) -> object:
    """Return what must be the same of a file in every run."""
    if path.is_dir() or name == "cosim":
        # A build is what it makes of a model, which is compared; its files have times in them.
        return None
    data = path.read_bytes()
    if path.name == "summary.json":
        return untimed(json.loads(data))
    return _NUMBER.sub(b"0", data) if path.name == "report.html" else data


def untimed(document: object) -> object:
    """Return a JSON document without times and without what depends on them."""
    if isinstance(document, dict):
        return {name: untimed(value) for name, value in document.items() if not TIMED.search(name)}
    return [untimed(value) for value in document] if isinstance(document, list) else document


def check(name: str, moments: int, seed: int, forks: Forks, sources: Path, folder: Path) -> None:
    """Kill a command at random moments; what the next one gives is compared with what an undisturbed one gives."""
    expected, whole_s = ran(forks, name, sources, folder / "whole")
    _, short_s = ran(forks, name, sources, folder / "whole") if name == "cosim" else (None, whole_s)
    rng, killed = random.Random(seed), 0
    for number in range(moments):
        # A build takes most of a co-simulation, which is also killed behind it.
        is_new = name != "cosim" or number % 5 == 0
        place = folder / "place"
        if not is_new:
            shutil.copytree(folder / "whole", place, symlinks=True)
        moment_s = rng.uniform(0, whole_s if is_new else short_s)
        running = started(forks, name, sources, place)
        time.sleep(moment_s)
        running.kill(signal.SIGKILL)
        killed += running.ended() == -signal.SIGKILL
        found, took_s = ran(forks, name, sources, place)
        if is_new:
            # The first run of all may take longer than others.
            whole_s = min(whole_s, took_s)
        assert found == expected, f"moment {number} of seed {seed}: {moment_s:.3f} s, {different(found, expected)}"
        shutil.rmtree(place)
    assert killed > moments // 4, f"only {killed} of {moments} were killed before their end"


def different(found: Mapping[str, object], expected: Mapping[str, object]) -> list[str]:
    """Return the names of what differs."""
    return sorted(
        name for name in {*found, *expected} if name not in found or name not in expected or found[name] != expected[name]
    )


@pytest.mark.parametrize("forks", [OF_MODELS], indirect=True, ids=["few"])
@pytest.mark.parametrize("name", ["compile", "compress"])
def test_killed_at_a_few_moments(name: str, seed: int, forks: Forks, sources: Path, tmp_path: Path) -> None:
    check(name, 2, seed, forks, sources, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("forks", [ALL], indirect=True, ids=["all"])
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_many_moments(name: str, seed: int, forks: Forks, sources: Path, tmp_path: Path) -> None:
    check(name, MOMENTS, seed, forks, sources, tmp_path)
