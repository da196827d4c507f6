"""Knows what each action of `lamforge offload` gives: a text and the same as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.systems import names, system
from hwsim.whole_files import whole_file
from lamforge.flow.offload.comparison import BATCHES, CONTENDERS, CONTEXTS, compare
from lamforge.flow.offload.contender import contender, question
from lamforge.flow.offload.formats import FORMATS
from lamforge.flow.offload.search import search_document
from models.zoo import names as network_names
from reports.documents.offload import answer_document
from reports.pictures.offload import contexts_picture
from reports.text.offload import answer_text, comparison_text, search_text
from reports.text.tables import aligned

__all__ = ["Result", "compare_command", "list_command", "run_command", "search_command"]

_PROMPT = 4096
"""Tokens, where nothing is said."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What a command prints."""

    text: str
    document: dict[str, Any]


def run_command(
    systems: Sequence[str], model: str, *, prompt: int | None, generated: int, batch: int | None, settings: Sequence[str]
) -> Result:
    """Return what one system does; raise SpecError or CheckpointError."""
    asked = contender(_one(systems, "run"), settings)
    answer = asked.answer(_question(model, prompt, generated, batch))
    document = answer_document(asked, answer)
    return Result(text=answer_text(document), document=document)


def search_command(
    systems: Sequence[str], model: str, *, prompt: int | None, generated: int, batch: int | None, settings: Sequence[str]
) -> Result:
    """Return the best placement of one system; raise SpecError or CheckpointError."""
    if batch is not None:
        raise SpecError(f"Batch must be left to the search, not {batch}")
    document = search_document(_one(systems, "search"), _question(model, prompt, generated, None), settings)
    return Result(text=search_text(document), document=document)


def compare_command(
    systems: Sequence[str],
    model: str,
    *,
    prompt: int | None,
    generated: int,
    batch: int | None,
    settings: Sequence[str],
    plot: Path | None,
) -> Result:
    """Return systems over contexts, where none is named those of CONTENDERS made for the batch; raise SpecError or CheckpointError.

    prompt: where to look closely; None looks at all contexts.
    plot: file for the picture.
    """
    if settings and len(systems) != 1:
        raise SpecError(f"Settings must be of one system, not of {len(systems) or len(CONTENDERS)}")
    about = _question(model, prompt, generated, batch)
    contenders = [contender(text, settings) for text in systems or CONTENDERS]
    if not systems:
        contenders = [each for each in contenders if each.system.most_sequences >= (batch or 1)]
    batches = BATCHES if batch is None else (batch,)
    document = compare(about.network, contenders, CONTEXTS, generated, batches).document()
    if prompt is not None:
        document["at"] = compare(about.network, contenders, (float(prompt),), generated, batches).document()
    if plot is not None:
        with whole_file(plot) as part:
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


def _question(model: str, prompt: int | None, generated: int, batch: int | None) -> Workload:
    return question(model, prompt=_PROMPT if prompt is None else prompt, generated=generated, batch=1 if batch is None else batch)


def _one(systems: Sequence[str], action: str) -> str:
    if len(systems) != 1:
        raise SpecError(f"Systems of {action} must be one, not {len(systems)}: `lamforge offload list` shows those there are")
    return systems[0]
