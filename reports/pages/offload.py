"""The page on offloading: systems over contexts for two networks, and below them every published figure beside ours."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

from hwsim.offload.answer import IDLE_SHARE, LIFE
from lamforge.flow.provenance import provenance
from reports.pictures.causes import COLOURS, KINDS, kind_of
from reports.pictures.offload import FIGURES, contexts_picture
from reports.studies.offload import OffloadStudy
from reports.text.figures import figure_text, tokens_text

__all__ = ["offload_page"]

_TEMPLATES = resources.files("reports.pages") / "templates"
_COLUMNS = 9
"""Contexts of the tables: 4K to 1M, every doubling."""
_YEAR_S = 365 * 86400


def offload_page(study: OffloadStudy) -> str:
    """Return the page as HTML that needs nothing else."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.loader = jinja2.FunctionLoader(lambda name: (_TEMPLATES / name).read_text(encoding="utf-8"))
    environment.filters |= {"figure": figure_text, "tokens": tokens_text, "kind": kind_of}
    return environment.get_template("offload.html").render(
        study=study,
        provenance=provenance(),
        picture=lambda comparison, figure: Markup(contexts_picture(comparison, figure)),
        figures=FIGURES,
        column_count=_COLUMNS,
        colours=COLOURS,
        kinds=KINDS,
        idle=IDLE_SHARE.value,
        years=LIFE.value.value / _YEAR_S,
        style=Markup("".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "offload.css"))),
    )
