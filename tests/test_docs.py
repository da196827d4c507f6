"""The written pages: links lead somewhere, examples work, records have their sections, the version is listed."""

import os
import re
import resource
import subprocess
import sys
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


def test_the_first_study_of_the_readme_has_its_front_within_a_minute(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("\n## A first study\n")[2].partition("\n## ")[0]
    (study,) = re.findall(r"```yaml\n(.*?)```", section, re.S)
    (shown,) = re.findall(r"```\n(mine: .*?)```", section, re.S)
    assert len(study.splitlines()) == 6
    (tmp_path / "mine.yaml").write_text(study)
    command = [sys.executable, "-m", "lamforge", "explore", str(tmp_path / "mine.yaml"), "-o", str(tmp_path / "out")]
    # As on a new machine: nothing is compiled yet. Processor time, since others may be at work beside it.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "numba")}, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{seconds:.1f} s of one processor")
    assert seconds < 60
    # Rates and times differ from run to run; the rest of what is shown does not.
    lines = [line for line in shown.splitlines() if "a second" not in line]
    assert [line for line in ran.stdout.splitlines() if "a second" not in line][: len(lines)] == lines


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
