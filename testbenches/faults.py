"""The fault campaign: bus errors, bad words, resets and standstill in an engine's Verilog, hundreds of cases in one simulation."""

import dataclasses
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage
from hwsim.errors import MachineError
from hwsim.memory.models import IDEAL
from testbenches.bench import REGION_BITS, SIDE_REGION, TOP, bench_files
from testbenches.build import Build, public_text
from testbenches.fault_cases import FaultCase, FaultProgram
from testbenches.faults_wrapper import PUBLIC, wrapper_text
from testbenches.faults_wrapper import TOP as WRAPPER
from testbenches.verilated import bench_settings

__all__ = ["FaultBench", "FaultOutcome", "RunRecord"]

_RUNS_OF_A_LIMIT = 20
_SETTLE_CYCLES = 2000
"""Cycles in which a released bus delivers everything outstanding: more than the bench's memory holds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The state of registers and memory after a run.

    Attributes:
        done, done_again: `ap_done` as read once, and once more.
        start, idle, interrupt: the bits of the control register and the interrupt line, after the acknowledgement.
        error, cycles: the registers.
        wrong_bytes: bytes of memory that are not as the simulator leaves them.
        silence: most cycles one after the other without dispatch, retirement or drained word.
        reads: beats read on each port; writes: write responses.
    """

    done: int
    done_again: int
    start: int
    idle: int
    interrupt: int
    error: int
    cycles: int
    wrong_bytes: int
    silence: int
    reads: tuple[int, ...]
    writes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaultOutcome:
    """The two runs of a case; `has_hung` says that one of them did not end."""

    case: FaultCase
    has_hung: bool
    first: RunRecord
    next: RunRecord


class FaultBench:
    """An engine's Verilog behind fault injectors; builds are kept in `folder` by the digest of their sources."""

    def __init__(self, engine: EngineConfig, folder: Path = Path("build/verilator"), optimize: str = "-O2"):
        """`optimize` is the compiler's option: less of it builds sooner and runs slower."""
        self.engine = engine
        texts = bench_files(engine, engine=WRAPPER) | {
            "faults.sv": wrapper_text(engine),
            "fault_port.sv": (resources.files("testbenches") / "verilog" / "fault_port.sv").read_text(),
            "faults.vlt": public_text(WRAPPER, PUBLIC),
        }
        self._build = Build(engine, top=TOP, bench=texts, folder=folder, optimize=optimize)

    def run(self, programs: Sequence[FaultProgram], cases: Sequence[FaultCase]) -> list[FaultOutcome]:
        """Run the cases one after the other in one simulation; raise MachineError when it does not come to its end."""
        with self._build.run_folder("faults-") as folder:
            return self._run(folder, programs, cases)

    def _run(self, folder: Path, programs: Sequence[FaultProgram], cases: Sequence[FaultCase]) -> list[FaultOutcome]:
        regions = {number: folder / f"region{number}.bin" for number in (*range(self.engine.tile.ports), SIDE_REGION)}
        for number, path in regions.items():
            np.zeros(max(len(_part(program.before, number)) for program in programs), np.uint8).tofile(path)
        job = bench_settings(IDEAL) | {
            "regions": {number: str(path) for number, path in regions.items()},
            "side_region": SIDE_REGION,
            "port_bases": [port << REGION_BITS for port in range(self.engine.tile.ports)],
            "side_base": SIDE_REGION << REGION_BITS,
            "limit_cycles": _RUNS_OF_A_LIMIT * max(program.cycles for program in programs)
            + 4 * self.engine.control.watchdog_cycles,
            "settle_cycles": _SETTLE_CYCLES,
            "programs": [self._program(folder, number, program, regions) for number, program in enumerate(programs)],
            "cases": [case.to_dict() | {"number": number} for number, case in enumerate(cases)],
            "answer": str(folder / "answer.jsonl"),
        }
        (folder / "job.json").write_text(json.dumps(job))
        self._build.run(
            "testbenches.tb_faults",
            folder,
            BENCH_JOB=str(folder / "job.json"),
            BENCH_REGIONS="\n".join(f"{number}={path}" for number, path in regions.items()),
        )
        answer = folder / "answer.jsonl"
        records = [json.loads(line) for line in answer.read_text().splitlines()] if answer.exists() else []
        if len(records) != len(cases):
            text = (folder / "run.log").read_text().strip().splitlines()
            where = cases[len(records)] if len(records) < len(cases) else "the end"
            raise MachineError(f"The fault bench must run all cases, but ended at {where} with {text[-1] if text else 'nothing'!r}")
        return [_outcome(case, record) for case, record in zip(cases, records, strict=True)]

    @staticmethod
    def _program(folder: Path, number: int, program: FaultProgram, regions: dict[int, Path]) -> dict[str, Any]:
        images = {"before": program.before, "after": program.after}
        paths: dict[str, dict[int, str]] = {}
        for name, image in images.items():
            paths[name] = {}
            for region in regions:
                path = folder / f"{name}{number}-{region}.bin"
                _part(image, region).tofile(path)
                paths[name][region] = str(path)
        return {**paths, "offset": program.offset, "words": len(program.words), "position": program.position, "slot": program.slot}


def _part(image: MemoryImage, region: int) -> np.ndarray:
    return image.side if region == SIDE_REGION else image.ports[region]


def _outcome(case: FaultCase, record: dict[str, Any]) -> FaultOutcome:
    first, following = (RunRecord(**{**record[name], "reads": tuple(record[name]["reads"])}) for name in ("first", "next"))
    return FaultOutcome(case=case, has_hung=record["hung"], first=first, next=following)
