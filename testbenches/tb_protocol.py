"""The cocotb side of the protocol bench: bus models with back-pressure around the engine, and monitors on every channel.

BENCH_FOLDER holds job.json and the memories; answer.json and the memories after each run are written there. Nothing is
asserted here: what is wrong goes into the answer as sentences.
"""

import json
import logging
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, First, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiRamRead, AxiRamWrite, AxiReadBus, AxiWriteBus
from cocotbext.axi.sparse_memory import SparseMemory

from hwsim.arch.registers import CONTROL_REGISTERS, offset_of, port_base_offset
from hwsim.errors import MachineError
from rtl.interfaces import WRITE_BEAT_BITS
from testbenches.protocol_rules import Channel, LiteMonitor, ReadMonitor, WriteMonitor

__all__ = ["run_job"]

_PERIOD_NS = 4
_MEMORY_BYTES = 1 << 62
_FAULTS_KEPT = 40
_RESET_CYCLES = 4
"""Cycles of reset after which the engine must be silent."""
_NOWHERE = 0xF00
"""An offset at which there is no register."""
_LITE = "s_axi_control"
_SPECIAL = ("control", "global_interrupt", "interrupt_enable", "interrupt_status")
_START, _DONE, _IDLE, _READY = 1, 2, 4, 8
_FIELDS = {
    "ar": ("addr", "len", "size", "burst"),
    "aw": ("addr", "len", "size", "burst"),
    "w": ("data", "strb", "last"),
    "r": ("last", "resp"),
    "b": ("resp",),
}
_LITE_FIELDS = {"aw": ("addr",), "w": ("data", "strb"), "b": ("resp",), "ar": ("addr",), "r": ("data", "resp")}


class FailingRam(AxiRamWrite):
    """Memory whose write number `failing` (from 1 on, counted from `arm`) is answered with SLVERR and not done."""

    failing = None
    writes = 0

    def arm(self, failing):
        self.failing, self.writes = failing, 0

    async def _write(self, address, data):
        self.writes += 1
        if self.writes == self.failing:
            raise MachineError("This write must fail")
        await super()._write(address, data)


