"""The reports as verbs: one self-contained HTML file of a folder of results, or of offloading."""

from pathlib import Path

from hwsim.whole_files import write_text
from lamforge.flow.verb import SILENT, Listener
from reports.pages.offload import offload_page
from reports.pages.run import write_report as folder
from reports.studies.offload import offload_study

__all__ = ["folder", "offload"]


def offload(output: Path = Path("offload.html"), listener: Listener = SILENT) -> Path:
    """Write the report on GPUs, offloading systems and the FPGA from 4K to 1M tokens, with every published figure below.

    output: file to write, whole or not at all; it is returned.

    Raises:
        SpecError: the file cannot be written.
    """
    return write_text(output, offload_page(offload_study(listener=listener)))
