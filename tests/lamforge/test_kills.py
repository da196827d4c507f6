"""Commands that are killed at any moment: the next one gives the bits of one that was not disturbed, and leaves nothing else."""

import json
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.lamforge.forked import Forks, Started
from tests.models.test_compress_resume import TEXT
from tests.reports.tiny_demo import write_sources
from tests.reports.tiny_folder import write_recipe

RECIPE = """
steps:
  - {method: balance_keys, steps: 2}
  - smooth
  - {method: gptq, format: w4}
  - {method: gptq, format: w8, at: head}
attention: lambda:4+12
calibration: {sequences: 3, length: 24, seed: 7, rounded: true, text: TEXT}
"""
COMMANDS = {
    "compress": "compress {sources}/hf --recipe {sources}/calibrated.yaml -o out",
    "compile": "compile {sources}/model --engine tiny -o out",
    "rtl": "rtl --engine tiny -o out",
    "cosim": "cosim {sources}/model --engine tiny --memory ideal --question beat --raw --json",
    "demo": "",
}
"""Commands by name; `{sources}` has a checkpoint, a recipe and a model."""
TIMED = re.compile(r"(_s|_mb|seconds|_per_s|date|time)$")


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks()
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
    folder.mkdir(exist_ok=True)
    if name == "demo":
        return forks.start(folder, demo=sources)
    return forks.start(folder, COMMANDS[name].format(sources=sources).split())
