"""The fault campaign: bus errors, bad words, resets and standstill in an engine's Verilog, hundreds of cases in one simulation."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.lib.wiring import Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage
from hwsim.arch.registers import ErrorCode, error_code
from hwsim.arch.timing import EPILOGUE_LATENCY
from hwsim.errors import MachineError, shown
from hwsim.memory.models import IDEAL
from rtl.engine import SIDE_PORT, engine_members, stream_port
from testbenches.bench import REGION_BITS, SIDE_REGION, TOP, bench_files
from testbenches.fault_cases import FaultCase, FaultKind, FaultProgram
from testbenches.verilated import bench_settings
from testbenches.verilator import Build, bench_text, port_text, public_text

__all__ = ["FaultBench", "FaultOutcome", "RunRecord", "judge"]

_RUNS_OF_A_LIMIT = 20
_SETTLE_CYCLES = 2000
"""Cycles in which a released bus delivers everything outstanding: more than the bench's memory holds."""

_WRAPPER = "faulty_engine"
_PUBLIC = ("fault_*",)
"""Signals of the wrapper that a bench reaches: what the injectors are told, and what they count."""

_READ = {"arvalid": 1, "arready": 1, "rvalid": 1, "rready": 1, "rresp": 2}
_WRITE = {"awvalid": 1, "awready": 1, "wvalid": 1, "wready": 1, "bvalid": 1, "bready": 1, "bresp": 2}


def _wrapper_text(config: EngineConfig) -> str:
    """Return the SystemVerilog of a module with the engine's ports, around the engine and a fault injector behind each master."""
    masters = {stream_port(port): _READ for port in range(config.tile.ports)} | {SIDE_PORT: _READ | _WRITE}
    through = {prefix + name for prefix, signals in masters.items() for name in signals}
    members = engine_members(config)
    values = {
        "config": config,
        "top": _WRAPPER,
        "ports": [port_text(name, member.shape, member.flow is Out) for name, member in members.items()],
        "pins": [f".{name}({'e_' if name in through else ''}{name})" for name in members],
        "masters": masters,
    }
    return bench_text("templates/faults.sv", values)


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
        texts = bench_files(engine, engine=_WRAPPER) | {
            "faults.sv": _wrapper_text(engine),
            "fault_port.sv": bench_text("fault_port.sv"),
            "faults.vlt": public_text(_WRAPPER, _PUBLIC),
        }
        self._build = Build(engine, top=TOP, bench=texts, folder=folder, optimize=optimize)

    def run(self, programs: Sequence[FaultProgram], cases: Sequence[FaultCase]) -> list[FaultOutcome]:
        """Run the cases one after the other in one simulation; raise MachineError when it does not come to its end."""
        with self._build.run_folder("faults-") as folder:
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
                raise MachineError(
                    f"The fault bench must run all cases, but ended at {where} with {shown(text[-1] if text else 'nothing')}"
                )
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


def judge(outcome: FaultOutcome, programs: Sequence[FaultProgram], *, watchdog_cycles: int) -> tuple[str, ...]:
    """Return what is wrong as sentences, none of a case that went as it must; each names the case that repeats it."""
    case = outcome.case
    found: list[str] = []
    if outcome.has_hung:
        found.append("every run must end, not hang")
    if case.kind is FaultKind.RESET:
        found += _rest("reset", outcome.first, done=0, idle=1)
        found += _equal("reset error register", outcome.first.error, 0)
    else:
        found += _rest("first", outcome.first, done=1, idle=int(case.kind is not FaultKind.DEAD_BUS))
        found += _first(case, outcome.first, programs[case.program], watchdog_cycles)
    found += _rest("next", outcome.next, done=1, idle=1)
    found += _right("next", outcome.next, programs[case.next_program], case.next_stalls, rate=0)
    who = f"Case {case.kind.value} of seed {case.seed}"
    return tuple(f"{who}: {sentence} ({case}; {outcome.first}; {outcome.next})" for sentence in found)


def _equal(what: str, found: int, expected: int) -> list[str]:
    return [] if found == expected else [f"{what} must be {expected}, not {found}"]


def _rest(name: str, run: RunRecord, *, done: int, idle: int) -> list[str]:
    """Judge the control register after a run: done is reported once, and the engine waits for the next start."""
    return [
        *_equal(f"ap_done of the {name} run", run.done, done),
        *_equal(f"ap_done of the {name} run, read again", run.done_again, 0),
        *_equal(f"ap_start after the {name} run", run.start, 0),
        *_equal(f"ap_idle after the {name} run", run.idle, idle),
        *_equal(f"interrupt after the {name} run", run.interrupt, 0),
    ]


def _right(name: str, run: RunRecord, program: FaultProgram, stalls: int | None, *, rate: int) -> list[str]:
    """Judge a run without an effective fault: its bits, and its cycles where the memory's law is known."""
    found = _equal(f"error register of the {name} run", run.error, 0)
    found += _equal(f"wrong bytes of the {name} run", run.wrong_bytes, 0)
    if not rate:
        found += _equal(f"cycles of the {name} run", run.cycles, program.cycles if stalls is None else program.stalled[stalls])
    return found


def _first(case: FaultCase, run: RunRecord, program: FaultProgram, watchdog_cycles: int) -> list[str]:
    code = error_code(run.error)
    if case.error == 0:
        return _right("first", run, program, case.stalls, rate=case.rate)
    found = []
    if case.error is None:
        if code > max(ErrorCode):
            found.append(f"error code of the first run must be 0 to {max(ErrorCode)}, not {code}")
    elif case.error == ErrorCode.WATCHDOG:
        found += _equal("error code of the first run", code, ErrorCode.WATCHDOG)
    else:
        found += _equal("error register of the first run", run.error, case.error)
    # The watchdog sees a word leave the array, the bench sees it written.
    shortest = watchdog_cycles - EPILOGUE_LATENCY
    if code == ErrorCode.WATCHDOG and not shortest <= run.silence <= watchdog_cycles:
        found.append(f"standstill before the watchdog must be {shortest} to {watchdog_cycles} cycles, not {run.silence}")
    elif run.silence > watchdog_cycles:
        found.append(f"a run must stand still for at most {watchdog_cycles} cycles, not {run.silence}")
    return found
