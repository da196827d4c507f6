"""The host runtime on the Verilog: runs, waits, errors, timeouts and recovery through the AXI-Lite port."""

import dataclasses

import numpy as np
import pytest

from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import End, Fetch, KvQuant, Loop, Scalar, decode
from hwsim.arch.program import MemoryImage, Program
from hwsim.arch.registers import Identity
from hwsim.errors import MachineError, ProgramError
from hwsim.host.inputs import Inputs
from hwsim.host.runtime import Host, Waiting
from hwsim.memory.models import IDEAL, stalling
from models.integer import IntegerModel
from testbenches.cosim import cosim
from testbenches.host.backend import HostedVerilog
from testbenches.host.simulated_device import SimulatedDevice
from testbenches.simulated import Simulated
from testbenches.verilated import Fault, Verilated


@pytest.fixture
def device(verilated: Verilated):
    device = SimulatedDevice(verilated)
    yield device
    device.close()


def image_of(compiled: Compiled) -> MemoryImage:
    assert compiled.image is not None
    return compiled.image


def inputs_at(model: IntegerModel, position: int = 0, token: int = 5) -> Inputs:
    return Inputs(position=position, rows=model.embedding.rows([token]))


def reworded(program: Program, *words) -> Program:
    return dataclasses.replace(program, words=tuple(word.encode() for word in words), symbols=("",) * len(words))


def endless(program: Program) -> Program:
    """A program of four thousand million empty fetches: every one of them keeps the watchdog quiet."""
    many = Loop(count=0xFFFF, length=1)
    nothing = Scalar(function=0, target=3, immediate=0)
    return reworded(program, Loop(count=0xFFFF, length=3), many, Fetch(offset=0, beats=0), nothing, End())


def check_run(host: Host, compiled: Compiled, model: IntegerModel, engine: EngineConfig, image: MemoryImage, position: int):
    """Run a decode step on the host's device, compare it with the simulator's, and return the memory after it."""
    inputs = inputs_at(model, position, 5 + position)
    expected, log = Simulated(engine).run(compiled.decode, image, inputs, IDEAL)
    done = host.run(compiled.decode, inputs)
    assert done.cycles == log.cycles
    assert np.array_equal(done.logits, expected.logits)
    after = host.memory()
    assert np.array_equal(after.ports, expected.image.ports)
    assert np.array_equal(after.side, expected.image.side)
    return after


@pytest.mark.parametrize("waiting", list(Waiting))
def test_runs_in_a_row_give_the_simulators_bits(waiting, engine, model, compiled, device) -> None:
    host = Host(engine, device, waiting=waiting)
    host.load(image_of(compiled))
    image = image_of(compiled)
    for position in range(3):
        image = check_run(host, compiled, model, engine, image, position)
    # Another image of the same size goes into the same buffers.
    host.load(image_of(compiled))
    check_run(host, compiled, model, engine, image_of(compiled), 0)


def test_a_whole_co_simulation_goes_through_the_host(engine, model, verilated) -> None:
    result = cosim(model, engine, texts=[[3, 1, 4, 1, 5]], memories=[stalling(5)], verilated=HostedVerilog(engine))
    assert result.first is None
    assert (result.mismatches, result.cycle_difference) == (0, 0)
    assert result.instructions_compared > 80


@pytest.mark.parametrize("waiting", list(Waiting))
def test_a_run_without_end_is_given_up_and_recovered_from(waiting, engine, model, compiled, device) -> None:
    host = Host(engine, device, waiting=waiting, timeout_s=0.5e-3)
    host.load(image_of(compiled))
    before = device.now_s()
    with pytest.raises(MachineError, match=r"Program decode must end within 0\.0005 s, not run on \(control register 0x1\)"):
        host.run(endless(compiled.decode), inputs_at(model))
    assert 0.5e-3 <= device.now_s() - before < 1e-3
    text = r"The engine must be idle before program decode starts, not busy \(control register 0x1\)"
    with pytest.raises(MachineError, match=text):
        host.run(compiled.decode, inputs_at(model))
    host.recover()
    host.load(image_of(compiled))
    check_run(host, compiled, model, engine, image_of(compiled), 0)
    # An idle engine needs none.
    host.recover()


