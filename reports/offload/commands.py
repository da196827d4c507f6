"""Knows what each action of `lamforge offload` gives: a text and the same as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import SpecError
from hwsim.offload.systems import names, system
from models.networks import names as network_names
from reports.folders import replaced_file
from reports.offload.comparison import BATCHES, CONTENDERS, CONTEXTS, compare
from reports.offload.contender import contender, question
from reports.offload.documents import answer_document
from reports.offload.formats import FORMATS
from reports.offload.pictures import contexts_picture
from reports.offload.searching import search_document
from reports.offload.text import answer_text, comparison_text, search_text
from reports.tables import aligned

__all__ = ["Result", "compare_command", "list_command", "run_command", "search_command"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What a command prints."""

    text: str
    document: dict[str, Any]


def run_command(
    systems: Sequence[str], model: str, *, prompt: int, generated: int, batch: int | None, settings: Sequence[str]
) -> Result:
    """Return what one system does; raise SpecError or CheckpointError."""
    asked = contender(_one(systems, "run"), settings)
    answer = asked.answer(question(model, prompt=prompt, generated=generated, batch=1 if batch is None else batch))
    document = answer_document(asked, answer)
    return Result(text=answer_text(document), document=document)


def search_command(
    systems: Sequence[str], model: str, *, prompt: int, generated: int, batch: int | None, settings: Sequence[str]
) -> Result:
    """Return the best placement of one system; raise SpecError or CheckpointError."""
    if batch is not None:
        raise SpecError(f"Batch must be left to the search, not {batch}")
    document = search_document(_one(systems, "search"), model, prompt=prompt, generated=generated, settings=settings)
    return Result(text=search_text(document), document=document)


def compare_command(
    systems: Sequence[str], model: str, *, generated: int, batch: int | None, settings: Sequence[str], plot: Path | None
) -> Result:
    """Return systems over contexts, those of CONTENDERS where none is named; raise SpecError or CheckpointError.

    plot: file for the picture.
    """
    if settings and len(systems) != 1:
        raise SpecError(f"Settings must be of one system, not of {len(systems) or len(CONTENDERS)}")
    about = question(model, prompt=1, generated=generated, batch=1 if batch is None else batch)
    contenders = [contender(text, settings) for text in systems or CONTENDERS]
    document = compare(about.network, contenders, CONTEXTS, generated, BATCHES if batch is None else (batch,)).document()
    if plot is not None:
        with replaced_file(plot) as part:
            part.write_text(contexts_picture(document, "tokens_per_s", is_alone=True), encoding="utf-8")
    return Result(text=comparison_text(document), document=document)


def list_command() -> Result:
    """Return systems, formats and networks."""
    titles = {name: system(name).title for name in names()}
    formats = {name: dataclasses.asdict(bits) for name, bits in FORMATS.items()}
    lines = [
        aligned(list(titles.items())),
        aligned([(name, f"{bits.weight:g} bits a weight, {bits.cache:g} a cached value") for name, bits in FORMATS.items()]),
        f"networks: {', '.join(network_names())}",
    ]
    return Result(text="\n\n".join(lines), document={"systems": titles, "formats": formats, "networks": list(network_names())})


def _one(systems: Sequence[str], action: str) -> str:
    if len(systems) != 1:
        raise SpecError(f"Systems of {action} must be one, not {len(systems)}: `lamforge offload list` shows those there are")
    return systems[0]
