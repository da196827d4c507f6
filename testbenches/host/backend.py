"""Backends whose runs go through the host runtime: the Verilog as a device, and a board."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.program import MemoryImage, Program
from hwsim.errors import SpecError
from hwsim.host.device import Place
from hwsim.host.inputs import Inputs
from hwsim.host.runtime import Host, Waiting
from hwsim.host.xrt_device import XrtDevice
from hwsim.memory.models import IDEAL, MemoryModel
from testbenches.backend import Log, Outputs
from testbenches.host.simulated_device import SIDE_BYTES, SimulatedDevice
from testbenches.verilated import Verilated

__all__ = ["Board", "HostedVerilog"]


class HostedVerilog:
    """The Verilog in Verilator, driven by the host runtime through its AXI-Lite port as a board is.

    Logs are as full as those of `Verilated`; `run_s` stays zero: the caller takes the time around a run.
    """

    name = "verilator through the host runtime"

    def __init__(self, engine: EngineConfig, folder: Path = Path("build/verilator"), *, waiting: Waiting = Waiting.INTERRUPT):
        self.engine, self.waiting = engine, waiting
        self._verilated = Verilated(engine, folder)
        self.run_s = 0.0

    @property
    def build_s(self) -> float:
        """Seconds of the last build, zero when there was one."""
        return self._verilated.build_s

    def build(self) -> Path:
        """Return the folder of the built simulation, building it when it is not there; raise MachineError."""
        return self._verilated.build()

    def run(self, program: Program, image: MemoryImage, inputs: Inputs, memory: MemoryModel) -> tuple[Outputs, Log]:
        """Run a program once; raise MachineError as the host runtime does."""
        device = SimulatedDevice(self._verilated, memory, side_bytes=max(SIDE_BYTES, len(image.side)))
        try:
            host = Host(self.engine, device, waiting=self.waiting)
            host.load(image)
            done = host.run(program, inputs)
            after = host.memory()
        except BaseException:
            device.close()
            raise
        logs = device.close_with_logs([{"cycles": done.cycles, "error": 0}])
        return Outputs(image=after, logits=done.logits), logs[0]


class Board:
    """A board through XRT. Its log has the cycles of a run alone, and its memory is its own."""

    name = "board"

    def __init__(
        self,
        engine: EngineConfig,
        xclbin: Path,
        *,
        index: int = 0,
        waiting: Waiting = Waiting.POLLING,
        banks: Mapping[Place, str] | None = None,
    ):
        """Open the board and identify the engine in it."""
        self.engine = engine
        self._host = Host(engine, XrtDevice(engine, xclbin, index=index, banks=banks), waiting=waiting)

    def run(self, program: Program, image: MemoryImage, inputs: Inputs, memory: MemoryModel) -> tuple[Outputs, Log]:
        """Run a program once; raise MachineError as the host runtime does, SpecError for a memory model."""
        if memory != IDEAL:
            raise SpecError(f"Memory model must be ideal for a board, which has memory of its own, not {memory}")
        self._host.load(image)
        done = self._host.run(program, inputs)
        nothing = np.zeros(0, np.int64)
        log = Log(
            cycles=done.cycles, error=0, dispatch=nothing, issue=dict.fromkeys(Unit, nothing), retire=dict.fromkeys(Unit, nothing)
        )
        return Outputs(image=self._host.memory(), logits=done.logits), log

    def close(self) -> None:
        """Give the board back."""
        self._host.close()
