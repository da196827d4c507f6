"""An engine's Verilog in a folder, with a kernel package where there is a board."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from hwsim.arch.board import Board, board_names, load_board
from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError, SpecError, shown
from hwsim.plain import Settings
from hwsim.whole_files import whole_folder
from lamforge.flow.engines import chosen_engine
from lamforge.flow.fit import Fit, fit
from lamforge.flow.verb import SILENT, Listener, verb
from rtl.package import Target, package_files
from rtl.verilog import TOP, write
from testbenches.tools import check_lintable
from testbenches.verilator import lint

__all__ = ["PACKAGE", "RtlRequest", "Verilog", "board_for", "is_verilog_folder", "rtl", "run", "written_engine"]

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
        is_timed: whether a package tells longest paths and most loaded nets too, which takes minutes of Yosys the first time.
        cache: folder that keeps what Yosys mapped for that.
    """

    engine: str | EngineConfig = dataclasses.field(default="small", kw_only=False)
    output: str | Path
    settings: Settings = dataclasses.field(default_factory=dict)
    board: str | None = None
    is_linted: bool = False
    is_timed: bool = False
    cache: Path = Path("build/synthesis")


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
        fit: how the engine lies on the board of the package; None where there is no package.
        package: names of the package's files, in alphabetical order.
    """

    engine: EngineConfig
    folder: Path
    lines: Mapping[str, int]
    files: tuple[str, ...]
    is_linted: bool
    generate_s: float
    fit: Fit | None
    package: tuple[str, ...]

    @property
    def board(self) -> str | None:
        """Name of the board of the package; None where there is no package."""
        return None if self.fit is None else self.fit.board.name

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
    board = board_for(engine, request.board)
    if board is not None:
        Target.of(board).check(engine)
    listener.say(f"Writing the Verilog of {engine.name}")
    began = time.perf_counter()
    with whole_folder(folder, keeps_others=True) as part:
        files = write(engine, part)
        generate_s = time.perf_counter() - began
        found = None if board is None else fit(engine, board, listener, timing_cache=request.cache if request.is_timed else None)
        packaged = {} if found is None else _package(found, files)
        for name, text in packaged.items():
            place = part / PACKAGE / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
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
        fit=found,
        package=tuple(sorted(packaged)),
    )


rtl = verb("rtl", RtlRequest, run)


_DESCRIPTION = "engine.json"
"""The file beside Verilog that has the engine's parameters."""


def is_verilog_folder(folder: Path) -> bool:
    """Return whether the Verilog of an engine was written into a folder."""
    return (folder / _DESCRIPTION).is_file()


def written_engine(folder: Path) -> EngineConfig:
    """Return the engine whose Verilog was written into a folder.

    Raises:
        SpecError: the folder's description of the engine cannot be read.
        ConfigError: it is of no engine that this version builds.
    """
    path = folder / _DESCRIPTION
    try:
        document = json.loads(path.read_bytes())
        parameters = document["parameters"]
    except (OSError, ValueError, TypeError, KeyError):
        raise SpecError(
            f"Description of the Verilog must be as `lamforge rtl` writes it, not what is in {shown(str(path))}"
        ) from None
    return EngineConfig.from_dict(parameters)


def _package(found: Fit, files: Iterable[Path]) -> dict[str, str]:
    texts = {path.name: path.read_text() for path in files}
    return package_files(found.engine, Target.of(found.board), texts, found.estimates)


def board_for(engine: EngineConfig, board: str | None = None) -> Board | None:
    """Return the board to package an engine for: the one that is named, else the one whose memory the engine is made for.

    None where no board is named and none has such memory. Raises SpecError for an unknown name, and where several
    boards have the memory and none of them the engine's name.
    """
    if board is not None:
        return load_board(board)
    fitting = [each for each in map(load_board, board_names()) if Target.of(each).is_made_for(engine)]
    chosen = [each for each in fitting if each.name == engine.name] or fitting
    if len(chosen) > 1:
        names = ", ".join(each.name for each in chosen)
        raise SpecError(f"Board must be named for engine {engine.name}, whose memory is that of {names}")
    return chosen[0] if chosen else None
