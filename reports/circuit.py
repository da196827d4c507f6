"""Knows how an engine's Verilog comes to a folder, with a kernel package where there is a board, and what lint says of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwsim.arch.board import board_names, load_board
from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError, SpecError
from hwsim.whole_files import whole_folder
from rtl.package import Target, package_files
from rtl.verilog import TOP, write
from testbenches.verilator import lint

__all__ = ["PACKAGE", "target_of", "write_verilog"]

PACKAGE = "vitis"
"""Folder of the kernel package, inside that of the Verilog."""


def target_of(engine: EngineConfig, board: str | None = None) -> Target | None:
    """Return the board to package an engine for: the one that is named, else the one whose memory the engine is made for.

    None where no board is named and none has such memory. Raises SpecError for an unknown name, and where several
    boards have the memory and none of them the engine's name.
    """
    if board is not None:
        return Target.of(load_board(board))
    fitting = [target for target in map(Target.of, map(load_board, board_names())) if target.is_made_for(engine)]
    if len(fitting) > 1:
        named = [target for target in fitting if target.name == engine.name]
        if not named:
            names = ", ".join(target.name for target in fitting)
            raise SpecError(f"Board must be named for engine {engine.name}, whose memory is that of {names}")
        return named[0]
    return fitting[0] if fitting else None


def write_verilog(
    engine: EngineConfig,
    folder: Path,
    *,
    board: str | None = None,
    is_linted: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Write the Verilog of an engine to a folder, all or nothing, and return what was written as plain values.

    An engine with a board (see `target_of`) gets a kernel package for it in the folder PACKAGE.
    is_linted: also run Verilator's lint with all warnings.

    Raises:
        SpecError: the board is not known.
        ConfigError: the engine does not fit the board.
        MachineError: the lint complains; nothing is written.
    """
    target = target_of(engine, board)
    if target is not None:
        target.check(engine)
    progress(f"Writing the Verilog of {engine.name}")
    began = time.perf_counter()
    with whole_folder(folder, keeps_others=True) as part:
        files = write(engine, part)
        packaged = {} if target is None else package_files(engine, target, {path.name: path.read_text() for path in files})
        for name, text in packaged.items():
            place = part / PACKAGE / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
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
        "board": None if target is None else target.name,
        "package": sorted(packaged),
    }
