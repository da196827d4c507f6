"""What the tests of CONTRIBUTING's table share: a copy of the rooms for each, and one process that runs Python in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contributing.forks import Forks
from tests.contributing.tree import Tree


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    running = Forks()
    yield running
    running.close()


@pytest.fixture
def tree(tmp_path: Path, forks: Forks) -> Tree:
    return Tree(tmp_path, forks)
