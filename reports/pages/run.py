"""A folder of results, as the demo or a compilation leaves it, as one HTML file that needs nothing else."""

import dataclasses
from pathlib import Path

import jinja2
from markupsafe import Markup

from hwsim.arch.assembly import format_program
from hwsim.arch.isa import Loop, decode
from hwsim.errors import ProgramError, SpecError, shown
from hwsim.whole_files import write_text
from lamforge.flow.executed import Executed
from lamforge.flow.programs import Programs, is_program_folder
from lamforge.flow.provenance import provenance
from lamforge.flow.roofline import Roofline, roofline
from lamforge.flow.simulate import Timing, simulate_run
from reports.documents.programs import programs_document, timing_document
from reports.documents.summary import Summary, load_summary, refusal
from reports.pages.environment import page
from reports.pictures.roofline import roofline_picture
from reports.pictures.timeline import timeline_picture

__all__ = ["Figures", "folder_page", "write_report"]

_EXCERPT_LINES = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What is drawn of the programs in a folder.

    Attributes:
        roofline, roofline_picture: of a decode and a prefill run.
        timeline, attention: pictures of the middle layer of the decode run, and of its attention.
        assembly: the decode program from its layer loop on.
    """

    roofline: Roofline
    roofline_picture: Markup
    timeline: Markup
    attention: Markup
    assembly: str


def write_report(folder: str | Path, output: str | Path | None = None) -> Path:
    """Write the report of a folder that the demo or a compilation left, and return its path.

    output: where; None takes `report.html` in the folder.

    Raises:
        SpecError: the folder holds no results, or its summary is damaged.
        ProgramError: its programs are not what was compiled.
    """
    folder = Path(folder)
    path = folder / "summary.json"
    place = next((entry for entry in (folder / "program", folder) if is_program_folder(entry)), None)
    summary = load_summary(path) if path.is_file() else None
    if summary is None and place is None:
        raise SpecError(f"Report folder must hold results of explore or demo, or compiled programs, not {shown(str(folder))}")
    figures = None
    if place is not None:
        programs = Programs.load(place)
        runs = {name: simulate_run(programs, name) for name in ("decode", "prefill")}
        figures = _figures(programs, runs["decode"], runs["prefill"])
        # As far as programs and their runs tell.
        summary = summary or Summary(
            program=programs_document(programs),
            simulation={name: timing_document(timing) for name, timing in runs.items()},
            provenance=dataclasses.asdict(provenance()),
        )
    assert summary is not None
    target = folder / "report.html" if output is None else Path(output)
    try:
        content = folder_page(summary, figures, has_timeline=(folder / "timeline.json").is_file())
    except KeyError as error:
        raise refusal(path, f"{error} is missing") from error
    except (jinja2.UndefinedError, TypeError, ValueError) as error:
        raise refusal(path, str(error)) from error
    return write_text(target, content)


def folder_page(summary: Summary, figures: Figures | None = None, *, has_timeline: bool = False) -> str:
    """Return the page; what the summary does not hold is left out, and without figures there are no pictures.

    has_timeline: whether there is a timeline.json beside the page, which it then names.
    """
    return page("report", {"summary": summary, "figures": figures, "has_timeline": has_timeline})


def _figures(programs: Programs, decode_run: Timing, prefill_run: Timing) -> Figures:
    """Return what is drawn of a model's programs."""
    if not len(decode_run.timeline.pc):
        raise ProgramError("Program decode must execute instructions, not none")
    executed, found = Executed(timing=decode_run), roofline([decode_run, prefill_run])
    instructions = [decode(word) for word in programs.decode.words]
    first = next((index for index, instruction in enumerate(instructions) if isinstance(instruction, Loop)), 0)
    lines = format_program(instructions, programs.decode.symbols).splitlines()
    return Figures(
        roofline=found,
        roofline_picture=Markup(roofline_picture(found)),
        timeline=Markup(timeline_picture(executed, executed.layer_window, "Timeline of one layer")),
        attention=Markup(timeline_picture(executed, executed.attention_window, "Timeline of its attention")),
        assembly="\n".join(lines[first : first + _EXCERPT_LINES]),
    )
