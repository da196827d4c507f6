"""The verb `compare`: two results, two studies, or one command from two commits, set beside each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hwsim.errors import SpecError, shown
from lamforge.explore.differences import StudyComparison, compare_studies
from lamforge.explore.store import is_study_folder
from lamforge.flow.commits import Ran, ran
from lamforge.flow.compare import MARK, DocumentComparison, compare_documents, read_result
from lamforge.flow.verb import SILENT, Listener, verb
from reports.documents.of_result import document_of

__all__ = ["ComparisonRequest", "compare", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonRequest:
    """What to compare.

    Attributes:
        a, b: results of one verb: what it returned, or paths of the JSON documents that it printed; paths of folders that
            `explore` wrote; or, with a command, commits of the repository that holds the installed sources, `.` for the
            sources as they are.
        command: verb with its arguments that is run from both commits.
        tolerance: relative difference up to which two numbers are the same, from 0 to below 1.
    """

    a: object = dataclasses.field(kw_only=False)
    b: object = dataclasses.field(kw_only=False)
    command: Sequence[str] = ()
    tolerance: float = 0.0


def run(request: ComparisonRequest, listener: Listener = SILENT) -> DocumentComparison | StudyComparison:
    """Compare two results of a verb, two studies, or what a command finds from two commits: what changed, sorted by effect.

    Raises:
        SpecError: one of both is no result, they are of different verbs, a study was stopped, or a commit cannot run the command.
    """
    if request.command:
        revisions = [str(each) for each in (request.a, request.b)]
        with ran(revisions, request.command, listener=listener) as sides:
            return _of_commits(sides, request)
    paths = [Path(each) if isinstance(each, str | Path) else None for each in (request.a, request.b)]
    for path in paths:
        if path is not None and not path.exists():
            raise SpecError(f"Result must be a file or a folder that exists, or a commit with a command, not {shown(str(path))}")
    first, second = paths
    if first is not None and second is not None and first.is_dir() and second.is_dir():
        return compare_studies(first, second, tolerance=request.tolerance)
    if any(path is not None and path.is_dir() for path in paths):
        raise SpecError("Results must be two folders of studies or two results of a verb, not one of each")
    documents = [
        document_of(each) if path is None else read_result(path) for each, path in zip((request.a, request.b), paths, strict=True)
    ]
    names = [label if path is None else str(path) for label, path in zip("AB", paths, strict=True)]
    return compare_documents(documents[0], documents[1], names=(names[0], names[1]), tolerance=request.tolerance)


compare = verb("compare", ComparisonRequest, run)


def _of_commits(sides: Sequence[Ran], request: ComparisonRequest) -> DocumentComparison | StudyComparison:
    a, b = sides
    names = (a.name, b.name)
    if a.output is not None and b.output is not None and is_study_folder(a.output) and is_study_folder(b.output):
        return compare_studies(a.output, b.output, names=names, tolerance=request.tolerance)
    first, second = read_result(a.document), read_result(b.document)
    # Earlier versions do not say which verb made a document.
    mark = first.get(MARK) or second.get(MARK) or request.command[0]
    return compare_documents({MARK: mark} | first, {MARK: mark} | second, names=names, tolerance=request.tolerance)
