"""Knows the page on offloading: systems over contexts for two networks, and below them every published figure beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hwsim.offload.answer import IDLE_SHARE, LIFE
from hwsim.whole_files import whole_file
from lamforge.flow.offload.comparison import BATCHES, CONTENDERS, CONTEXTS, compare
from lamforge.flow.offload.contender import contender
from lamforge.flow.provenance import provenance
from models.zoo import network
from reports.pictures.causes import COLOURS, KINDS, kind_of
from reports.pictures.offload import FIGURES, contexts_picture
from reports.studies.validation.offload import validate_offload
from reports.text.offload import figure_text, tokens_text

__all__ = ["MODELS", "offload_document", "offload_page", "write_offload_report"]

MODELS = ("llama-2-7b", "llama-2-13b")
"""Networks of the page."""
_GENERATED = 256
_TEMPLATES = resources.files("reports.pages") / "templates"
# Contexts of the tables: 4K to 1M, every doubling.
_COLUMNS = tuple(range(0, len(CONTEXTS), 8))


def write_offload_report(target: Path) -> None:
    """Write the page, whole or not at all; raise SpecError when it cannot be written."""
    text = offload_page(offload_document())
    with whole_file(target) as part:
        part.write_text(text, encoding="utf-8")


def offload_document(models: Sequence[str] = MODELS, contenders: Sequence[str] = CONTENDERS) -> dict[str, Any]:
    """Return what the page shows, as plain values: each network with the best batch and with one sequence, and the validation."""
    asked = [contender(text) for text in contenders]
    comparisons = []
    for name in models:
        best = compare(network(name), asked, CONTEXTS, _GENERATED, BATCHES)
        alone = compare(network(name), asked, CONTEXTS, _GENERATED, (1,))
        comparisons.append({"best": best.document(), "alone": alone.document()})
    return {
        "comparisons": comparisons,
        "validation": validate_offload().document(),
        "provenance": provenance(),
    }


def offload_page(document: Mapping[str, Any]) -> str:
    """Return the page as HTML that needs nothing else."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.loader = jinja2.FunctionLoader(lambda name: (_TEMPLATES / name).read_text(encoding="utf-8"))
    environment.filters |= {"figure": figure_text, "tokens": tokens_text, "kind": kind_of}
    pictures = [
        {
            "tokens_per_s": Markup(contexts_picture(each["best"], "tokens_per_s")),
            "step_s": Markup(contexts_picture(each["alone"], "step_s")),
            "first_token_s": Markup(contexts_picture(each["alone"], "first_token_s")),
            "joules_per_token": Markup(contexts_picture(each["best"], "joules_per_token")),
            "usd_per_million_tokens": Markup(contexts_picture(each["best"], "usd_per_million_tokens")),
        }
        for each in document["comparisons"]
    ]
    return environment.get_template("offload.html").render(
        result=document,
        pictures=pictures,
        figures=FIGURES,
        columns=_COLUMNS,
        colours=COLOURS,
        kinds=KINDS,
        generated=_GENERATED,
        idle=IDLE_SHARE.value,
        years=LIFE.value.value / (365 * 86400),
        style=Markup("".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "offload.css"))),
    )
