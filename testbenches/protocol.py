"""The protocol bench: an engine's Verilog between the bus models of cocotbext-axi, with every bus rule checked in every cycle."""

import dataclasses
import enum
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.lib.wiring import Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage
from hwsim.arch.registers import Identity
from hwsim.errors import MachineError
from rtl.engine import engine_members
from testbenches.verilated import Run
from testbenches.verilator import Build, bench_text, port_text, public_text

__all__ = ["Pace", "ProtocolBench", "ProtocolReport", "ProtocolRun"]

_TOP = "protocol"
_PUBLIC = ("clk", "rst_n", "interrupt", "s_axi_control_*", "m_axi_*")
"""Signals of the wrapper that a bench reaches."""


def _wrapper_text(config: EngineConfig) -> str:
    """Return the SystemVerilog of the wrapper for an engine: its buses, which get the identifiers that cocotbext-axi asks for."""
    members = {name: member for name, member in engine_members(config).items() if name.startswith(("s_axi_", "m_axi_"))}
    ports = [port_text(name, member.shape, member.flow is Out) for name, member in members.items()]
    identifiers = []
    for address, answer in (("ar", "r"), ("aw", "b")):
        for name in members:
            if name.startswith("m_axi_") and name.endswith(f"{address}valid"):
                master = name.removesuffix(f"{address}valid")
                ports += [port_text(f"{master}{address}id", 1, True), port_text(f"{master}{answer}id", 1, False)]
                identifiers.append(f"{master}{address}id")
    same = [f".{name}({name})" for name in members]
    values = {"config": config, "top": _TOP, "ports": ports, "identifiers": identifiers, "same": same}
    return bench_text("templates/protocol.sv", values)


_PORT_BASE = 0x1A5B_4C3D_2E1F_0000
_PORT_STRIDE = 0x0001_0000_0001_0000
_SIDE_BASE = 0x2FED_CBA9_8765_4000
"""Addresses that use the upper word of a base, page aligned and no more."""


class Pace(enum.StrEnum):
    """The behaviour of the other ends of the channels."""

    RANDOM = "random"
    """Both ready and valid are held down in random stretches of cycles."""
    SHY = "shy"
    """Ready only comes to a valid that is up, and not always at once."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ProtocolRun:
    """One start of the engine on what memory holds: `run`, its pace, and which write is answered by an error (from 1 on)."""

    run: Run
    pace: Pace = Pace.RANDOM
    failing_write: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ProtocolReport:
    """The findings of the bench.

    Attributes:
        faults: what was wrong on the buses, in the registers and on the interrupt line, as sentences.
        answers: for each run, the registers after it.
        images: memory after each run.
        accepted, waits: transfers on each channel, and cycles a transfer was offered and not taken.
        cycles: clock cycles that were watched.
    """

    faults: tuple[str, ...]
    answers: tuple[dict[str, Any], ...]
    images: tuple[MemoryImage, ...]
    accepted: dict[str, int]
    waits: dict[str, int]
    cycles: int


class ProtocolBench:
    """An engine's Verilog in the bench; hundreds of times slower than testbenches.verilated, for small programs."""

    def __init__(self, engine: EngineConfig, folder: Path = Path("build/verilator")):
        self.engine = engine
        texts = {"protocol.sv": _wrapper_text(engine), "protocol.vlt": public_text(_TOP, _PUBLIC)}
        self._build = Build(engine, top=_TOP, bench=texts, folder=folder, optimize="-O1")

    def execute(self, image: MemoryImage, runs: Sequence[ProtocolRun], *, seed: int, limit_cycles: int = 60_000) -> ProtocolReport:
        """Check the registers, then run the runs one after the other on one memory; `limit_cycles` bounds each."""
        with self._build.run_folder() as folder:
            tile, identity = self.engine.tile, Identity.of(self.engine)
            image.ports.tofile(folder / "ports.bin")
            image.side.tofile(folder / "side.bin")
            job = {
                "seed": seed,
                "limit_cycles": limit_cycles,
                "port_bytes": tile.port_bytes,
                "fifo_beats": self.engine.fetch.fifo_beats,
                "ports": [[_PORT_BASE + _PORT_STRIDE * port, image.ports.shape[1]] for port in range(tile.ports)],
                "side": [_SIDE_BASE, len(image.side)],
                "identity": {"isa_digest": identity.isa_word, "engine_digest": identity.engine_word},
                "runs": [
                    {
                        "arguments": {
                            "program": _SIDE_BASE + each.run.program,
                            "program_words": each.run.words,
                            "position": each.run.position,
                            "slot": each.run.slot,
                        },
                        "pace": each.pace,
                        "failing_write": each.failing_write,
                    }
                    for each in runs
                ],
            }
            (folder / "job.json").write_text(json.dumps(job))
            self._build.run("testbenches.tb_protocol", folder, BENCH_FOLDER=str(folder))
            log = folder / "run.log"
            if not (folder / "answer.json").exists():
                raise MachineError(f"The bench must write its answer, but did not; see {log}")
            answer = json.loads((folder / "answer.json").read_text())
            ended = len(answer["runs"])
            if ended < len(runs) and not (ended and answer["runs"][-1]["hung"]):
                seen = answer["faults"][-1] if answer["faults"] else f"see {log}"
                raise MachineError(f"The bus models must finish all runs, but stopped after {ended}; {seen}")
            images = [
                MemoryImage(
                    ports=np.fromfile(folder / f"ports{number}.bin", np.uint8).reshape(image.ports.shape),
                    side=np.fromfile(folder / f"side{number}.bin", np.uint8),
                )
                for number in range(len(answer["runs"]))
            ]
            return ProtocolReport(
                faults=tuple(answer["faults"]),
                answers=tuple(answer["runs"]),
                images=tuple(images),
                accepted=answer["accepted"],
                waits=answer["waits"],
                cycles=answer["cycles"],
            )
