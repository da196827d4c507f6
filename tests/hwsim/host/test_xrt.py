"""The board backend over a fake XRT: pyxrt as a module of the same signatures, xrt_ip.cpp built against headers of the same."""

import ctypes
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.model import compile_model
from hwsim.arch.config import EngineConfig
from hwsim.arch.program import Program
from hwsim.arch.registers import Identity, offset_of, port_base_offset
from hwsim.errors import MachineError, SpecError
from hwsim.host.device import SIDE, Place
from hwsim.host.inputs import Inputs
from hwsim.host.runtime import Waiting
from hwsim.host.xrt_device import LIBRARY, XrtDevice, bank_of
from hwsim.machine.meaning import run_meaning
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL, stalling
from models.integer import IntegerModel
from rtl.package import package_files
from testbenches.host.backend import Board
from testbenches.host.check import check_board
from testbenches.simulated import Simulated
from tests.hwsim.host.fake_pyxrt import BANK_BYTES, Memory, fake_pyxrt
from tests.rtl.test_package import TARGET

FAKE = Path(__file__).parent / "fake_xrt"
CYCLES = 1234


@pytest.fixture(scope="module")
def built(engine: EngineConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a kernel package's build, with the library that its `make host` made and an xclbin."""
    folder = tmp_path_factory.mktemp("package")
    files = package_files(engine, TARGET, {})
    for name in ("Makefile", "host/xrt_ip.cpp"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(files[name])
    xrt = tmp_path_factory.mktemp("xrt")
    (xrt / "include").symlink_to(FAKE / "include")
    (xrt / "lib").mkdir()
    subprocess.run(["g++", "-shared", "-x", "c++", "/dev/null", "-o", str(xrt / "lib" / "libxrt_coreutil.so")], check=True)
    command = ["make", "-C", str(folder), "host", f"XILINX_XRT={xrt}", "CXX=g++ -Werror"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (folder / "build" / "engine.xclbin").write_text("linked")
    return folder / "build"


class Engine:
    """What stands for the engine in the fake board: its registers, and the program's meaning when it is started."""

    def __init__(self, engine: EngineConfig, memory: Memory, program: Program, image_sizes: tuple[int, int]):
        self.engine, self.memory, self.program, self.sizes = engine, memory, program, image_sizes
        identity = Identity.of(engine)
        self.registers = {0: 4, offset_of("isa_digest"): identity.isa_word, offset_of("engine_digest"): identity.engine_word}
        self.error = 0
        self.waited: list[int] = []
        self.spoil: Callable[[np.ndarray], None] = lambda side: None

    def at(self, offset: int) -> int:
        return self.registers.get(offset, 0) | self.registers.get(offset + 4, 0) << 32

    def read(self, offset: int) -> int:
        value = self.registers.get(offset, 0)
        if offset == 0 and value & 2:
            self.registers[0] = 4
        return value

    def write(self, offset: int, value: int) -> None:
        if offset == offset_of("interrupt_status"):
            value ^= self.registers.get(offset, 0)
        self.registers[offset] = value
        if offset == 0:
            self.go()

    def go(self) -> None:
        start, words = self.at(offset_of("program")), self.registers[offset_of("program_words")]
        code = self.memory.bytes[start : start + 16 * words].tobytes()
        assert code == self.program.code().tobytes()
        position, slot = (self.registers[offset_of(name)] for name in ("position", "slot"))
        trace = run_control(self.program.words, position=position, slot=slot)
        port, side = self.at(port_base_offset(0)), self.at(offset_of("side"))
        ports = self.memory.bytes[port : port + self.sizes[0]][None]
        run_meaning(trace, self.engine, ports, self.memory.bytes[side : side + self.sizes[1]])
        self.spoil(self.memory.bytes[side : side + self.sizes[1]])
        self.registers |= {0: 6, offset_of("cycles"): CYCLES, offset_of("error"): self.error}
        self.registers[offset_of("interrupt_status")] = self.registers[offset_of("interrupt_enable")]

    def wait(self, milliseconds: int) -> int:
        self.waited.append(milliseconds)
        is_up = self.registers.get(offset_of("global_interrupt")) and self.registers.get(offset_of("interrupt_status"))
        return int(milliseconds > 0 and bool(is_up))


@pytest.fixture
def board(engine, compiled, built, monkeypatch):
    """A fake board: its memory, and the engine in it."""
    assert compiled.image is not None
    memory = Memory(("PLRAM[0]", "HBM[0]", "HBM[1]"))
    fake = Engine(engine, memory, compiled.decode, (compiled.image.ports.shape[1], len(compiled.image.side)))
    monkeypatch.setitem(sys.modules, "pyxrt", fake_pyxrt(memory))
    library = ctypes.CDLL(str(built / LIBRARY))
    word, number = ctypes.c_uint32, ctypes.c_int32
    calls = (
        ctypes.CFUNCTYPE(word, word)(fake.read),
        ctypes.CFUNCTYPE(None, word, word)(fake.write),
        ctypes.CFUNCTYPE(number, number)(fake.wait),
    )
    library.fake_xrt_connect(*calls)
    yield memory, fake
    assert calls


def inputs_at(model: IntegerModel, position: int) -> Inputs:
    return Inputs(position=position, rows=model.embedding.rows([5 + position]))


@pytest.mark.parametrize("waiting", list(Waiting))
def test_runs_on_a_board_give_the_simulators_bits(waiting, engine, model, compiled, built, board) -> None:
    memory, _ = board
    backend = Board(engine, built / "engine.xclbin", waiting=waiting)
    image = compiled.image
    for position in range(2):
        expected, _ = Simulated(engine).run(compiled.decode, image, inputs_at(model, position), IDEAL)
        found, log = backend.run(compiled.decode, image, inputs_at(model, position), IDEAL)
        assert np.array_equal(found.logits, expected.logits)
        assert np.array_equal(found.image.ports, expected.image.ports)
        assert np.array_equal(found.image.side, expected.image.side)
        assert (log.cycles, log.error) == (CYCLES, 0)
        image = found.image
    backend.close()
    assert memory.calls == ["device 0", "load_xclbin", "bo HBM[0]", "bo HBM[1]"]


def test_a_board_is_checked_and_a_wrong_one_is_caught(engine, model, built, board) -> None:
    memory, fake = board
    tokens = [3, 1, 4, 1, 5]
    compiled = compile_model(model, engine, context=len(tokens))
    assert compiled.image is not None
    fake.program, fake.sizes = compiled.decode, (compiled.image.ports.shape[1], len(compiled.image.side))
    backend = Board(engine, built / "engine.xclbin")
    check = check_board(model, engine, backend, tokens=tokens)
    assert (check.mismatches, check.first, check.position, check.cycles) == (0, None, 4, CYCLES)
    assert check.compared > 96
    output = compiled.decode.buffer("output").offset
    fake.spoil = lambda side: side.__setitem__(output, side[output] ^ 1)
    check = check_board(model, engine, backend, tokens=tokens)
    assert check.mismatches == 2
    assert check.first == "logits of the board against the reference: 1 of 96 values differ"
    with pytest.raises(SpecError, match="A board must be checked with at least one token, not none"):
        check_board(model, engine, backend, tokens=[])
    backend.close()


def test_an_error_of_the_board_is_a_sentence(engine, model, compiled, built, board) -> None:
    _, fake = board
    backend = Board(engine, built / "engine.xclbin")
    fake.error = 0x4 | 0x1 << 8
    with pytest.raises(MachineError, match="The engine must run program decode, not stop with a read error on port 1"):
        backend.run(compiled.decode, compiled.image, inputs_at(model, 0), IDEAL)
    with pytest.raises(SpecError, match="Memory model must be ideal for a board, which has memory of its own, not stalling:3"):
        backend.run(compiled.decode, compiled.image, inputs_at(model, 0), stalling(3))


def test_another_engine_in_the_board_is_refused(engine, built, board) -> None:
    other = engine.with_values({"control.watchdog_cycles": 30000})
    with pytest.raises(MachineError, match="Device board 0 must hold engine tiny "):
        Board(other, built / "engine.xclbin")


def test_without_xrt_the_board_is_refused(engine, built, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    with pytest.raises(MachineError, match=r"Package pyxrt must be importable to run on a board: XRT's setup\.sh sourced, and"):
        XrtDevice(engine, built / "engine.xclbin")


def test_boards_that_do_not_work_are_refused(engine, built, board, tmp_path) -> None:
    with pytest.raises(MachineError, match="File of the linked kernel must exist, not '.*missing.xclbin'"):
        XrtDevice(engine, built / "missing.xclbin")
    with pytest.raises(MachineError, match="Board 7 must load '.*engine.xclbin', not fail with \"Could not open device"):
        XrtDevice(engine, built / "engine.xclbin", index=7)
    (tmp_path / "broken.xclbin").write_text("")
    with pytest.raises(MachineError, match="Board 0 must load '.*broken.xclbin', not fail with 'failed to load xclbin'"):
        XrtDevice(engine, tmp_path / "broken.xclbin")
    (tmp_path / "engine.xclbin").write_text("")
    with pytest.raises(MachineError, match=r"Library libxrt_ip\.so must be beside the xclbin, where `make host` of the kernel"):
        XrtDevice(engine, tmp_path / "engine.xclbin")
    with pytest.raises(MachineError, match="Kernel lamforge must open on device 1, not fail with 'No xclbin is loaded'"):
        XrtDevice(engine, built / "engine.xclbin", index=1)


def test_what_a_board_cannot_do_is_refused(engine, built, board) -> None:
    device = XrtDevice(engine, built / "engine.xclbin")
    with pytest.raises(MachineError, match="Register 0xffd must be readable, not fail with 'Cannot read or write outside kernel"):
        device.read_register(0xFFD)
    with pytest.raises(MachineError, match="Register 0x1000 must be writable, not fail with 'Cannot read or write outside kernel"):
        device.write_register(0x1000, 0)
    with pytest.raises(MachineError, match=r"Memory bank of the memory of port 5 must be one that the xclbin uses, not HBM\[5\]"):
        device.allocate(Place(port=5), 4096)
    text = rf"A buffer in the memory of port 0 must fit the {BANK_BYTES} bytes of HBM\[0\], not take {BANK_BYTES + 1}"
    with pytest.raises(MachineError, match=text):
        device.allocate(Place(port=0), BANK_BYTES + 1)
    device.allocate(Place(port=0), BANK_BYTES)
    with pytest.raises(MachineError, match=r"A buffer of 4096 bytes must fit HBM\[0\], not fail with 'failed to allocate bo"):
        device.allocate(Place(port=0), 4096)
    with pytest.raises(MachineError, match="The interrupt must be waited for, not fail with 'bad optional access'"):
        device.wait_interrupt(1)
    with pytest.raises(MachineError, match="A board must be reset from outside, by `xbutil reset`"):
        device.reset()
    device.close()


def test_an_interrupt_is_waited_for_in_whole_milliseconds(engine, built, board) -> None:
    _, fake = board
    device = XrtDevice(engine, built / "engine.xclbin")
    device.watch_interrupt()
    assert [device.wait_interrupt(seconds) for seconds in (0, 0.0004, 0.25, 2)] == [False] * 4
    # Fractions are rounded, and the shortest wait is one millisecond.
    assert fake.waited == [1, 1, 250, 2000]
    fake.registers |= {offset_of("global_interrupt"): 1, offset_of("interrupt_status"): 1}
    assert device.wait_interrupt(0) is True
    device.close()


def test_buffers_go_into_the_banks_that_are_named(engine, built, board) -> None:
    memory, _ = board
    device = XrtDevice(engine, built / "engine.xclbin", banks={Place(port=0): "HBM[1]"})
    buffers = device.allocate(Place(port=0), 4096), device.allocate(SIDE, 4096)
    assert memory.calls == ["device 0", "load_xclbin", "bo HBM[1]", "bo HBM[1]"]
    assert buffers[1].address - buffers[0].address == 4096
    device.close()


def test_the_banks_are_those_of_the_link_configuration(engine) -> None:
    thirty_two = {f"HBM[{channel}]" for channel in range(32)}
    assert bank_of(engine, Place(port=0), thirty_two) == "HBM[0]"
    assert bank_of(engine, SIDE, thirty_two) == "HBM[1]"
    wide = engine.with_values({"tile.ports": 32})
    assert bank_of(wide, SIDE, thirty_two) == "HBM[31]"
    link = package_files(engine, TARGET, {})["link.cfg"]
    assert "sp=lamforge_1.m_axi_00:HBM[0]" in link
    assert dataclasses.fields(Place)[0].name == "port"
