"""The committed instruction reference is the one the declarations give."""

from pathlib import Path

from hwsim.arch.isa import INSTRUCTIONS
from hwsim.arch.reference import render

PAGE = Path(__file__).parents[2] / "docs" / "isa.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "docs/isa.md must be rendered again: make docs"


def test_every_field_is_on_the_page() -> None:
    page = render()
    for kind in INSTRUCTIONS:
        section = page.split(f"\n### {kind.__name__.lower()}\n", 1)[1].split("\n#", 1)[0]
        for field in kind.layout:
            assert f"| `{field.name}` |" in section
            assert field.doc in section
