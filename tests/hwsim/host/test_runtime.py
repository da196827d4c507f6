"""The host runtime on a device made of registers alone: what it writes, in which order, and what it refuses."""

import numpy as np
import pytest

from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage
from hwsim.arch.registers import CONTROL_REGISTERS, Identity, offset_of
from hwsim.errors import MachineError
from hwsim.host.device import SIDE, Place
from hwsim.host.inputs import Inputs
from hwsim.host.runtime import Host, Waiting
from models.integer import IntegerModel


def image_of(compiled: Compiled) -> MemoryImage:
    assert compiled.image is not None
    return compiled.image


def inputs_at(model: IntegerModel, position: int = 0, token: int = 5) -> Inputs:
    return Inputs(position=position, rows=model.embedding.rows([token]))


class Paper:
    """A device made of registers alone, which ends every run at once."""

    name = "paper"

    def __init__(self, engine: EngineConfig, *, address: int = 0x1000, interrupt: bool = True, ends: bool = True):
        identity = Identity.of(engine)
        self.registers = {offset_of("isa_digest"): identity.isa_word, offset_of("engine_digest"): identity.engine_word, 0: 4}
        self.address, self.interrupt, self.ends = address, interrupt, ends
        self.seconds = 0.0
        self.written: list[tuple[str, int]] = []

    def read_register(self, offset: int) -> int:
        value = self.registers.get(offset, 0)
        if offset == 0 and value & 2:
            self.registers[0] = 4
        return value

    def write_register(self, offset: int, value: int) -> None:
        names = {each.offset: each.name for each in CONTROL_REGISTERS}
        self.written.append((names.get(offset, f"{offset:#x}"), value))
        if offset == offset_of("interrupt_status"):
            value ^= self.registers.get(offset, 0)
        if offset == 0:
            value = 6 if self.ends else 1
        self.registers[offset] = value

    def allocate(self, place: Place, size: int) -> "Paper":
        self.size = size
        return self

    def write(self, offset: int, content: np.ndarray) -> None: ...

    def read(self, offset: int, size: int) -> np.ndarray:
        return np.zeros(size, np.uint8)

    def watch_interrupt(self) -> None:
        self.written.append(("watch", 0))

    def wait_interrupt(self, timeout_s: float) -> bool:
        return self.interrupt

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    def now_s(self) -> float:
        return self.seconds

    def reset(self) -> None: ...

    def close(self) -> None: ...


def test_another_instruction_set_is_refused(engine) -> None:
    device = Paper(engine)
    device.registers[offset_of("isa_digest")] ^= 1
    word = Identity.of(engine).isa_word
    with pytest.raises(MachineError, match=f"Device paper must hold instruction set {word:08x}, not {word ^ 1:08x}"):
        Host(engine, device)
    assert device.written == []


def test_every_port_is_told_its_buffer(engine, compiled) -> None:
    """Both words of every base address; a device's buffers may lie above four gigabytes."""
    two = engine.with_values({"tile.ports": 2})
    device = Paper(two, address=0x7_0000_3000)
    host = Host(two, device)
    host.load(MemoryImage(ports=np.zeros((2, 4096), np.uint8), side=image_of(compiled).side))
    told = {offset: device.registers[offset] for offset in (0x10, 0x14, 0x80, 0x84, 0x8C, 0x90)}
    assert told == {0x10: 0x3000, 0x14: 7, 0x80: 0x3000, 0x84: 7, 0x8C: 0x3000, 0x90: 7}


@pytest.mark.parametrize("cycles", [0, 5, (1 << 32) - 1, 1 << 32, 0x1234_89AB_CDEF, (1 << 64) - 1])
def test_cycles_are_counted_in_both_words(cycles: int, engine, model, compiled) -> None:
    """A run of more than 19 s at 225 MHz has more cycles than one register counts."""
    device = Paper(engine)
    device.registers[offset_of("cycles")], device.registers[offset_of("cycles") + 4] = cycles & 0xFFFFFFFF, cycles >> 32
    host = Host(engine, device)
    host.load(image_of(compiled))
    assert host.run(compiled.decode, inputs_at(model)).cycles == cycles


def test_a_buffer_between_pages_is_refused(engine, compiled) -> None:
    with pytest.raises(MachineError, match="A buffer in the memory of port 0 must be 86656 bytes at a multiple of 4096"):
        Host(engine, Paper(engine, address=0x1800)).load(image_of(compiled))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"interrupt": False}, "The interrupt must come with the end of program decode, not be missing after it"),
        ({"ends": False}, r"Program decode must end within 0\.01 s, not run on \(control register 0x1\)"),
    ],
)
def test_an_interrupt_is_not_taken_for_the_end(settings, text, engine, model, compiled) -> None:
    host = Host(engine, Paper(engine, **settings), waiting=Waiting.INTERRUPT, timeout_s=0.01)
    host.load(image_of(compiled))
    with pytest.raises(MachineError, match=text):
        host.run(compiled.decode, inputs_at(model))


def test_interrupts_left_over_are_acknowledged_before_a_start(engine, model, compiled) -> None:
    device = Paper(engine)
    device.registers[offset_of("interrupt_status")] = 3
    host = Host(engine, device, waiting=Waiting.INTERRUPT)
    host.load(image_of(compiled))
    host.run(compiled.decode, inputs_at(model))
    order = [name for name, _ in device.written]
    assert device.written[order.index("interrupt_status")] == ("interrupt_status", 3)
    steps = ["interrupt_enable", "interrupt_status", "watch", "control"]
    assert sorted(steps, key=order.index) == steps
    assert str(SIDE) == "the side memory"
