"""An engine's Verilog in a folder, with a kernel package where there is a board."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from hwsim.arch.board import board_names, load_board
from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError, SpecError
from hwsim.plain import Settings
from hwsim.whole_files import whole_folder
from lamforge.flow.engines import chosen_engine
from lamforge.flow.verb import SILENT, Listener, verb
from rtl.package import Target, package_files
from rtl.synthesis import crossings
from rtl.verilog import TOP, write
from testbenches.tools import check_lintable
from testbenches.verilator import lint

__all__ = ["PACKAGE", "RtlRequest", "Verilog", "rtl", "run", "target_of"]

PACKAGE = "vitis"
"""Folder of the kernel package, inside that of the Verilog."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RtlRequest:
    """An engine to write as Verilog.

    Attributes:
        engine: name of a shipped engine, path of a YAML file, or an engine.
        output: folder to write into.
        settings: values of the engine to change, by path: `{"tile.tokens": 2}`.
        board: board of the kernel package, by name or path of a YAML file; None takes the one whose memory the engine has.
        is_linted: whether Verilator's lint runs too, with all warnings.
    """

    engine: str | EngineConfig = dataclasses.field(default="small", kw_only=False)
    output: str | Path
    settings: Settings = dataclasses.field(default_factory=dict)
    board: str | None = None
    is_linted: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verilog:
    """What was written.

    Attributes:
        engine: the engine.
        folder: where it lies.
        lines: number of lines of each Verilog file, by name.
        files: names of all files beside the package, in alphabetical order.
        is_linted: whether Verilator's lint ran, which then complained of nothing.
        generate_s: seconds that the generation took.
        board: name of the board of the package; None where there is no package.
        package: names of the package's files, in alphabetical order.
    """

    engine: EngineConfig
    folder: Path
    lines: Mapping[str, int]
    files: tuple[str, ...]
    is_linted: bool
    generate_s: float
    board: str | None
    package: tuple[str, ...]

    @property
    def top(self) -> str:
        """Name of the top module."""
        return TOP

    @property
    def line_count(self) -> int:
        """Lines of all Verilog files."""
        return sum(self.lines.values())


def run(request: RtlRequest, listener: Listener = SILENT) -> Verilog:
    """Write the Verilog of an engine to a folder, all or nothing; one with a board gets a Vitis kernel package in PACKAGE.

    Raises:
        SpecError: the board is not known.
        ConfigError: the engine cannot be built, or does not fit the board.
        MachineError: the lint cannot run, or complains, or Yosys refuses to count wires for a package; nothing is written.
    """
    engine, folder = chosen_engine(request.engine, request.settings), Path(request.output)
    if request.is_linted:
        check_lintable()
    target = target_of(engine, request.board)
    if target is not None:
        target.check(engine)
    listener.say(f"Writing the Verilog of {engine.name}")
    began = time.perf_counter()
    with whole_folder(folder, keeps_others=True) as part:
        files = write(engine, part)
        packaged = {} if target is None else _package(engine, target, files)
        for name, text in packaged.items():
            place = part / PACKAGE / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        generate_s = time.perf_counter() - began
        lines = {path.name: len(path.read_text().splitlines()) for path in files if path.suffix == ".v"}
        complaints = lint(part, top=TOP) if request.is_linted else ""
        if complaints:
            first = next(line for line in complaints.splitlines() if line.strip()).replace(f"{part}/", "")
            count = complaints.count("%Warning") + complaints.count("%Error")
            raise MachineError(f"Verilog of {engine.name} must pass Verilator's lint, not give {count} complaints: {first}")
    return Verilog(
        engine=engine,
        folder=folder,
        lines=lines,
        files=tuple(sorted(path.name for path in files)),
        is_linted=request.is_linted,
        generate_s=generate_s,
        board=None if target is None else target.name,
        package=tuple(sorted(packaged)),
    )


rtl = verb("rtl", RtlRequest, run)


def _package(engine: EngineConfig, target: Target, files: Iterable[Path]) -> dict[str, str]:
    wires = crossings(engine, slrs=target.slrs, memory_slr=target.memory_slr)
    return package_files(engine, target, {path.name: path.read_text() for path in files}, wires)


def target_of(engine: EngineConfig, board: str | None = None) -> Target | None:
    """Return the board to package an engine for: the one that is named, else the one whose memory the engine is made for.

    None where no board is named and none has such memory. Raises SpecError for an unknown name, and where several
    boards have the memory and none of them the engine's name.
    """
    if board is not None:
        return Target.of(load_board(board))
    fitting = [target for target in map(Target.of, map(load_board, board_names())) if target.is_made_for(engine)]
    chosen = [target for target in fitting if target.name == engine.name] or fitting
    if len(chosen) > 1:
        names = ", ".join(target.name for target in chosen)
        raise SpecError(f"Board must be named for engine {engine.name}, whose memory is that of {names}")
    return chosen[0] if chosen else None
