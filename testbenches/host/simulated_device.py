"""A device that is the engine's Verilog in Verilator, reached through its AXI-Lite port; its memories are files both sides map."""

import contextlib
import json
import math
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import MachineError
from hwsim.host.device import SIDE, Place
from hwsim.memory.models import IDEAL, MemoryModel
from testbenches.backend import Log
from testbenches.bench import REGION_BITS, SIDE_REGION
from testbenches.verilated import Fault, Verilated, logs_of_trace

__all__ = ["SIDE_BYTES", "SimulatedDevice"]

SIDE_BYTES = 1 << 26
"""Side memory of a simulated device, in bytes, unless more is asked for; the file is sparse."""
_PAGE = 4096
_CONNECT_S = 120.0
"""Seconds that the simulation may take to come up."""


class _MappedBuffer:
    """A range of a memory file."""

    def __init__(self, memory: np.ndarray, address: int, offset: int, size: int):
        self._bytes = memory[offset : offset + size]
        self.address, self.size = address, size

    def write(self, offset: int, content: np.ndarray) -> None:
        self._bytes[offset : offset + len(content)] = content

    def read(self, offset: int, size: int) -> np.ndarray:
        return np.array(self._bytes[offset : offset + size])


class SimulatedDevice:
    """The Verilog of `verilated` in a process of its own; between requests its clock stands still.

    Its seconds are those of the engine's clock. `fault` injects a bus error; behind every port lie `channel_bytes` of the
    engine, behind the side port `side_bytes`.
    """

    name = "verilator"

    def __init__(
        self, verilated: Verilated, memory: MemoryModel = IDEAL, *, fault: Fault | None = None, side_bytes: int = SIDE_BYTES
    ):
        """Raise MachineError when the Verilog does not build or the simulation does not come up."""
        self._engine = verilated.engine
        self._simulation = verilated.simulation
        self._run = contextlib.ExitStack()
        self._folder = self._run.enter_context(verilated.simulation.run_folder("host-"))
        self._cycle = 0
        self._failure: MachineError | None = None
        self._free: dict[Place, int] = {}
        self._memories = {
            place: self._memory(place, self._engine.channel_bytes if place != SIDE else side_bytes)
            for place in (*(Place(port=port) for port in range(self._engine.tile.ports)), SIDE)
        }
        (self._folder / "job.json").write_text(json.dumps(verilated.settings(memory, fault)))
        # A socket's path is short by law; that of a build folder need not be.
        self._socket_folder = Path(tempfile.mkdtemp(prefix="lamforge-"))
        self._start()

    def read_register(self, offset: int) -> int:
        return self._ask(do="read", offset=offset)

    def write_register(self, offset: int, value: int) -> None:
        self._ask(do="write", offset=offset, value=value)

    def allocate(self, place: Place, size: int) -> _MappedBuffer:
        memory, start = self._memories[place], self._free.get(place, 0)
        if start + size > len(memory):
            raise MachineError(f"A buffer in {place} must fit the {len(memory) - start} bytes that are free, not take {size}")
        self._free[place] = -(-(start + size) // _PAGE) * _PAGE
        return _MappedBuffer(memory, (_region(place) << REGION_BITS) + start, start, size)

    def watch_interrupt(self) -> None:
        """Do nothing: the interrupt stays up until it is acknowledged, and time stands still until it is waited for."""

    def wait_interrupt(self, timeout_s: float) -> bool:
        return bool(self._ask(do="interrupt", cycles=self._cycles(timeout_s)))

    def pause(self, seconds: float) -> None:
        self._ask(do="pause", cycles=self._cycles(seconds))

    def now_s(self) -> float:
        return self._cycle / self._engine.clock_hz

    def reset(self) -> None:
        self._ask(do="reset")

    def close(self) -> None:
        self._end()
        self._run.close()

    def close_with_logs(self, answers: list[dict[str, Any]]) -> list[Log]:
        """Close, and return what the trace recorded of each run; `answers` have the cycles and the error of each."""
        self._end()
        logs = logs_of_trace(self._folder / "trace.bin", self._engine.vector.lanes, answers)
        self._run.close()
        return logs

    def _cycles(self, seconds: float) -> int:
        return max(1, math.ceil(seconds * self._engine.clock_hz))

    def _memory(self, place: Place, size: int) -> np.ndarray:
        path = self._folder / f"region{_region(place)}.bin"
        with path.open("wb") as file:
            file.truncate(size)
        return np.memmap(path, np.uint8, "r+")

    def _start(self) -> None:
        """Start the simulation in a thread, and wait until it connects."""
        address = self._socket_folder / "device"
        regions = "\n".join(f"{_region(place)}={self._folder / f'region{_region(place)}.bin'}" for place in self._memories)
        variables = {
            "BENCH_JOB": str(self._folder / "job.json"),
            "BENCH_SOCKET": str(address),
            "BENCH_REGIONS": regions,
            "BENCH_TRACE": str(self._folder / "trace.bin"),
        }

        def simulate() -> None:
            try:
                self._simulation.run("testbenches.tb_host", self._folder, **variables)
            except MachineError as error:
                self._failure = error

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen(1)
            self._thread = threading.Thread(target=simulate, daemon=True)
            self._thread.start()
            # A simulation that ends without connecting must not be waited for.
            listener.settimeout(0.2)
            waited = 0.0
            while True:
                try:
                    self._channel, _ = listener.accept()
                    break
                except TimeoutError:
                    waited += 0.2
                    if not self._thread.is_alive() or waited > _CONNECT_S:
                        self._give_up()
                        raise self._lost() from None
        self._channel.settimeout(None)
        self._stream = self._channel.makefile("rw", encoding="utf-8")

    def _ask(self, **request: Any) -> int:
        """Return the value the simulation answers with."""
        try:
            self._stream.write(json.dumps(request) + "\n")
            self._stream.flush()
            line = self._stream.readline()
        except OSError:
            line = ""
        if not line:
            self._thread.join()
            raise self._lost()
        answer = json.loads(line)
        self._cycle = answer["cycle"]
        return answer["value"]

    def _lost(self) -> MachineError:
        return self._failure or MachineError(f"The simulation must answer, not end or stay silent; see {self._folder / 'run.log'}")

    def _end(self) -> None:
        """End the simulation, and give its files up."""
        # What was not sent to a simulation that is gone is lost with it.
        with contextlib.suppress(OSError):
            self._stream.close()
        self._channel.close()
        self._thread.join()
        self._give_up()

    def _give_up(self) -> None:
        self._memories.clear()
        shutil.rmtree(self._socket_folder, ignore_errors=True)


def _region(place: Place) -> int:
    """Return the bench's number of a memory."""
    return SIDE_REGION if place.port is None else place.port
