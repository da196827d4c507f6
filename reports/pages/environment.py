"""How templates become HTML pages that need nothing else: one environment, in which a name that is not there is an error."""

from collections.abc import Mapping
from importlib import resources

import jinja2
from markupsafe import Markup

from reports.text.figures import figure_text, size_text, tokens_text

__all__ = ["ENVIRONMENT", "page", "style"]

_TEMPLATES = resources.files("reports.pages") / "templates"


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _fixed(value: float, digits: int = 2) -> str:
    return f"{value:,.{digits}f}"


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


ENVIRONMENT = jinja2.Environment(
    autoescape=True, loader=jinja2.FunctionLoader(_template), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
"""Loads the templates of all pages; a name or an attribute that is not there is an error, also in a condition."""
ENVIRONMENT.filters |= {"figure": figure_text, "size": size_text, "tokens": tokens_text}
ENVIRONMENT.globals |= {"number": "{:,}".format, "fixed": _fixed, "percent": _percent}


def page(name: str, values: Mapping[str, object]) -> str:
    """Return a page as HTML that needs nothing else.

    name: of the template `<name>.html`, which extends `page.html`, and of its style.
    values: what the template shows, by the names it has there, next to `style`; pictures are Markup.

    Raises:
        jinja2.UndefinedError: the template shows something that is not there.
    """
    return ENVIRONMENT.get_template(f"{name}.html").render({"style": Markup(style(name)), **values})


def style(name: str) -> str:
    """Return the colours and lines of the page called `name`: those of every page, and its own where it has some."""
    return "".join(_template(file) for file in ("page.css", f"{name}.css") if (_TEMPLATES / file).is_file())
