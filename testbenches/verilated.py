"""The Verilator backend: builds an engine's Verilog with its bench once, and runs programs on it through cocotb."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.program import MemoryImage, Program
from hwsim.arch.registers import error_sentence
from hwsim.errors import MachineError, shown
from hwsim.host.inputs import Inputs, place
from hwsim.memory.models import MemoryKind, MemoryModel
from hwsim.memory.parameters import hbm2_parameters
from testbenches.backend import Log, Outputs
from testbenches.bench import CODES_RECORD, DRAIN_RECORD, EVENT_RECORD, REGION_BITS, SIDE_REGION, TOP, bench_files, hbm2_word
from testbenches.tools import OPTIMIZE
from testbenches.verilator import WRONG_COLLISIONS, Build

__all__ = ["Fault", "Run", "Verilated", "bench_settings", "logs_of_trace"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """A bus error to inject: the beat of a port's read data that answers DECERR, counted from reset."""

    port: int
    beat: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One start of the engine: words at a byte offset of the side memory, with the two argument registers."""

    program: int
    words: int
    position: int
    slot: int


def bench_settings(memory: MemoryModel, *, hbm2_law: int = 0, fault: Fault | None = None) -> dict[str, Any]:
    """Return the settings of a bench's memories and of a bus error to inject, as plain values by name."""
    return {
        "stalling": memory.kind is MemoryKind.STALLING,
        "hbm2": memory.kind is MemoryKind.HBM2,
        "hbm2_law": hex(hbm2_law),
        "seed": memory.seed,
        "fault_port": fault.port if fault else 0xFFFFFFFF,
        "fault_beat": fault.beat if fault else 0xFFFFFFFF,
    }


class Verilated:
    """The engine's Verilog in Verilator; builds are kept in `folder` by the digest of their sources.

    `run_s` are the seconds from the last start to its interrupt; `hbm2` the parameters its memories have under `hbm2`.
    `simulation` is the build itself, for benches of one's own on it.
    """

    name = "verilator"

    def __init__(
        self,
        engine: EngineConfig,
        folder: Path = Path("build/verilator"),
        optimize: str = OPTIMIZE,
        sources: Mapping[str, str] | None = None,
        defines: Sequence[str] = (WRONG_COLLISIONS,),
    ):
        """`optimize`, `sources` and `defines` are those of `Build`."""
        self.engine = engine
        bench = bench_files(engine)
        self.simulation = Build(engine, top=TOP, bench=bench, folder=folder, optimize=optimize, sources=sources, defines=defines)
        self.run_s = 0.0
        self.hbm2 = hbm2_parameters()

    @property
    def build_s(self) -> float:
        """Seconds of the last build, zero when there was one."""
        return self.simulation.build_s

    def settings(self, memory: MemoryModel, fault: Fault | None) -> dict[str, Any]:
        """Return the settings of the bench's memories and of a bus error to inject, as plain values by name."""
        law = hbm2_word(self.hbm2, self.engine.clock_hz) if memory.kind is MemoryKind.HBM2 else 0
        return bench_settings(memory, hbm2_law=law, fault=fault)

    def build(self) -> Path:
        """Return the folder of the built simulation, building it when it is not there; raise MachineError."""
        return self.simulation.make()

    def execute(
        self,
        image: MemoryImage,
        runs: Sequence[Run],
        memory: MemoryModel,
        *,
        fault: Fault | None = None,
        limit_cycles: int = 50_000_000,
    ) -> tuple[MemoryImage, list[dict[str, Any]], list[Log]]:
        """Start the engine for each run on one memory; return memory, the registers read after each run, and the logs."""
        with self.simulation.run_folder() as folder:
            regions = {port: folder / f"port{port}.bin" for port in range(self.engine.tile.ports)}
            regions[SIDE_REGION] = folder / "side.bin"
            for port, path in regions.items():
                (image.side if port == SIDE_REGION else image.ports[port]).tofile(path)
            side_base = SIDE_REGION << REGION_BITS
            job = self.settings(memory, fault) | {
                "limit_cycles": limit_cycles,
                "port_bases": [port << REGION_BITS for port in range(self.engine.tile.ports)],
                "side_base": side_base,
                "answer": str(folder / "answer.json"),
                "runs": [
                    {"program": side_base + run.program, "program_words": run.words, "position": run.position, "slot": run.slot}
                    for run in runs
                ],
            }
            (folder / "job.json").write_text(json.dumps(job))
            self._play(
                folder,
                BENCH_JOB=str(folder / "job.json"),
                BENCH_REGIONS="\n".join(f"{number}={path}" for number, path in regions.items()),
                BENCH_TRACE=str(folder / "trace.bin"),
            )
            answers = json.loads((folder / "answer.json").read_text())
            ports = np.stack([np.fromfile(regions[port], np.uint8) for port in range(self.engine.tile.ports)])
            after = MemoryImage(ports=ports, side=np.fromfile(regions[SIDE_REGION], np.uint8))
            return after, answers, logs_of_trace(folder / "trace.bin", self.engine.vector.lanes, answers)

    def complaint(self, log: str) -> str | None:
        """Return the sentence in the output of a run that says why it stopped, None where there is none: this bench has none."""
        return None

    def _play(self, folder: Path, **variables: str) -> None:
        """Run the bench in a folder; raise MachineError when it does not write its answer."""
        log = folder / "run.log"
        try:
            self.simulation.run("testbenches.tb_engine", folder, **variables)
        except MachineError:
            told = self.complaint(log.read_text())
            if told is None:
                raise
            raise MachineError(told) from None
        if not (folder / "answer.json").exists():
            text = log.read_text()
            last = (text.strip().splitlines() or ["nothing"])[-1]
            raise MachineError(self.complaint(text) or f"The bench must write its answer, but ended with {shown(last)}")

    def run(self, program: Program, image: MemoryImage, inputs: Inputs, memory: MemoryModel) -> tuple[Outputs, Log]:
        """Run a program once; raise MachineError when the engine's error register is set or it never ends."""
        placed = place(self.engine, program, image, inputs)
        start = Run(
            program=program.buffer(f"program.{program.name}").offset,
            words=len(program.words),
            position=inputs.position,
            slot=program.slot_of(inputs.position, inputs.sequence),
        )
        after, answers, logs = self.execute(placed, [start], memory)
        answer = answers[0]
        if answer["hung"]:
            raise MachineError(f"The engine must end program {program.name}, not hang after {logs[0].cycles} cycles")
        if answer["error"]:
            raise MachineError(f"The engine must run program {program.name}, not stop with {error_sentence(answer['error'])}")
        self.run_s = answer["wall_s"]
        return Outputs.of(program, after), logs[0]


