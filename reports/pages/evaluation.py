"""Knows how an evaluation becomes one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hwsim.whole_files import whole_file
from reports.pictures.evaluation import COLOURS, layer_picture, retrieval_picture, stream_picture
from reports.text.evaluate import shown_name

__all__ = ["page", "write_page"]

_TEMPLATES = resources.files("reports.pages") / "templates"


def write_page(document: Mapping[str, Any], target: Path) -> None:
    """Write the page of an evaluation, whole or not at all; raise SpecError when it cannot be written."""
    with whole_file(target) as part:
        part.write_text(page(document), encoding="utf-8")


def page(document: Mapping[str, Any]) -> str:
    """Return the page; what was not measured is left out."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.loader = jinja2.FunctionLoader(lambda name: (_TEMPLATES / name).read_text(encoding="utf-8"))
    pictures = {}
    if "stream" in document:
        pictures["stream"] = Markup(stream_picture(document["stream"]))
    if "layers" in document:
        pictures["layers"] = Markup(layer_picture(document["layers"]))
    for key in ("passkey", "hard_needle"):
        if key in document:
            pictures[key] = Markup(retrieval_picture(document[key]))
    return environment.get_template("evaluation.html").render(
        result=document,
        pictures=pictures,
        colours=COLOURS,
        names={name: shown_name(name, document) for name in document["measured"]},
        worst=sorted(document.get("layers", []), key=lambda entry: -float(entry["own"]))[:10],
        style=Markup("".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "evaluation.css"))),
    )
