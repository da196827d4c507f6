"""The written pages: links lead somewhere, examples work, records have their sections, the version is listed."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from hwsim.arch.assembly import format_instruction, parse_instruction
from hwsim.arch.config import EngineConfig

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
RECORDS = sorted(ROOT.glob("docs/decisions/*.md"))
SECTIONS = ["Summary", "Motivation", "Explanation", "Drawbacks", "Alternatives", "Prior art", "Open questions"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    heads = re.findall(r"^#+ (.*)", text, re.M)
    anchors = {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        assert (page.parent / path).exists(), f"{page.name} must link to a file that exists, not {target}"
        assert path or anchor in anchors, f"{page.name} must link to a heading that exists, not #{anchor}"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_decision_records_have_their_sections(record: Path) -> None:
    text = record.read_text()
    assert re.match(rf"# {record.stem[:4]}: ", text)
    assert re.findall(r"^## (.*)", text, re.M) == SECTIONS


def test_the_readme_engine_can_be_built() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    engines = [yaml.safe_load(block) for block in blocks if "tile:" in block]
    assert [EngineConfig.from_dict(data).name for data in engines] == ["mine"]


def test_the_assembly_line_of_the_flow_parses() -> None:
    lines = re.findall(r"^dot .*", (ROOT / "docs" / "flow.md").read_text(), re.M)
    assert [format_instruction(parse_instruction(line)) for line in lines] == lines != []


def test_the_version_is_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_glossary_names_places_that_exist() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and "| word |" not in f"| {line}"]
    places = [place for row in rows for place in re.findall(r"`([^`]+)`", row[-1])]
    assert len(places) > 50 and [place for place in places if not (ROOT / place).exists()] == []
