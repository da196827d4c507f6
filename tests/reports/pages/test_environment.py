"""Every page comes from one environment: strict, escaping, with the style of all pages and its own."""

from pathlib import Path

import jinja2
import pytest

from hwsim.errors import SpecError
from hwsim.whole_files import write_text
from reports.pages.environment import ENVIRONMENT, page, style


@pytest.mark.parametrize("text", ["{{ found.gone }}", "{% if found.gone %}{% endif %}", "{% for each in found.gone %}{% endfor %}"])
def test_what_is_not_there_does_not_vanish(text: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="has no attribute 'gone'"):
        ENVIRONMENT.from_string(text).render(found=object())


@pytest.mark.parametrize("name", ["report", "evaluation", "offload"])
def test_a_page_without_what_it_shows_fails(name: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        page(name, {})


def test_a_page_has_the_style_of_all_and_its_own() -> None:
    assert style("evaluation").startswith(style("report"))
    assert len(style("evaluation")) > len(style("report"))
    assert style("none") == style("report")


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "page.html", "<p>ä</p>")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == "<p>ä</p>"
    with pytest.raises(SpecError, match="^Output must be a path that can be written, not "):
        write_text(tmp_path / "new", "")
