"""The cocotb bench of a whole engine: sets its registers over AXI-Lite, starts it, waits for the interrupt, reads the result.

The job is a JSON file named by BENCH_JOB: registers of each run; the answer goes to the file it names. Between register
accesses nothing but the clock runs, so the simulation goes at Verilator's own speed.
"""

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import First, ReadOnly, RisingEdge, Timer

from hwsim.arch.registers import offset_of, port_base_offset

__all__ = ["PERIOD_NS", "Lite", "power_up", "run_job"]

PERIOD_NS = 4


class Lite:
    """A minimal AXI-Lite master: one access at a time."""

    def __init__(self, dut):
        self.dut = dut
        for name in ("awvalid", "wvalid", "arvalid"):
            self._pin(name).value = 0
        self._pin("bready").value = 1
        self._pin("rready").value = 1

    def _pin(self, name):
        return getattr(self.dut, f"s_axi_control_{name}")

    async def _edge_with(self, *names):
        """Wait for a clock edge at which every named signal is up; their values just before the edge count."""
        while True:
            await ReadOnly()
            up = all(int(self._pin(name).value) for name in names)
            await RisingEdge(self.dut.clk)
            if up:
                return

    async def write(self, offset, value):
        self._pin("awaddr").value = offset
        self._pin("wdata").value = value
        self._pin("wstrb").value = 15
        pending = {"aw", "w"}
        self._pin("awvalid").value = 1
        self._pin("wvalid").value = 1
        while pending:
            await ReadOnly()
            accepted = {name for name in pending if int(self._pin(f"{name}ready").value)}
            await RisingEdge(self.dut.clk)
            for name in accepted:
                self._pin(f"{name}valid").value = 0
            pending -= accepted
        await self._edge_with("bvalid")

    async def read(self, offset):
        self._pin("araddr").value = offset
        self._pin("arvalid").value = 1
        await self._edge_with("arready")
        self._pin("arvalid").value = 0
        while True:
            await ReadOnly()
            valid, value = int(self._pin("rvalid").value), self._pin("rdata").value
            result = value.to_unsigned() if valid else 0
            await RisingEdge(self.dut.clk)
            if valid:
                return result

    async def write64(self, offset, value):
        await self.write(offset, value & 0xFFFFFFFF)
        await self.write(offset + 4, value >> 32)


async def power_up(dut, job):
    """Set what the job says of memory and faults, start the clock, reset the engine; return a master of its registers."""
    dut.rst_n.value = 0
    dut.stalling.value = int(job["stalling"])
    dut.hbm2.value = int(job["hbm2"])
    dut.hbm2_law.value = int(job["hbm2_law"], 16)
    dut.seed.value = job["seed"]
    dut.fault_port.value = job["fault_port"]
    dut.fault_beat.value = job["fault_beat"]
    lite = Lite(dut)
    Clock(dut.clk, PERIOD_NS, "ns").start()
    await Timer(8 * PERIOD_NS, "ns")
    await RisingEdge(dut.clk)
    dut.rst_n.value = 1
    await RisingEdge(dut.clk)
    return lite


@cocotb.test()
async def run_job(dut):
    """Run every run of the job."""
    job = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
    lite = await power_up(dut, job)
    for port, base in enumerate(job["port_bases"]):
        await lite.write64(port_base_offset(port), base)
    await lite.write64(offset_of("side"), job["side_base"])
    await lite.write(offset_of("global_interrupt"), 1)
    await lite.write(offset_of("interrupt_enable"), 1)
    answers = []
    for run in job["runs"]:
        await lite.write64(offset_of("program"), run["program"])
        for name in ("program_words", "position", "slot"):
            await lite.write(offset_of(name), run[name])
        began = time.perf_counter()
        await lite.write(offset_of("control"), 1)
        await First(RisingEdge(dut.interrupt), Timer(job["limit_cycles"] * PERIOD_NS, "ns"))
        answer = {"wall_s": time.perf_counter() - began, "hung": int(dut.interrupt.value) == 0}
        await lite.write(offset_of("interrupt_status"), 1)
        status = await lite.read(offset_of("control"))
        answer["done"] = status >> 1 & 1
        answer["error"] = await lite.read(offset_of("error"))
        answer["cycles"] = await lite.read(offset_of("cycles"))
        answer["isa_digest"] = await lite.read(offset_of("isa_digest"))
        answer["engine_digest"] = await lite.read(offset_of("engine_digest"))
        answers.append(answer)
        if answer["hung"]:
            break
    Path(job["answer"]).write_text(json.dumps(answers))
