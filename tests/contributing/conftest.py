"""What the tests of CONTRIBUTING's table share: a copy of the rooms for each."""

from pathlib import Path

import pytest

from tests.contributing.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)