class Bench:
    """The models, the monitors and the register accesses of one simulation."""

    def __init__(self, dut, job):
        self.dut, self.job = dut, job
        self.random = random.Random(job["seed"])
        self.pace = "random"
        self.faults = []
        self.cycles = 0
        self.memory = SparseMemory(_MEMORY_BYTES)
        common = {"reset_active_level": False, "mem": self.memory}
        names = [f"m_axi_{port:02d}" for port in range(len(job["ports"]))]
        self.streams = [AxiRamRead(AxiReadBus.from_prefix(dut, name), dut.clk, dut.rst_n, **common) for name in names]
        self.side_read = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi_side"), dut.clk, dut.rst_n, **common)
        self.side_write = FailingRam(AxiWriteBus.from_prefix(dut, "m_axi_side"), dut.clk, dut.rst_n, **common)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, _LITE), dut.clk, dut.rst_n, reset_active_level=False)
        for each in (*self.streams, self.side_read, self.side_write, self.lite.read_if, self.lite.write_if):
            for name in ("ar", "r", "aw", "w", "b"):
                channel = getattr(each, f"{name}_channel", None)
                if channel is not None:
                    channel.set_pause_generator(self._pauses(channel))

        beat_bytes = WRITE_BEAT_BITS // 8
        streams = [
            ReadMonitor(name, beat_bytes=job["port_bytes"], ranges=[place], limit_beats=job["fifo_beats"])
            for name, place in zip(names, job["ports"], strict=True)
        ]
        side_read = ReadMonitor("m_axi_side", beat_bytes=beat_bytes, ranges=[job["side"]])
        side_write = WriteMonitor("m_axi_side", beat_bytes=beat_bytes, ranges=[job["side"], *job["ports"]])
        self.masters = [*streams, side_read, side_write]
        self.slave = LiteMonitor(_LITE)
        self.watched = [(monitor, self._pins(monitor.name, _FIELDS, ("ar", "r"))) for monitor in (*streams, side_read)]
        self.watched.append((side_write, self._pins("m_axi_side", _FIELDS, ("aw", "w", "b"))))
        self.watched.append((self.slave, self._pins(_LITE, _LITE_FIELDS, tuple(_LITE_FIELDS))))
        # What the engine drives: requests of its masters, answers of its slave.
        self.own_valids = [getattr(dut, f"{_LITE}_{name}valid") for name in ("b", "r")]
        self.own_valids += [getattr(dut, f"{name}_arvalid") for name in (*names, "m_axi_side")]
        self.own_valids += [getattr(dut, f"m_axi_side_{name}valid") for name in ("aw", "w")]

    def _pauses(self, channel):
        """Yield for each cycle whether the model's end of a channel is held down."""
        draw = random.Random(self.random.random())
        is_sink = hasattr(channel, "recv")
        while True:
            if self.pace == "shy" and is_sink:
                yield not channel.valid.value or draw.random() < 0.25
            elif draw.random() < 0.08:
                for _ in range(draw.choice((1, 1, 2, 3, 12))):
                    yield True
            else:
                yield False

    def _pins(self, prefix, fields, channels):
        """Return for each channel of a port its valid, its ready and the signals of its payload."""

        def pin(name):
            return getattr(self.dut, f"{prefix}_{name}")

        return [(pin(f"{name}valid"), pin(f"{name}ready"), [pin(name + field) for field in fields[name]]) for name in channels]

    def fault(self, sentence):
        if len(self.faults) < _FAULTS_KEPT:
            self.faults.append(f"cycle {self.cycles}: {sentence}")

    def expect(self, what, found, wanted):
        if found != wanted:
            self.fault(f"{what} must be {wanted:#x}, not {found:#x}")

    async def watch(self):
        """Give every monitor every cycle, as it is half a clock before the edge that ends it."""
        edge = FallingEdge(self.dut.clk)
        in_reset = 0
        while True:
            await edge
            self.cycles += 1
            if not self.dut.rst_n.value:
                in_reset += 1
                if in_reset >= _RESET_CYCLES and any(valid.value for valid in self.own_valids):
                    self.fault("every valid must be low in reset")
                continue
            for monitor, channels in self.watched:
                for sentence in monitor.cycle(*(_sample(*pins) for pins in channels)):
                    self.fault(sentence)

    async def write(self, offset, value, length=4):
        await self.lite.write(offset, value.to_bytes(length, "little"))

    async def read(self, offset, length=4):
        return int.from_bytes((await self.lite.read(offset, length)).data, "little")

    async def check_arguments(self):
        """Write every argument and read it back, in parts and whole; write what can only be read."""
        registers = [
            (each.name, each.offset, each.width) for each in CONTROL_REGISTERS if each.writable and each.name not in _SPECIAL
        ]
        registers += [(f"base {port}", port_base_offset(port), 64) for port in range(len(self.job["ports"]))]
        expected = {}
        for name, offset, width in registers:
            value = self.random.getrandbits(width)
            await self.write(offset, value, width // 8)
            byte, at = self.random.getrandbits(8), self.random.randrange(width // 8)
            await self.write(offset + at, byte, 1)
            expected[name] = value & ~(0xFF << 8 * at) | byte << 8 * at
        for name, offset, width in registers:
            self.expect(f"register {name}", await self.read(offset, width // 8), expected[name])
            if width == 64:
                self.expect(f"upper word of {name}", await self.read(offset + 4), expected[name] >> 32)
        fixed = {"error": 0, "cycles": 0, **self.job["identity"]}
        for each in CONTROL_REGISTERS:
            if not each.writable:
                written = self.lite.init_write(each.offset, b"\xff" * (each.width // 8))
                self.expect(f"register {each.name} while written", await self.read(each.offset, each.width // 8), fixed[each.name])
                await written.wait()
                self.expect(f"register {each.name} after a write", await self.read(each.offset, each.width // 8), fixed[each.name])
        await self.write(_NOWHERE, 0xFFFFFFFF)
        self.expect("an unused offset", await self.read(_NOWHERE), 0)

    async def check_interrupt(self):
        """Go through the states of the interrupt without a run, and the bits of control that start none."""
        await self.write(offset_of("control"), 0xFFFFFFFE)
        self.expect("control when nothing ran", await self.read(offset_of("control")), _IDLE)
        status, line = offset_of("interrupt_status"), []
        await self.write(status, 1)
        self.expect("interrupt status toggled once", await self.read(status), 1)
        for name, value in (("global_interrupt", 1), ("global_interrupt", 0), ("interrupt_enable", 3), ("global_interrupt", 1)):
            line.append(int(self.dut.interrupt.value))
            await self.write(offset_of(name), value)
            self.expect(f"register {name}", await self.read(offset_of(name)), value)
        line.append(int(self.dut.interrupt.value))
        await self.write(status, 1)
        self.expect("interrupt status toggled twice", await self.read(status), 0)
        line.append(int(self.dut.interrupt.value))
        if line != [0, 1, 0, 0, 1, 0]:
            self.fault(f"the interrupt line must follow its enable and its status, not {line}")

    async def go(self, folder, answers):
        """Reset the engine, check its registers, then run every run of the job; stop after one that hangs."""
        dut, job = self.dut, self.job
        await ClockCycles(dut.clk, 4 * _RESET_CYCLES)
        dut.rst_n.value = 1
        await ClockCycles(dut.clk, 2)
        await self.check_arguments()
        await self.check_interrupt()
        for port, (base, _) in enumerate(job["ports"]):
            await self.write(port_base_offset(port), base, 8)
        await self.write(offset_of("side"), job["side"][0], 8)
        for number, run in enumerate(job["runs"]):
            answers.append(await self.run(run, number, folder))
            if answers[-1]["hung"]:
                break
        await ClockCycles(dut.clk, 4)
        for sentence in self.slave.end():
            self.fault(sentence)

    async def run(self, run, number, folder):
        """Start the engine, see it through to its interrupt, and return the registers; memory goes into the folder."""
        self.pace = run["pace"]
        self.side_write.arm(run["failing_write"])
        control, status = offset_of("control"), offset_of("interrupt_status")
        for name, value in run["arguments"].items():
            await self.write(offset_of(name), value, 8 if name == "program" else 4)
        began = self.cycles
        await self.write(control, _START)
        self.expect("control in a run", await self.read(control), _START)
        await First(RisingEdge(self.dut.interrupt), ClockCycles(self.dut.clk, self.job["limit_cycles"]))
        is_up = bool(self.dut.interrupt.value)
        took = self.cycles - began
        for monitor in self.masters:
            for sentence in monitor.end():
                self.fault(f"{sentence} (at the end of run {number})")
        answer = {"hung": not is_up, "writes": self.side_write.writes, "cycles_seen": took}
        self.expect("interrupt status after a run", await self.read(status), 3)
        for bits, left in ((1, 2), (2, 0)):
            self.expect(f"interrupt line with {bits} to acknowledge", int(self.dut.interrupt.value), 1)
            await self.write(status, bits)
            self.expect("interrupt status acknowledged", await self.read(status), left)
        self.expect("interrupt line after its acknowledgement", int(self.dut.interrupt.value), 0)
        self.expect("control after a run", await self.read(control), _DONE | _IDLE | _READY)
        self.expect("control read again", await self.read(control), _IDLE)
        answer["error"] = await self.read(offset_of("error"))
        answer["cycles"] = await self.read(offset_of("cycles"), 8)
        for name, value in run["arguments"].items():
            self.expect(f"register {name} after a run", await self.read(offset_of(name), 8 if name == "program" else 4), value)
        ports = b"".join(self.memory.read(base, size) for base, size in self.job["ports"])
        (folder / f"ports{number}.bin").write_bytes(ports)
        (folder / f"side{number}.bin").write_bytes(self.memory.read(*self.job["side"]))
        return answer


def _sample(valid, ready, payload):
    if valid.value:
        return Channel(True, bool(ready.value), tuple(int(signal.value) for signal in payload))
    return Channel(False, bool(ready.value))


@cocotb.test()
async def run_job(dut):
    """Build the bench around the engine, let it go, and write what it saw."""
    logging.getLogger("cocotb.protocol").setLevel(logging.WARNING)
    folder = Path(os.environ["BENCH_FOLDER"])
    job = json.loads((folder / "job.json").read_text())
    dut.rst_n.value = 0
    bench = Bench(dut, job)
    places = [*job["ports"], job["side"]]
    stored = (folder / "ports.bin").read_bytes() + (folder / "side.bin").read_bytes()
    for base, size in places:
        bench.memory.write(base, stored[:size])
        stored = stored[size:]
    Clock(dut.clk, _PERIOD_NS, "ns").start()
    cocotb.start_soon(bench.watch())
    answers = []
    try:
        await bench.go(folder, answers)
    finally:
        # The bus models end the test at a request that they cannot serve; the monitors' findings still count.
        channels = [each for monitor in (*bench.masters, bench.slave) for each in monitor.channels]
        answer = {
            "faults": bench.faults,
            "runs": answers,
            "cycles": bench.cycles,
            "accepted": {channel.name: channel.accepted for channel in channels},
            "waits": {channel.name: channel.waits for channel in channels},
        }
        (folder / "answer.json").write_text(json.dumps(answer))
