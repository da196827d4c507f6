"""The page of data files and the schemas of editors: both fresh, and true of every file that ships."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwsim.offload.systems import METHODS
from reports.studies.data_files import KINDS, page, schemas

ROOT = Path(__file__).parents[3]
SPECS = ROOT / "hwsim" / "specs"
FOLDERS = {
    "engine": SPECS / "engines",
    "board": SPECS / "boards",
    "recipe": ROOT / "models" / "recipes",
    "study": ROOT / "lamforge" / "explore" / "studies",
    "accuracy": ROOT / "lamforge" / "explore" / "accuracies",
    "memory": SPECS / "memories",
    "published": SPECS / "systems",
} | {name: SPECS / "devices" / name for name in ("gpus", "hosts", "drives", "flash", "csds", "cards")}


def test_the_page_is_fresh() -> None:
    assert (ROOT / "docs" / "files.md").read_text() == page(), "docs/files.md must be rendered again: make docs"


def test_the_schemas_are_fresh() -> None:
    found = {path.name: path.read_text() for path in (ROOT / "docs" / "schemas").iterdir()}
    assert found == schemas(), "docs/schemas must be rendered again: make docs"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_shipped_files_have_what_their_schema_says(name: str) -> None:
    schema = json.loads(schemas()[f"{name}.schema.json"])
    files = sorted(FOLDERS[name].glob("*.yaml")) if name in FOLDERS else []
    assert files or name == "distill"
    for path in files:
        data: dict[str, Any] = yaml.safe_load(path.read_text())
        ways = schema.get("anyOf") or [schema]
        assert any(set(way["required"]) <= set(data) for way in ways), path.name
        assert set(data) <= set(schema["properties"]), path.name


def test_every_method_is_on_the_page() -> None:
    text = page()
    assert all(f"### `method: {name}`" in text for name in METHODS)
    assert "| `card` | a Card by name, or a mapping of its fields | required |" in text
