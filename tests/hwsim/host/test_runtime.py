"""The host runtime on a device made of registers alone: what it writes, in which order, and what it refuses."""

import dataclasses

import numpy as np
import pytest

from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage
from hwsim.arch.registers import CONTROL_REGISTERS, Identity, offset_of
from hwsim.errors import MachineError, ProgramError
from hwsim.host.device import SIDE, Place
from hwsim.host.inputs import Inputs, place, placements
from hwsim.host.runtime import Host, Waiting
from models.integer import IntegerModel


def image_of(compiled: Compiled) -> MemoryImage:
    assert compiled.image is not None
    return compiled.image


def inputs_at(model: IntegerModel, position: int = 0, token: int = 5) -> Inputs:
    return Inputs(position=position, rows=model.embedding.rows([token]))


class Sheet:
    """A buffer of a paper device."""

    def __init__(self, address: int, size: int):
        self.address, self.size, self.bytes = address, size, np.zeros(size, np.uint8)

    def write(self, offset: int, content: np.ndarray) -> None:
        assert offset + len(content) <= self.size
        self.bytes[offset : offset + len(content)] = content

    def read(self, offset: int, size: int) -> np.ndarray:
        assert offset + size <= self.size
        return self.bytes[offset : offset + size].copy()


class Paper:
    """A device made of registers and buffers alone, which ends every run at once."""

    name = "paper"

    def __init__(self, engine: EngineConfig, *, address: int = 0x1000, interrupt: bool = True, ends: bool = True):
        identity = Identity.of(engine)
        self.registers = {offset_of("isa_digest"): identity.isa_word, offset_of("engine_digest"): identity.engine_word, 0: 4}
        self.address, self.interrupt, self.ends = address, interrupt, ends
        self.seconds = 0.0
        self.written: list[tuple[str, int]] = []
        self.sheets: dict[Place, Sheet] = {}

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

    def allocate(self, place: Place, size: int) -> Sheet:
        assert place not in self.sheets
        self.sheets[place] = Sheet(self.address, size)
        return self.sheets[place]

    def watch_interrupt(self) -> None:
        self.written.append(("watch", 0))

    def wait_interrupt(self, timeout_s: float) -> bool:
        return self.interrupt

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    def now_s(self) -> float:
        return self.seconds

    def reset(self) -> None:
        self.written.append(("reset", 0))
        self.registers[0] = 4

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


def test_what_is_loaded_and_run_lies_where_it_belongs(engine, model, compiled) -> None:
    two, rng = engine.with_values({"tile.ports": 2}), np.random.default_rng(1)
    program = dataclasses.replace(compiled.decode, engine=two.digest)
    ports, side = rng.integers(0, 256, (2, 5000), np.uint8), rng.integers(0, 256, len(image_of(compiled).side), np.uint8)
    device = Paper(two, address=0x7_0000_3000)
    host = Host(two, device)
    host.load(MemoryImage(ports=ports, side=side))
    assert {place: sheet.size for place, sheet in device.sheets.items()} == {
        Place(port=0): 5000,
        Place(port=1): 5000,
        SIDE: len(side),
    }
    after = host.memory()
    assert np.array_equal(after.ports, ports)
    assert np.array_equal(after.side, side)
    inputs, output = inputs_at(model, position=3), program.buffer("output")
    done = host.run(program, inputs)
    placed = place(two, program, MemoryImage(ports=ports, side=side), inputs)
    assert np.array_equal(host.memory().side, placed.side)
    assert np.array_equal(done.logits.view(np.uint8), side[output.offset : output.offset + output.size])
    told = {name: device.registers[offset_of(name)] for name in ("program_words", "position", "slot")}
    assert told == {"program_words": len(program.words), "position": 3, "slot": program.slot_of(3)}


