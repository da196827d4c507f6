"""One command run from two commits of the sources, each in a temporary folder that goes in the end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from hwsim.errors import SpecError, shown
from lamforge.flow.verb import SILENT, Listener

__all__ = ["AS_THEY_ARE", "ROOT", "Ran", "ran"]

ROOT = Path(__file__).parents[2]
"""Where the installed sources lie."""
AS_THEY_ARE = "."
"""Stands for the sources as they are, whether committed or not."""
_OUTPUT = ("-o", "--output")
_JSON = "--json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command did from one commit.

    Attributes:
        name: of the commit, as it was asked for and as Git calls it.
        document: file with what it printed as JSON.
        output: what it wrote where it was told to; None where it was told no place.
    """

    name: str
    document: Path
    output: Path | None


@contextlib.contextmanager
def ran(
    revisions: Sequence[str], command: Sequence[str], *, root: Path | None = None, listener: Listener = SILENT
) -> Iterator[list[Ran]]:
    """Yield what a command does from each of several commits; all of it is removed when the block ends, also by a signal.

    It runs in the current folder, with this Python and its packages. What it is told to write, it writes into a temporary folder.

    revisions: commits as Git names them, or `.` for the sources as they are.
    command: a verb with its arguments.
    root: top of a Git repository of sources; those that are installed where it is left out.

    Raises:
        SpecError: the sources are no Git repository, it has no such commit, or the command does not succeed.
    """
    root = root or ROOT
    commits = [_resolved(revision, root) for revision in revisions]
    with _until_stopped(), tempfile.TemporaryDirectory(prefix="lamforge-compare-") as folder:
        found: list[Ran] = []
        for place, (revision, commit) in enumerate(zip(revisions, commits, strict=True)):
            name = "the sources as they are" if commit is None else f"{revision} ({commit[:12]})"
            side = Path(folder) / str(place)
            (side / "sources").mkdir(parents=True)
            sources = root if commit is None else _extracted(commit, root, side / "sources", name)
            listener.say(f"Running {command[0]} from {name}")
            found.append(_run(name, sources, command, side))
        yield found


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except OSError as error:
        raise SpecError(f"Git must be installed to compare commits, not missing ({error.strerror})") from None


def _resolved(revision: str, root: Path) -> str | None:
    """Return the digest of a commit, None for the sources as they are."""
    if revision == AS_THEY_ARE:
        return None
    top = _git(root, "rev-parse", "--show-toplevel")
    if top.returncode or Path(os.fsdecode(top.stdout.strip())).resolve() != root.resolve():
        raise SpecError(f"Sources must be a Git repository to compare commits, not {shown(str(root))}")
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode:
        raise SpecError(f"Commit must be one of the repository in {shown(str(root))}, not {shown(revision)}")
    return found.stdout.decode().strip()


def _extracted(commit: str, root: Path, folder: Path, name: str) -> Path:
    """Write the files of a commit into a folder and return it."""
    command = ["git", "archive", "--format=tar", commit]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as archive:
        assert archive.stdout is not None
        with contextlib.suppress(tarfile.ReadError), tarfile.open(fileobj=archive.stdout, mode="r|") as files:
            # Python 3.11.4 and later have filters; before that, members are taken as they are.
            files.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            files.extractall(folder)
        archive.stdout.read()
    if archive.returncode or not (folder / "lamforge" / "__main__.py").is_file():
        raise SpecError(f"Commit must hold the command lamforge, not be {name}")
    return folder


def _run(name: str, sources: Path, command: Sequence[str], side: Path) -> Ran:
    """Run the command from some sources; what it prints and writes goes into a folder of this side."""
    output, document = side / "output", side / "document.json"
    words, is_told = _redirected(command, output)
    paths = [str(sources), *filter(None, [os.environ.get("PYTHONPATH")])]
    # A safe path: packages of the current folder, which may be other sources, are not found first.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
    with document.open("wb") as stream:
        process = [sys.executable, "-m", "lamforge", *words, *([] if _JSON in words else [_JSON])]
        ended = subprocess.run(
            process, stdout=stream, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment, check=False
        )
    if not document.stat().st_size and output.is_file():
        document = output
    # A verdict that is not as it should be is a result too.
    if ended.returncode not in (0, 1) or not document.stat().st_size:
        said = ended.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        raise SpecError(f"Command must succeed from {name}, not end with: {said[-1]}")
    return Ran(name=name, document=document, output=output if is_told else None)


def _redirected(command: Sequence[str], output: Path) -> tuple[list[str], bool]:
    """Return a command that writes to another place, and whether it is told any."""
    words: list[str] = []
    is_told = is_next = False
    for word in command:
        option = word.partition("=")[0]
        if is_next:
            words.append(str(output))
        elif option == _OUTPUT[1] and "=" in word:
            words.append(f"{option}={output}")
        elif word.startswith(_OUTPUT[0]) and len(word) > len(_OUTPUT[0]):
            words.append(f"{_OUTPUT[0]}{output}")
        else:
            words.append(word)
        is_told = is_told or words[-1] != word
        is_next = word in _OUTPUT and not is_next
    return words, is_told


@contextlib.contextmanager
def _until_stopped() -> Iterator[None]:
    """Let a request to end the process end the block first, so that what it made is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