def test_a_bus_error_is_a_sentence_and_the_next_run_is_right(engine, model, compiled, verilated) -> None:
    device = SimulatedDevice(verilated, fault=Fault(port=0, beat=150))
    host = Host(engine, device, waiting=Waiting.INTERRUPT)
    host.load(image_of(compiled))
    with pytest.raises(MachineError, match="The engine must run program decode, not stop with a read error on port 0"):
        host.run(compiled.decode, inputs_at(model))
    host.load(image_of(compiled))
    check_run(host, compiled, model, engine, image_of(compiled), 0)
    host.close()


def test_a_program_that_waits_forever_ends_with_the_watchdog(engine, model, compiled, device) -> None:
    words = [decode(word) for word in compiled.decode.words]
    index = next(index for index, word in enumerate(words) if isinstance(word, KvQuant))
    words[index] = dataclasses.replace(words[index], wait=words[index].wait | 1 << Unit.MOVER | 1 << Unit.FETCH)
    host = Host(engine, device)
    host.load(image_of(compiled))
    with pytest.raises(MachineError, match="The engine must run program decode, not stop with the watchdog at word"):
        host.run(reworded(compiled.decode, *words), inputs_at(model))


def test_another_engine_is_refused_before_anything_else(engine, device) -> None:
    other = engine.with_values({"control.watchdog_cycles": 30000})
    found, word = (Identity.of(each).engine_word for each in (engine, other))
    with pytest.raises(MachineError, match=f"Device verilator must hold engine tiny {word:08x}, not {found:08x}"):
        Host(other, device)


def test_what_does_not_fit_is_refused(engine, model, compiled, device) -> None:
    host = Host(engine, device)
    with pytest.raises(MachineError, match="A memory image must be loaded before a program runs"):
        host.run(compiled.decode, inputs_at(model))
    image = image_of(compiled)
    large = MemoryImage(ports=np.zeros((1, engine.channel_bytes + 4096), np.uint8), side=image.side)
    with pytest.raises(
        MachineError, match="A buffer in the memory of port 0 must fit the 1048576 bytes that are free, not take 1052672"
    ):
        host.load(large)
    with pytest.raises(ProgramError, match="Memory image must have 1 ports, not 2"):
        host.load(MemoryImage(ports=np.zeros((2, 4096), np.uint8), side=image.side))
    host.load(MemoryImage(ports=image.ports, side=image.side[:4096]))
    with pytest.raises(ProgramError, match=r"Side memory must hold \d+ bytes for program decode, not 4096"):
        host.run(compiled.decode, inputs_at(model))
    with pytest.raises(ProgramError, match="Program decode must be compiled for engine tiny"):
        host.run(dataclasses.replace(compiled.decode, engine="0" * 64), inputs_at(model))


def test_a_simulation_that_ends_early_is_said(engine, verilated, monkeypatch) -> None:
    device = SimulatedDevice(verilated)
    device._stream.write("no request\n")
    with pytest.raises(MachineError, match=r"The bench must run; it ended with code 1, see .*run\.log"):
        device.read_register(0)
    device.close()
    monkeypatch.setattr(verilated.simulation, "run", lambda *_, **__: None)
    with pytest.raises(MachineError, match=r"The simulation must answer, not end or stay silent; see .*run\.log"):
        SimulatedDevice(verilated)


@pytest.mark.long
def test_two_ports_through_the_host(model) -> None:
    small = load_engine("small")
    result = cosim(model, small, texts=[[3, 1, 4, 1, 5]], memories=[IDEAL, stalling(5)], verilated=HostedVerilog(small))
    assert result.first is None
    assert (result.mismatches, result.cycle_difference) == (0, 0)
