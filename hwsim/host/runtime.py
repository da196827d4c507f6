"""The host runtime: brings programs and data to a device, starts the engine, waits for it and reads what it did."""

import dataclasses
import enum

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage, Program
from hwsim.arch.registers import Identity, error_sentence, offset_of, port_base_offset
from hwsim.errors import MachineError, ProgramError
from hwsim.host.device import SIDE, Buffer, Device, Place
from hwsim.host.inputs import Inputs, check_side, placements

__all__ = ["ALIGNMENT", "Finished", "Host", "Waiting"]

ALIGNMENT = 4096
"""Buffers start at multiples of this many bytes: the registers of base addresses say so (hwsim.arch.registers)."""
_START, _DONE, _IDLE = 1, 2, 4
"""Bits of the control register."""
_INTERRUPT_DONE = 1
"""Bit of the interrupt registers."""


class Waiting(enum.StrEnum):
    """How the host notices the end of a run."""

    POLLING = "polling"
    """It reads the control register again and again."""
    INTERRUPT = "interrupt"
    """It waits for the engine's interrupt."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """A run that ended well: its cycles, and the output buffer as int32 fixed values."""

    cycles: int
    logits: np.ndarray


class Host:
    """One engine on one device, from identification to results.

    Every method raises MachineError where the device or the engine does not do what it should, ProgramError where a
    program, its inputs or an image do not belong to the engine. After an error that the engine reports the next run can
    start at once; after a run that does not end, `recover` must come first.
    """

    def __init__(
        self,
        engine: EngineConfig,
        device: Device,
        *,
        waiting: Waiting = Waiting.POLLING,
        timeout_s: float = 10.0,
        poll_s: float = 20e-6,
    ):
        """Identify the engine before anything else.

        timeout_s: a run that takes longer is given up. poll_s: time between two looks at the control register.
        """
        self.engine, self.device = engine, device
        self.waiting, self.timeout_s, self.poll_s = waiting, timeout_s, poll_s
        self._ports: list[Buffer] = []
        self._side: Buffer | None = None
        self._identify()

    def load(self, image: MemoryImage) -> None:
        """Bring an image into the device's memory, in buffers of its size, and tell the engine where they are."""
        if image.ports.shape[0] != self.engine.tile.ports:
            raise ProgramError(f"Memory image must have {self.engine.tile.ports} ports, not {image.ports.shape[0]}")
        sizes = [*([image.ports.shape[1]] * len(image.ports)), len(image.side)]
        held = [buffer.size for buffer in (*self._ports, *([self._side] if self._side else []))]
        if held != sizes:
            # Given up first: a board's bank need not hold both.
            self._ports, self._side = [], None
            self._ports = [self._allocate(Place(port=port), size) for port, size in enumerate(sizes[:-1])]
            self._side = self._allocate(SIDE, sizes[-1])
        for buffer, content in zip(self._ports, image.ports, strict=True):
            buffer.write(0, content)
        self._side_buffer().write(0, image.side)
        self._write_bases()

    def run(self, program: Program, inputs: Inputs) -> Finished:
        """Run a program once on what the device's memory holds."""
        side = self._side_buffer()
        places = placements(self.engine, program, inputs)
        check_side(program, places, side.size)
        control = self._read("control")
        if control & _START or not control & _IDLE:
            raise MachineError(
                f"The engine must be idle before program {program.name} starts, not busy (control register {control:#x})"
            )
        for offset, content in places:
            side.write(offset, content)
        self._write64(offset_of("program"), side.address + places[0][0])
        self._write("program_words", len(program.words))
        self._write("position", inputs.position)
        self._write("slot", program.slot_of(inputs.position, inputs.sequence))
        self._arm()
        self._write("control", _START)
        self._wait(program)
        error = self._read("error")
        if error:
            raise MachineError(f"The engine must run program {program.name}, not stop with {error_sentence(error)}")
        cycles = self._read("cycles") | self.device.read_register(offset_of("cycles") + 4) << 32
        output = program.buffer("output")
        return Finished(cycles=cycles, logits=side.read(output.offset, output.size).view(np.int32))

    def memory(self) -> MemoryImage:
        """Return what the device's memory holds now."""
        side = self._side_buffer()
        ports = np.stack([buffer.read(0, buffer.size) for buffer in self._ports])
        return MemoryImage(ports=ports, side=side.read(0, side.size))

    def recover(self) -> None:
        """Reset an engine that is still busy, and tell it again where its buffers are; memory stays as it is."""
        if self._read("control") & (_START | _IDLE) == _IDLE:
            return
        self.device.reset()
        self._identify()
        if self._side is not None:
            self._write_bases()

    def close(self) -> None:
        """Give the device back."""
        self.device.close()

    def _identify(self) -> None:
        """Raise MachineError unless the device holds this engine and this instruction set."""
        identity = Identity.of(self.engine)
        expected = {"isa_digest": identity.isa_word, "engine_digest": identity.engine_word}
        for (name, word), what in zip(expected.items(), ("instruction set", f"engine {self.engine.name}"), strict=True):
            found = self._read(name)
            if found != word:
                raise MachineError(f"Device {self.device.name} must hold {what} {word:08x}, not {found:08x}")

    def _allocate(self, place: Place, size: int) -> Buffer:
        buffer = self.device.allocate(place, size)
        if buffer.address % ALIGNMENT or buffer.size < size:
            raise MachineError(
                f"A buffer in {place} must be {size} bytes at a multiple of {ALIGNMENT}, not {buffer.size} at {buffer.address:#x}"
            )
        return buffer

    def _side_buffer(self) -> Buffer:
        if self._side is None:
            raise MachineError("A memory image must be loaded before a program runs")
        return self._side

    def _write_bases(self) -> None:
        for port, buffer in enumerate(self._ports):
            self._write64(port_base_offset(port), buffer.address)
        self._write64(offset_of("side"), self._side_buffer().address)

    def _arm(self) -> None:
        """Enable the interrupt where it is waited for, disable it elsewhere, and acknowledge what is left of earlier runs."""
        is_on = int(self.waiting is Waiting.INTERRUPT)
        self._write("global_interrupt", is_on)
        self._write("interrupt_enable", is_on * _INTERRUPT_DONE)
        self._acknowledge()
        if is_on:
            self.device.watch_interrupt()

    def _acknowledge(self) -> None:
        """Clear the interrupt status: a bit that is written as one toggles."""
        status = self._read("interrupt_status")
        if status:
            self._write("interrupt_status", status)

    def _wait(self, program: Program) -> None:
        until = self.device.now_s() + self.timeout_s
        # The bit is cleared by reading it: seen once, the run is over.
        if self.waiting is Waiting.INTERRUPT:
            while (left := until - self.device.now_s()) > 0:
                came = self.device.wait_interrupt(left)
                control = self._read("control")
                if came and control & _DONE:
                    self._acknowledge()
                    return
                if control & _DONE:
                    raise MachineError(f"The interrupt must come with the end of program {program.name}, not be missing after it")
                # One that is left over from before the run, or from elsewhere.
                self._acknowledge()
                self.device.pause(self.poll_s)
        else:
            while self.device.now_s() < until:
                control = self._read("control")
                if control & _DONE:
                    return
                self.device.pause(self.poll_s)
        control = self._read("control")
        raise MachineError(
            f"Program {program.name} must end within {self.timeout_s:g} s, not run on (control register {control:#x})"
        )

    def _read(self, name: str) -> int:
        return self.device.read_register(offset_of(name))

    def _write(self, name: str, value: int) -> None:
        self.device.write_register(offset_of(name), value)

    def _write64(self, offset: int, value: int) -> None:
        self.device.write_register(offset, value & 0xFFFFFFFF)
        self.device.write_register(offset + 4, value >> 32)
