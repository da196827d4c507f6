"""The reports as verbs: one self-contained HTML file of a folder of results, or of offloading."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lamforge.flow.listener import SILENT, Listener
from lamforge.flow.verb import verb
from reports.folders import replaced_file
from reports.pages.offload import offload_page
from reports.pages.run import write_report
from reports.studies.offload import offload_study

__all__ = ["FolderRequest", "OffloadRequest", "Report", "folder", "offload", "run_folder", "run_offload"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderRequest:
    """A folder to report on.

    Attributes:
        folder: what the demo or a compilation wrote.
        output: file to write; None takes `report.html` in the folder.
    """

    folder: Path = dataclasses.field(kw_only=False)
    output: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffloadRequest:
    """Where the report on offloading goes.

    Attributes:
        output: file to write.
    """

    output: Path = dataclasses.field(default=Path("offload.html"), kw_only=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """A report that was written, in the file `path`."""

    path: Path

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


def run_folder(request: FolderRequest, listener: Listener = SILENT) -> Report:
    """Write the report of a folder that the demo or a compilation left; what the folder does not hold is left out.

    Raises:
        SpecError: the folder holds no results, or the file cannot be written.
        ProgramError: its programs are not what was compiled.
    """
    return Report(path=write_report(request.folder, request.output))


def run_offload(request: OffloadRequest, listener: Listener = SILENT) -> Report:
    """Write the report on GPUs, offloading systems and the FPGA from 4K to 1M tokens, with every published figure below.

    Raises:
        SpecError: the file cannot be written.
    """
    text = offload_page(offload_study(listener=listener))
    with replaced_file(request.output) as part:
        part.write_text(text, encoding="utf-8")
    return Report(path=request.output)


folder = verb("report.folder", FolderRequest, run_folder)
offload = verb("report.offload", OffloadRequest, run_offload)