def logs_of_trace(path: Path, lanes: int, answers: list[dict[str, Any]]) -> list[Log]:
    """Return the log of each run in a trace file."""
    words = np.fromfile(path, np.uint32)
    sizes = {EVENT_RECORD: 1, DRAIN_RECORD: lanes, CODES_RECORD: lanes // 4}
    starts: dict[int, list[int]] = {kind: [] for kind in sizes}
    bounds: list[dict[int, int]] = []
    place = 0
    values = words.tolist()
    while place < len(values):
        kind = values[place]
        starts[kind].append(place)
        if kind == EVENT_RECORD and values[place + 2] >> 9 & 1:
            bounds.append({each: len(starts[each]) for each in sizes})
        place += 2 + sizes[kind]
    while len(bounds) < len(answers):
        bounds.append({each: len(starts[each]) for each in sizes})
    logs = []
    before = dict.fromkeys(sizes, 0)
    for answer, bound in zip(answers, bounds, strict=False):
        mine = {kind: np.array(starts[kind][before[kind] : bound[kind]], dtype=np.int64) for kind in sizes}
        before = bound
        event = words[mine[EVENT_RECORD] + 2] if len(mine[EVENT_RECORD]) else np.zeros(0, np.uint32)
        cycle = words[mine[EVENT_RECORD] + 1].astype(np.int64) if len(event) else np.zeros(0, np.int64)
        drained = words[mine[DRAIN_RECORD][:, None] + 2 + np.arange(lanes)]
        codes = np.ascontiguousarray(words[mine[CODES_RECORD][:, None] + 2 + np.arange(lanes // 4)])
        logs.append(
            Log(
                cycles=answer["cycles"],
                error=answer["error"],
                dispatch=cycle[event & 1 == 1],
                issue={unit: cycle[event >> (1 + unit) & 1 == 1] for unit in Unit},
                retire={unit: cycle[event >> (5 + unit) & 1 == 1] for unit in Unit},
                drained=drained,
                drained_cycle=words[mine[DRAIN_RECORD] + 1].astype(np.int64),
                codes=codes.view(np.int8).reshape(len(codes), lanes),
                codes_cycle=words[mine[CODES_RECORD] + 1].astype(np.int64),
            )
        )
    return logs
