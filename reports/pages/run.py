"""A folder of results, as the demo or a compilation leaves it, as one HTML file that needs nothing else."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from hwsim.arch.assembly import format_program
from hwsim.arch.board import RESOURCES
from hwsim.arch.isa import Loop, decode
from hwsim.errors import ProgramError, SpecError, shown
from hwsim.whole_files import write_text
from lamforge.flow.executed import Executed
from lamforge.flow.fit import Fit, own_fit
from lamforge.flow.programs import Programs, is_program_folder
from lamforge.flow.provenance import provenance
from lamforge.flow.roofline import Roofline, roofline
from lamforge.flow.rtl import is_verilog_folder, written_engine
from lamforge.flow.simulate import SimulateRequest, Timing
from lamforge.flow.simulate import run as simulate
from lamforge.flow.verb import SILENT, Listener
from reports.documents.programs import programs_document, timing_document
from reports.documents.summary import Part, Summary, load_summary, refusal
from reports.pages.environment import page
from reports.pictures.roofline import roofline_picture
from reports.pictures.timeline import timeline_picture

__all__ = ["Figures", "folder_page", "write_report"]

_EXCERPT_LINES = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What is drawn of the programs in a folder.

    Attributes:
        memory: the memory model of the runs.
        roofline, roofline_picture: of a decode and a prefill run.
        timeline, attention: pictures of the middle layer of the decode run, and of its attention.
        assembly: the decode program from its layer loop on.
    """

    memory: str
    roofline: Roofline
    roofline_picture: Markup
    timeline: Markup
    attention: Markup
    assembly: str


def write_report(
    folder: str | Path, output: str | Path | None = None, *, memory: str | None = None, listener: Listener = SILENT
) -> Path:
    """Write the report of a folder that the demo, a compilation or `rtl` left, and return its path.

    output: where; None takes `report.html` in the folder.
    memory: what its programs are simulated anew under; None takes the runs of the summary, and pictures of the ideal memory.

    Raises:
        SpecError: the folder holds no results, or no programs that a memory model is given for, or its summary is damaged.
        ConfigError: there is no such memory model.
        ProgramError: its programs are not what was compiled.
    """
    folder = Path(folder)
    path = folder / "summary.json"
    place = next((entry for entry in (folder / "program", folder) if is_program_folder(entry)), None)
    summary = load_summary(path) if path.is_file() else None
    written = [below for below in (folder, *sorted(folder.glob("verilog/*"))) if is_verilog_folder(below)]
    if summary is None and place is None and not written:
        expected = "results of explore or demo, compiled programs, or Verilog"
        raise SpecError(f"Report folder must hold {expected}, not {shown(str(folder))}")
    if place is None and memory is not None:
        raise SpecError(f"Report folder must hold compiled programs where a memory model is given, not {shown(str(folder))}")
    figures, programs = None, None if place is None else Programs.load(place)
    anew: dict[str, Part] = {}
    if programs is not None:
        runs = {name: _simulated(programs, name, memory) for name in ("decode", "prefill")}
        figures = _figures(programs, runs["decode"], runs["prefill"])
        anew = {name: timing_document(timing) for name, timing in runs.items()}
    if summary is None:
        # As far as programs and their runs tell.
        described = None if programs is None else programs_document(programs)
        summary = Summary(program=described, simulation=anew, provenance=dataclasses.asdict(provenance()))
    engines = [*([] if programs is None else [programs.engine]), *map(written_engine, written)]
    target = folder / "report.html" if output is None else Path(output)
    try:
        content = folder_page(
            summary,
            figures,
            runs={**summary.simulation, **({} if memory is None else anew)},
            fits=[own_fit(engine, listener) for engine in {engine.digest: engine for engine in engines}.values()],
            is_kept=path.is_file() and memory is None,
            has_timeline=(folder / "timeline.json").is_file(),
        )
    except KeyError as error:
        raise refusal(path, f"{error} is missing") from error
    except (jinja2.UndefinedError, TypeError, ValueError) as error:
        raise refusal(path, str(error)) from error
    return write_text(target, content)


def folder_page(
    summary: Summary,
    figures: Figures | None = None,
    *,
    runs: Mapping[str, Part] | None = None,
    fits: Sequence[Fit] = (),
    is_kept: bool = True,
    has_timeline: bool = False,
) -> str:
    """Return the page; what the summary does not hold is left out, and without figures there are no pictures.

    runs: simulated runs, `decode` among them or none; None takes those of the summary.
    fits: how engines lie on their boards.
    is_kept: whether summary.json beside the page has every figure of the model, its programs and its runs.
    has_timeline: whether there is a timeline.json beside the page, which it then names.
    """
    shown = summary.simulation if runs is None else runs
    values = {
        "summary": summary,
        "figures": figures,
        "runs": shown,
        "decode": shown.get("decode"),
        "fits": fits,
        "floorplans": [Markup(each.picture) for each in fits],
        "resources": RESOURCES,
        "is_kept": is_kept,
        "has_timeline": has_timeline,
    }
    return page("report", values)


def _simulated(programs: Programs, name: str, memory: str | None) -> Timing:
    request = SimulateRequest(programs, program=name)
    timing = simulate(request if memory is None else dataclasses.replace(request, memory=memory))
    assert isinstance(timing, Timing)
    return timing


def _figures(programs: Programs, decode_run: Timing, prefill_run: Timing) -> Figures:
    """Return what is drawn of a model's programs."""
    if not len(decode_run.timeline.pc):
        raise ProgramError("Program decode must execute instructions, not none")
    executed, found = Executed(timing=decode_run), roofline([decode_run, prefill_run])
    instructions = [decode(word) for word in programs.decode.words]
    first = next((index for index, instruction in enumerate(instructions) if isinstance(instruction, Loop)), 0)
    lines = format_program(instructions, programs.decode.symbols).splitlines()
    return Figures(
        memory=str(decode_run.memory),
        roofline=found,
        roofline_picture=Markup(roofline_picture(found)),
        timeline=Markup(timeline_picture(executed, executed.layer_window, "Timeline of one layer")),
        attention=Markup(timeline_picture(executed, executed.attention_window, "Timeline of its attention")),
        assembly="\n".join(lines[first : first + _EXCERPT_LINES]),
    )
