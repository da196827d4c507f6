"""Knows how a folder of results becomes one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hwsim.arch.assembly import format_program
from hwsim.arch.isa import Loop, decode
from hwsim.arch.program import Program
from hwsim.errors import ProgramError, SpecError
from hwsim.whole_files import whole_file
from lamforge.flow.executed import Executed
from lamforge.flow.programs import Programs, is_program_folder
from lamforge.flow.provenance import provenance
from lamforge.flow.simulation import simulate
from reports.pictures.roofline import points, roofline_picture
from reports.pictures.timeline import attention_window, layer_window, timeline_picture
from reports.text.tables import size_text

__all__ = ["excerpt", "render", "write_report"]

_TEMPLATES = resources.files("reports.pages") / "templates"
_EXCERPT_LINES = 40


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Write the report of a folder that the demo or a compilation left, and return its path.

    output: where; None takes `report.html` in the folder.

    Raises:
        SpecError: the folder holds no results, or its summary is not JSON.
        ProgramError: its programs are not what was compiled.
    """
    summary = _summary(folder)
    place = next((entry for entry in (folder / "program", folder) if is_program_folder(entry)), None)
    if summary is None and place is None:
        raise SpecError(f"Report folder must hold summary.json or compiled programs, not {str(folder)!r}")
    document = dict(summary or {})
    figures: dict[str, Any] = {}
    if place is not None:
        programs = Programs.load(place)
        figures = _figures(programs)
        document.setdefault("program", programs.document())
        document.setdefault("simulation", figures.pop("simulation"))
    document.setdefault("provenance", provenance())
    has_timeline = (folder / "timeline.json").is_file()
    target = folder / "report.html" if output is None else output
    with whole_file(target) as part:
        part.write_text(render(document, figures, has_timeline=has_timeline), encoding="utf-8")
    return target


def render(document: Mapping[str, Any], figures: Mapping[str, Any], *, has_timeline: bool = False) -> str:
    """Return the page; what `document` (summary.json) does not hold is left out."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.loader = jinja2.FunctionLoader(lambda name: (_TEMPLATES / name).read_text(encoding="utf-8"))
    environment.filters |= {"size": size_text, "words": lambda text: str(text).replace("_", " ")}
    style = Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template("report.html").render(summary=document, figures=figures, style=style, has_timeline=has_timeline)


def excerpt(program: Program, lines: int = _EXCERPT_LINES) -> str:
    """Return the assembly from the layer loop on."""
    instructions = [decode(word) for word in program.words]
    first = next((index for index, instruction in enumerate(instructions) if isinstance(instruction, Loop)), 0)
    text = format_program(instructions, program.symbols).splitlines()
    return "\n".join(text[first : first + lines])


def _summary(folder: Path) -> dict[str, Any] | None:
    path = folder / "summary.json"
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = None
    if not isinstance(document, dict):
        raise SpecError(f"Summary must be a JSON object, not what is in {str(path)!r}")
    return document


def _figures(programs: Programs) -> dict[str, Any]:
    """Return the pictures of a model's programs, and the simulations they show."""
    decode_run, prefill_run = simulate(programs, "decode"), simulate(programs, "prefill")
    if not len(decode_run.timeline.pc):
        raise ProgramError("Program decode must execute instructions, not none")
    executed = Executed(simulation=decode_run)
    return {
        "simulation": {"decode": decode_run.document(), "prefill": prefill_run.document()},
        "roofline": Markup(roofline_picture([decode_run, prefill_run])),
        "points": [*points(decode_run), *points(prefill_run)],
        "timeline": Markup(timeline_picture(decode_run, layer_window(executed), "Timeline of one layer")),
        "attention": Markup(timeline_picture(decode_run, attention_window(executed), "Timeline of its attention")),
        "assembly": excerpt(programs.decode),
        "tile": programs.engine.tile,
    }
