"""What this installation has and lacks for the whole path, found out before anything fails for want of it."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from hwsim.errors import MachineError
from lamforge.flow.verb import SILENT, Listener, verb
from testbenches.tools import BUILD_TOOLS, environment, unsafe_in

__all__ = ["DEMO_DISK_BYTES", "DEMO_MEMORY_BYTES", "DEMO_MINUTES", "Diagnosis", "DoctorRequest", "Finding", "doctor", "run"]

DEMO_DISK_BYTES = 2_300_000_000
"""Bytes that the demo and what it builds take of the disk. Ref: README.md, Two commands."""
DEMO_MEMORY_BYTES = 3_300_000_000
"""Bytes of memory that the demo takes at most. Ref: README.md, Two commands."""
DEMO_MINUTES = 10
"""Minutes that the demo takes on two cores, with what it builds. Ref: README.md, Two commands."""

_ROOT = Path(__file__).parents[2]
_APT = {
    "g++": "apt install g++",
    "make": "apt install make",
    "perl": "apt install perl",
    "ccache": "apt install ccache",
    "tclsh": "apt install tcl",
    "chromium": "apt install chromium",
}
_OPTIONAL = {
    "ccache": "makes repeated builds faster",
    "tclsh": "the tests of kernel packages run scripts with it",
    "chromium": "the tests of pages open them in it",
}
_TRIAL_S = 20
"""Seconds that a tool has to say its version."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorRequest:
    """What is looked at.

    Attributes:
        folder: that the commands are going to be called in, which gets the folder `build`.
    """

    folder: Path = dataclasses.field(default=Path(), kw_only=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is, such as `Tool g++`.
        found: what is there, such as its version.
        is_right: whether that is as it should be.
        is_needed: whether the demo or a verb needs it; without the others only something is slower or left out.
        advice: what to do about it; empty where it is right.
    """

    subject: str
    found: str
    is_right: bool
    is_needed: bool
    advice: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Everything that was looked at, in the order of what a user would mend first."""

    findings: tuple[Finding, ...]

    @property
    def is_ready(self) -> bool:
        """Whether nothing that is needed is missing or wrong."""
        return all(finding.is_right for finding in self.findings if finding.is_needed)


def run(request: DoctorRequest, listener: Listener = SILENT) -> Diagnosis:
    """Look at Python, packages, tools, paths, caches, disk and memory, and say of each whether the whole path works with it."""
    folder = request.folder.absolute()
    findings = [_python(), _library(), *_packages(), *_tools(), *_paths(folder), *_places(folder), _disk(folder), _memory()]
    return Diagnosis(findings=tuple(findings))


doctor = verb("doctor", DoctorRequest, run)


def _finding(subject: str, found: str, advice: str, *, is_needed: bool = True) -> Finding:
    return Finding(subject=subject, found=found, is_right=not advice, is_needed=is_needed, advice=advice)


def _python() -> Finding:
    is_right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return _finding("Python", platform.python_version(), "" if is_right else "install Python 3.11, 3.12 or 3.13")


def _library() -> Finding:
    """Look at the shared library of Python, which cocotb loads."""
    try:
        from find_libpython import find_libpython

        found = find_libpython()
    except ImportError:
        found = None
    advice = "" if found else "install it (Debian and Ubuntu: apt install libpython3-dev)"
    return _finding("Shared library of Python", found or "missing", advice)


def _packages() -> Iterator[Finding]:
    """Look at the packages that this version of Lamforge declares to need, and at those of the extra `explore`."""
    try:
        declared = metadata.requires("lamforge") or []
    except metadata.PackageNotFoundError:
        yield _finding("Package lamforge", "not installed", f"pip install --editable {_ROOT}")
        return
    for line in declared:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*['\"](\w+)['\"]", marker)
        name = re.match(r"[\w.-]+", requirement.strip())
        if name is not None and name[0] != "lamforge" and (extra is None or extra[1] == "explore"):
            yield _package(name[0], requirement.strip(), is_needed=extra is None)
    try:
        from models.checkpoint.shipped import NAMES, distribution
    except (ImportError, OSError) as error:
        # What is missing for it stands above, unless it is there and broken.
        yield _finding("Checkpoints that ship", f"cannot be looked for ({error})", "mend the packages above")
        return
    for model in NAMES:
        package, _, version = distribution(model).partition(" ")
        yield _package(package, f"{package}=={version}", is_needed=True)


def _package(name: str, requirement: str, *, is_needed: bool) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return _finding(f"Package {name}", "not installed", f"pip install '{requirement}'", is_needed=is_needed)
    try:
        from packaging.requirements import Requirement

        is_right = Requirement(requirement).specifier.contains(version, prereleases=True)
    except ImportError:
        # Another package that is missing here brings it.
        is_right = True
    return _finding(f"Package {name}", version, "" if is_right else f"pip install '{requirement}'", is_needed=is_needed)


def _tools() -> Iterator[Finding]:
    """Look at the programs on PATH: what builds a simulation must work, not only be there."""
    for name in (*BUILD_TOOLS, *_OPTIONAL):
        is_needed = name in BUILD_TOOLS
        install = f"install it (Debian and Ubuntu: {_APT[name]})" + ("" if is_needed else f": {_OPTIONAL[name]}")
        place = shutil.which(name)
        if place is None:
            yield _finding(f"Tool {name}", "not on PATH", install, is_needed=is_needed)
        else:
            said, advice = _trial(name, place)
            yield _finding(f"Tool {name}", said, advice and f"{advice}, or {install}", is_needed=is_needed)
    try:
        verilator = shutil.which("verilator", path=environment()["PATH"])
    except MachineError:
        verilator = None
    if verilator is not None:
        yield _finding("Tool verilator", *_trial("verilator", verilator, environment()))


def _trial(name: str, place: str, variables: dict[str, str] | None = None) -> tuple[str, str]:
    """Return what a tool says of itself, and what is wrong with it, empty where nothing is."""
    version = {"tclsh": [], "perl": ["-e", "print $^V"]}.get(name, ["--version"])
    code, said = _said([place, *version], "puts [info patchlevel]\n", variables)
    if code != 0:
        return said or "does not run", "mend it"
    if name == "g++":
        code, _ = _said([place, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"], "#include <filesystem>\nint main() {}\n")
        return said, "" if code == 0 else "take one that compiles C++17"
    if name == "make" and not said.startswith("GNU Make"):
        return said, "take GNU Make"
    return said, ""


def _said(command: Sequence[str], text: str, variables: dict[str, str] | None = None) -> tuple[int, str]:
    """Return the exit code of a command, and its first line."""
    try:
        found = subprocess.run(
            command, input=text, capture_output=True, text=True, errors="replace", timeout=_TRIAL_S, env=variables, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    lines = (found.stdout or found.stderr).strip().splitlines()
    return found.returncode, lines[0][:100] if lines else ""


def _paths(folder: Path) -> Iterator[Finding]:
    """Look at the paths that make has to do with."""
    places = (
        ("Path of Python's environment", Path(sys.prefix), True, "make the virtual environment elsewhere"),
        ("Path of temporary files", Path(tempfile.gettempdir()), unsafe_in(folder) is not None, "set TMPDIR to another folder"),
        ("Path of the folder", folder, False, "simulations are built in temporary files: slower to begin"),
    )
    for subject, place, is_needed, advice in places:
        unsafe = unsafe_in(place)
        reason = "" if unsafe is None else f"make cannot build at a path with {unsafe!r}: {advice}"
        yield _finding(subject, str(place), reason, is_needed=is_needed)


def _places(folder: Path) -> Iterator[Finding]:
    """Look at the folders that are written to."""
    build = folder / "build"
    yield _finding("Folder build", str(build), "" if _is_writable(build) else "change to a folder that can be written")
    temporary = Path(tempfile.gettempdir())
    yield _finding(
        "Temporary files", str(temporary), "" if _is_writable(temporary) else "set TMPDIR to a folder that can be written"
    )
    named = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    places = [Path(named)] if named else [_ROOT / "hwsim", home]
    kept = next((place for place in places if _is_writable(place)), None)
    advice = "" if kept else "set NUMBA_CACHE_DIR to a folder that can be written: each command compiles again otherwise"
    yield _finding("Folder of compiled functions", str(kept or places[0]), advice, is_needed=False)


def _is_writable(place: Path) -> bool:
    """Return whether a folder can be written, or made."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _disk(folder: Path) -> Finding:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    advice = "" if free >= DEMO_DISK_BYTES else f"make room: the demo takes {DEMO_DISK_BYTES / 1e9:.1f} GB"
    return _finding("Disk", f"{free / 1e9:.1f} GB free of {DEMO_DISK_BYTES / 1e9:.1f} GB that the demo takes", advice)


def _memory() -> Finding:
    available = _available_bytes()
    if available is None:
        return _finding("Memory", "not known on this system", "")
    advice = "" if available >= DEMO_MEMORY_BYTES else f"end other programs: the demo takes {DEMO_MEMORY_BYTES / 1e9:.1f} GB"
    return _finding("Memory", f"{available / 1e9:.1f} GB available of {DEMO_MEMORY_BYTES / 1e9:.1f} GB that the demo takes", advice)


def _available_bytes() -> int | None:
    """Return the memory that a process may still take, None where the system does not say."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.M)
        available = None if found is None else int(found[1]) * 1024
        for place in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
            limit = place.read_text().strip() if place.is_file() else ""
            if limit.isdecimal() and available is not None:
                available = min(available, int(limit))
    except OSError:
        return None
    return available
