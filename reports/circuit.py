"""Knows how an engine's Verilog comes to a folder, and whether Verilator's lint has anything against it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError
from reports.folders import whole_folder
from rtl.verilog import TOP, write
from testbenches.verilator import lint

__all__ = ["write_verilog"]


def write_verilog(engine: EngineConfig, folder: Path, *, is_linted: bool = False) -> dict[str, Any]:
    """Write the Verilog of an engine to a folder, all or nothing, and return what was written as plain values.

    is_linted: also run Verilator's lint with all warnings.

    Raises:
        MachineError: the lint complains; nothing is written.
    """
    began = time.perf_counter()
    with whole_folder(folder) as part:
        files = write(engine, part)
        written_s = time.perf_counter() - began
        sizes = {path.name: len(path.read_text().splitlines()) for path in files if path.suffix == ".v"}
        complaints = lint(part, top=TOP) if is_linted else ""
        if complaints:
            first = next(line for line in complaints.splitlines() if line.strip()).replace(f"{part}/", "")
            count = complaints.count("%Warning") + complaints.count("%Error")
            raise MachineError(f"Verilog of {engine.name} must pass Verilator's lint, not give {count} complaints: {first}")
    return {
        "engine": engine.name,
        "engine_digest": engine.digest,
        "folder": str(folder),
        "top": TOP,
        "files": sorted(path.name for path in files),
        "lines": sum(sizes.values()),
        "lint": "clean" if is_linted else None,
        "generate_s": written_s,
    }
