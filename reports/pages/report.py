"""The reports as verbs: one self-contained HTML file of a folder of results, or of offloading."""

from pathlib import Path

from hwsim.errors import SpecError
from hwsim.whole_files import write_text
from lamforge.explore.placement_findings import is_placement_folder
from lamforge.explore.store import is_study_folder
from lamforge.flow.verb import SILENT, Listener
from reports.pages.offload import offload_page
from reports.pages.placements import write_placements
from reports.pages.run import write_report
from reports.studies.offload import offload_study

__all__ = ["folder", "offload"]


def folder(folder: str | Path, output: str | Path | None = None, *, memory: str | None = None, listener: Listener = SILENT) -> Path:
    """Write the report of a folder that explore, the demo, a compilation or `rtl` left, and return its path.

    output: where; None takes `report.html` in the folder.
    memory: memory model under which its programs are simulated anew, as `simulate` takes it; None takes the runs that the folder
        holds, and where it holds none the model `ideal`.

    Raises:
        SpecError: the folder holds no results, or damaged ones, or has no programs that a memory model is given for, or the file
            cannot be written.
        ConfigError: there is no such memory model.
        ProgramError: its programs are not what was compiled.
        MachineError: Yosys, which counts wires between SLRs, is missing or refuses.
    """
    if not is_study_folder(Path(folder)):
        return write_report(folder, output, memory=memory, listener=listener)
    if memory is not None:
        raise SpecError("Memory model must be left out with a study, whose points have theirs")
    target = None if output is None else Path(output)
    if is_placement_folder(Path(folder)):
        return write_placements(Path(folder), target)
    # Charts take a second to load.
    from reports.pages.exploration import write_exploration

    return write_exploration(Path(folder), target)


def offload(output: Path = Path("offload.html"), listener: Listener = SILENT) -> Path:
    """Write the report on GPUs, offloading systems and the FPGA from 4K to 1M tokens, with every published figure below.

    output: file to write, whole or not at all; it is returned.

    Raises:
        SpecError: the file cannot be written.
    """
    return write_text(output, offload_page(offload_study(listener=listener)))
