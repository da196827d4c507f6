"""The page on offloading: systems over contexts for two networks, and below them every published figure beside ours."""

from markupsafe import Markup

from hwsim.offload.answer import IDLE_SHARE, LIFE
from lamforge.flow.provenance import provenance
from reports.pages.environment import page
from reports.pictures.offload import COLOURS, FIGURES, KINDS, contexts_picture, kind_of
from reports.studies.offload import OffloadStudy

__all__ = ["offload_page"]

_COLUMNS = 9
"""Contexts of the tables: 4K to 1M, every doubling."""
_YEAR_S = 365 * 86400


def offload_page(study: OffloadStudy) -> str:
    """Return the page as HTML that needs nothing else."""
    values = {
        "study": study,
        "provenance": provenance(),
        "picture": lambda comparison, figure: Markup(contexts_picture(comparison, figure)),
        "figures": FIGURES,
        "column_count": _COLUMNS,
        "colours": COLOURS,
        "kinds": KINDS,
        "kind_of": kind_of,
        "idle": IDLE_SHARE.value,
        "years": LIFE.value.value / _YEAR_S,
    }
    return page("offload", values)
