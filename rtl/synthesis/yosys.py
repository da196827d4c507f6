"""Runs Yosys on the modules of generated Verilog one by one, caches the counts, and returns the count of every kind of cell."""

import concurrent.futures
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from hwsim.errors import MachineError
from hwsim.whole_files import write_text
from rtl.verilog import CELLS, HAND_WRITTEN, PRIMITIVES

__all__ = [
    "FROM_PREPARE",
    "HIDE_NAMES",
    "INSIDE",
    "READ_MODULES",
    "TOOL",
    "TO_CELLS",
    "Job",
    "Module",
    "cells_of",
    "circuit_modules",
    "each_once",
    "modules_of",
    "run_yosys",
    "synthesizable",
    "tool_version",
]

_MODULE = re.compile(r"^(?:\(\*[^\n]*\*\)\n)?module (\\\S+|\w+) ?(?:#\(.*?^\) )?\(.*?^endmodule\n", re.M | re.S)
_INSTANCE = re.compile(r"^  (?:\(\*.*?\*\) )?(\\\S+|[A-Za-z_][\w$]*) +(?:(\\\S+|[A-Za-z_][\w$]*) +\(|#\()", re.M)
_PORT = re.compile(r"^  (?:input|output)\b[^;]*;\n", re.M)
_IDENTIFIER = re.compile(r'"[^"]*"|\\\S+ |[A-Za-z_][\w$]*')
_KEYWORDS = (
    "module endmodule input output inout wire reg signed assign always initial begin end if else case casez endcase default"
    " posedge negedge parameter localparam integer for generate endgenerate genvar"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Module:
    """One Verilog module."""

    name: str
    text: str
    children: tuple[tuple[str, str], ...]
    """(module, instance) of what it instantiates of the modules given; vendor cells are not among them."""

    @property
    def stub(self) -> str:
        """The module as a black box: its ports alone."""
        header = self.text[: self.text.index(");\n") + 3]
        return f"(* blackbox *)\n{header}{''.join(_PORT.findall(self.text))}endmodule\n"

    @property
    def form(self) -> str:
        """Digest of the text with names counted in the order in which they appear.

        Modules that differ in names alone, as copies of one circuit do, have the same.
        """
        numbers = {word: f"n{number}" for number, word in enumerate(self.identifiers)}

        def number(match: re.Match[str]) -> str:
            word = match.group().strip()
            return numbers.get(word, word)

        return hashlib.sha256(_IDENTIFIER.sub(number, self.text).encode()).hexdigest()

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Every name in the text once, in the order in which they appear: modules of equal form differ in these alone."""
        keywords = frozenset(_KEYWORDS.split())
        words = (match.group().strip() for match in _IDENTIFIER.finditer(self.text))
        return tuple(dict.fromkeys(word for word in words if word not in keywords and word[0] != '"'))


def circuit_modules(files: Mapping[str, str]) -> Mapping[str, Module]:
    """Return the modules in the files of an engine by name, as they are synthesized: without models of the vendor's cells."""
    return modules_of(text for name, text in files.items() if name.endswith(".v") and name not in CELLS)


def modules_of(texts: Iterable[str]) -> Mapping[str, Module]:
    """Return the modules of Verilog texts by name."""
    found = {match.group(1): match.group() for text in texts for match in _MODULE.finditer(text)}
    modules = {}
    for name, text in found.items():
        instances = (match.groups() for match in _INSTANCE.finditer(text))
        children = tuple((kind, instance or kind) for kind, instance in instances if kind in found)
        modules[name] = Module(name=name, text=text, children=children)
    return modules


TOOL = "pyosys"
"""The package Yosys comes in."""
INSIDE = tuple(name.removesuffix(".v") for name in HAND_WRITTEN)
"""Modules written by hand, with parameters: synthesized with each of the modules that instantiate them."""
_BATCH_BYTES = 120_000, 500_000
"""Least and most text of one run: starting Yosys takes 3.5 seconds, and what is not begun can go to another core."""
_BATCHES_A_PROCESS = 4
(_ZEROS,) = (line for line in PRIMITIVES["ram.v"].splitlines() if "words[i] = " in line)
"""The line that clears a memory for simulation, as the device does when it is configured."""
READ_MODULES = """\
read_verilog -lib -specify +/xilinx/cells_sim.v
read_verilog -lib +/xilinx/cells_xtra.v
read_verilog -sv modules.v"""
"""Begins each script that maps a circuit: the vendor's cells by their ports, then the circuit."""
HIDE_NAMES = "rename -hide w:*"
"""Hides the names of wires: Yosys 0.70 takes some names that Amaranth gives for its own and stops."""
TO_CELLS = "synth_xilinx -family xcup -noiopad -noclkbuf"
"""Maps a circuit on UltraScale+, without pads and clock buffers (docs/synthesis.md)."""
FROM_PREPARE = "-run prepare:check"
"""Leaves out of TO_CELLS what READ_MODULES has done."""
_SCRIPT = f"""\
{READ_MODULES}
hierarchy -check
{HIDE_NAMES}
{TO_CELLS} {FROM_PREPARE}
tee -q -o counts.json stat -json
"""
"""Each module by itself."""


def tool_version() -> str:
    """Return the version of Yosys; raise MachineError when it is not there."""
    try:
        return importlib.metadata.version(TOOL)
    except importlib.metadata.PackageNotFoundError:
        raise MachineError(f"Package {TOOL} (Yosys) must be installed in this Python's environment, but is missing") from None


def run_yosys(script: str, folder: Path) -> str:
    """Run a script of Yosys in a folder; return what it printed, or raise MachineError with its complaint."""
    tool_version()
    (folder / "script.ys").write_text(script)
    # A process of its own: Yosys ends the one it is in when it refuses.
    code = "from pyosys import libyosys; libyosys.run_pass('script script.ys', libyosys.Design())"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines() or ["no word of why"]
        complaint = next((line for line in lines if "ERROR" in line), lines[-1])
        raise MachineError(f"Yosys must accept the circuit, but stopped with: {complaint}")
    return done.stdout


def synthesizable(text: str) -> str:
    """Return Verilog as Yosys takes it best; memories have no initial values then, which are zeros on the device."""
    # Yosys has no distributed memory without a write port; a table in logic is the same.
    text = text.replace('rom_style = "distributed"', 'rom_style = "logic"')
    # Initial values of memories take no cells, but minutes of Yosys for each.
    return text.replace(_ZEROS, "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What Yosys does with modules, a few in one run, and what is kept of each.

    Attributes:
        script: what Yosys runs in a folder with `modules.v`.
        ending: of the names of kept files.
        prepared: of the text of a module, and of whether the module is wanted rather than inside one, what Yosys reads.
        results: of the folder after a run and the modules of the run, the text that is kept of each, by its name.
    """

    script: str
    ending: str
    prepared: Callable[[str, bool], str]
    results: Callable[[Path, Collection[str]], Mapping[str, str]]


def each_once(
    job: Job,
    modules: Mapping[str, Module],
    folder: Path,
    progress: Callable[[float], None] = lambda fraction: None,
    *,
    names: Collection[str] | None = None,
    processes: int | None = None,
) -> Mapping[str, Path]:
    """Return the file that is kept of each module by its name.

    Modules of equal form are synthesized once; files are kept in `folder` under digests of the form, the script and
    the version of Yosys. `progress` gets the share of the text that is done; `names` are the modules that are wanted, all
    where it is left out; `processes` is how many runs of Yosys there are at a time, one a core where it is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: module for name, module in modules.items() if name not in INSIDE and (names is None or name in names)}
    paths = {name: folder / f"{_key(job, module, modules)}.{job.ending}" for name, module in wanted.items()}
    representatives = {path: wanted[name] for name, path in reversed(paths.items())}
    missing = {path: module for path, module in representatives.items() if not path.exists()}
    done, total = 0, sum(len(module.text) for module in missing.values())
    processes = processes or os.cpu_count() or 1
    limit = min(max(total // (processes * _BATCHES_A_PROCESS), _BATCH_BYTES[0]), _BATCH_BYTES[1])
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        runs = {pool.submit(_synthesize, job, batch, modules): batch for batch in _batches(missing, limit)}
        for run in concurrent.futures.as_completed(runs):
            run.result()
            done += sum(len(module.text) for module in runs[run].values())
            progress(done / total)
    return paths


def cells_of(
    modules: Mapping[str, Module],
    folder: Path,
    progress: Callable[[float], None] = lambda fraction: None,
    *,
    names: Collection[str] | None = None,
    processes: int | None = None,
) -> Mapping[str, Mapping[str, int]]:
    """Return the cells of each module, by name of their kind, what its children hold not counted; kept as `each_once` does."""
    others = {_plain(name) for name in modules if name not in INSIDE}
    job = Job(
        script=_SCRIPT,
        ending="json",
        prepared=lambda text, is_wanted: text,
        results=lambda place, names: _counts(place, names, others),
    )
    paths = each_once(job, modules, folder, progress, names=names, processes=processes)
    read = {path: json.loads(path.read_text()) for path in set(paths.values())}
    return {name: read[path] for name, path in paths.items()}


def _key(job: Job, module: Module, modules: Mapping[str, Module]) -> str:
    whole = [modules[name].text for name in sorted({name for name, _ in module.children} & {*INSIDE})]
    parts = [module.form, *whole, job.script, tool_version()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _batches(missing: Mapping[Path, Module], limit: int) -> list[dict[Path, Module]]:
    """Return the modules in groups for one run each, of at most so much text where they are more than one."""
    batches: list[dict[Path, Module]] = [{}]
    for path, module in sorted(missing.items(), key=lambda item: (-len(item[1].text), item[1].name)):
        if batches[-1] and sum(len(other.text) for other in batches[-1].values()) + len(module.text) > limit:
            batches.append({})
        batches[-1][path] = module
    return [batch for batch in batches if batch]


def _synthesize(job: Job, batch: Mapping[Path, Module], modules: Mapping[str, Module]) -> None:
    names = {module.name for module in batch.values()}
    children = {child for module in batch.values() for child, _ in module.children} - names
    whole = "".join(job.prepared(module.text, True) for module in batch.values())
    for child in sorted(children):
        whole += job.prepared(modules[child].text if child in INSIDE else modules[child].stub, False)
    with tempfile.TemporaryDirectory() as place:
        Path(place, "modules.v").write_text(synthesizable(whole))
        run_yosys(job.script, Path(place))
        found = job.results(Path(place), names)
    for path, module in batch.items():
        write_text(path, found[module.name])


def _counts(place: Path, names: Collection[str], others: set[str]) -> dict[str, str]:
    counted = json.loads((place / "counts.json").read_text())["modules"]
    counted = {_plain(name): entry.get("num_cells_by_type", {}) for name, entry in counted.items()}
    return {name: json.dumps(_own(_plain(name), counted, others), sort_keys=True) for name in names}


def _plain(name: str) -> str:
    return name.lstrip("\\")


def _own(name: str, counted: Mapping[str, Mapping[str, int]], others: set[str]) -> dict[str, int]:
    """Return the cells of a module and of the parametrized ones inside it."""
    total: dict[str, int] = {}
    for kind, count in counted[name].items():
        inside = _plain(kind)
        if inside in others:
            continue
        held = _own(inside, counted, others) if inside in counted else {kind: 1}
        for cell, number in held.items():
            total[cell] = total.get(cell, 0) + count * number
    return total