def test_inputs_lie_row_behind_row_and_end_with_the_last_position(engine, compiled) -> None:
    program = dataclasses.replace(compiled.decode, rows=2)
    width, start, last = program.input_row_bytes // 4, program.buffer("input").offset, program.max_position - 2
    rows = np.arange(2 * width, dtype=np.int32).reshape(2, width)
    (code, words), *places = placements(engine, program, Inputs(position=last, rows=rows))
    assert (code, words.tobytes()) == (program.buffer("program.decode").offset, program.code().tobytes())
    assert [offset for offset, _ in places] == [start, start + 4 * width]
    assert np.array_equal(np.stack([content.view(np.int32) for _, content in places]), rows)
    wrong = {
        f"Position must be 0 to {last + 1}, not {last + 2}": Inputs(position=last + 1, rows=rows),
        f"Input rows must fit {4 * width} bytes, not {4 * width + 4}": Inputs(position=0, rows=np.zeros((2, width + 1))),
        "Inputs must be 2 rows, not (2,)": Inputs(position=0, rows=rows[:, 0]),
        f"Inputs must be 2 rows, not (1, {width})": Inputs(position=0, rows=rows[:1]),
    }
    for text, inputs in wrong.items():
        with pytest.raises(ProgramError) as refusal:
            placements(engine, program, inputs)
        assert str(refusal.value) == text


@pytest.mark.parametrize("last", ["output", "input", "program.decode"])
def test_the_side_memory_holds_all_that_a_run_touches(last: str, engine, model, compiled) -> None:
    """Which buffer comes last does not matter, nor how much of it the run leaves alone."""
    program, inputs = compiled.decode, inputs_at(model)
    moved = dataclasses.replace(program.buffer(last), offset=1 << 17)
    program = dataclasses.replace(program, buffers=(*(each for each in program.buffers if each.name != last), moved))
    needed = moved.offset + {"output": moved.size, "input": inputs.rows.nbytes}.get(last, program.size_bytes)
    device = Paper(engine, address=0x7_0000_3000)

    def run(side_bytes: int) -> None:
        device.sheets.clear()
        host = Host(engine, device)
        host.load(MemoryImage(ports=image_of(compiled).ports, side=np.zeros(side_bytes, np.uint8)))
        host.run(program, inputs)

    run(needed)
    start = device.address + program.buffer("program.decode").offset
    assert [device.registers[offset_of("program") + word] for word in (0, 4)] == [start & 0xFFFFFFFF, start >> 32]
    with pytest.raises(ProgramError, match=f"^Side memory must hold {needed} bytes for program decode, not {needed - 1}$"):
        run(needed - 1)


@pytest.mark.parametrize("control", [0, 1, 2, 5, 7])
def test_an_engine_that_is_not_idle_starts_nothing_and_is_reset(control: int, engine, model, compiled) -> None:
    device = Paper(engine)
    host = Host(engine, device)
    host.load(image_of(compiled))
    device.registers[0] = control
    with pytest.raises(MachineError, match=f"must be idle before program decode starts, not busy .control register {control:#x}"):
        host.run(compiled.decode, inputs_at(model))
    device.registers[0], device.written = control, []
    host.recover()
    assert [name for name, _ in device.written] == ["reset", "0x80", "0x84", "side", "0x14"]
    host.run(compiled.decode, inputs_at(model))


def test_a_reset_without_buffers_tells_of_none_and_an_idle_engine_needs_none(engine) -> None:
    device = Paper(engine)
    host = Host(engine, device)
    host.recover()
    assert device.written == []
    device.registers[0] = 1
    host.recover()
    assert device.written == [("reset", 0)]


@pytest.mark.parametrize("waiting", list(Waiting))
def test_the_interrupt_is_enabled_where_it_is_waited_for(waiting: Waiting, engine, model, compiled) -> None:
    device = Paper(engine)
    host = Host(engine, device, waiting=waiting)
    host.load(image_of(compiled))
    host.run(compiled.decode, inputs_at(model))
    is_on = int(waiting is Waiting.INTERRUPT)
    assert (device.written.count(("watch", 0)), device.written.count(("control", 1))) == (is_on, 1)
    assert dict(device.written)["global_interrupt"] == dict(device.written)["interrupt_enable"] == is_on


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


@pytest.mark.parametrize("waiting", list(Waiting))
def test_a_run_is_given_up_when_its_time_is_over_and_not_later(waiting: Waiting, engine, model, compiled) -> None:
    device = Paper(engine, interrupt=False, ends=False)
    host = Host(engine, device, waiting=waiting, timeout_s=1.0, poll_s=0.25)
    host.load(image_of(compiled))
    with pytest.raises(MachineError, match="Program decode must end within 1 s"):
        host.run(compiled.decode, inputs_at(model))
    assert device.seconds == 1.0


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
