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

__all__ = ["PERIOD_NS", "LiteMaster", "apply_settings", "power_up", "run_job", "set_up"]

ANSWER_CYCLES = 1000
"""Longest wait for the slave of the control registers, pauses of the master included."""


class LiteMaster:
    """An AXI-Lite master: one access at a time, at full speed or, while `rng` is given, with random pauses on every channel."""

    def __init__(self, dut):
        self.dut, self.rng = dut, None
        self.idle()

    def idle(self):
        """Ask for nothing."""
        for name in ("awvalid", "wvalid", "arvalid", "bready", "rready"):
            self._pin(name).value = 0

    def _pin(self, name):
        return getattr(self.dut, f"s_axi_control_{name}")

    def _pause(self):
        return self.rng.randrange(8) if self.rng else 0

    async def _transfers(self, pauses, pairs, wanted):
        """Raise each signal of `pairs` after its pause until its partner answers; return what `wanted` shows at its transfer."""
        left, seen = dict(pauses), None
        for _ in range(ANSWER_CYCLES):
            if not left:
                return seen
            for name in left:
                if left[name] <= 0:
                    self._pin(name).value = 1
            await ReadOnly()
            done = [name for name in left if left[name] <= 0 and int(self._pin(pairs[name]).value)]
            if wanted in done:
                seen = self._pin("rdata").value.to_unsigned()
            await RisingEdge(self.dut.clk)
            for name in list(left):
                left[name] -= 1
                if name in done:
                    self._pin(name).value = 0
                    del left[name]
        raise TimeoutError(f"AXI-Lite must answer within {ANSWER_CYCLES} cycles, not leave {sorted(left)} waiting")

    async def write(self, offset, value):
        # A caller that waited for a time may be just before an edge, which would take a transfer unseen.
        await RisingEdge(self.dut.clk)
        self._pin("awaddr").value = offset
        self._pin("wdata").value = value
        self._pin("wstrb").value = 15
        pairs = {"awvalid": "awready", "wvalid": "wready"}
        await self._transfers({name: self._pause() for name in pairs}, pairs, None)
        await self._transfers({"bready": self._pause()}, {"bready": "bvalid"}, None)

    async def read(self, offset):
        await RisingEdge(self.dut.clk)
        self._pin("araddr").value = offset
        await self._transfers({"arvalid": self._pause()}, {"arvalid": "arready"}, None)
        return await self._transfers({"rready": self._pause()}, {"rready": "rvalid"}, "rready")

    async def write64(self, offset, value):
        await self.write(offset, value & 0xFFFFFFFF)
        await self.write(offset + 4, value >> 32)


PERIOD_NS = 4


def apply_settings(dut, job):
    """Apply the job's settings of memory and faults."""
    dut.hbm2_law.value = int(job["hbm2_law"], 16)
    for name in ("stalling", "hbm2", "seed", "fault_port", "fault_beat"):
        getattr(dut, name).value = int(job[name])


async def power_up(dut, job):
    """Set what the job says of memory and faults, start the clock, reset the engine; return a master of its registers."""
    dut.rst_n.value = 0
    apply_settings(dut, job)
    lite = LiteMaster(dut)
    Clock(dut.clk, PERIOD_NS, "ns").start()
    await Timer(8 * PERIOD_NS, "ns")
    await RisingEdge(dut.clk)
    dut.rst_n.value = 1
    await RisingEdge(dut.clk)
    return lite


async def set_up(lite, job):
    """Tell the engine where its memories lie, and let it interrupt."""
    for port, base in enumerate(job["port_bases"]):
        await lite.write64(port_base_offset(port), base)
    await lite.write64(offset_of("side"), job["side_base"])
    await lite.write(offset_of("global_interrupt"), 1)
    await lite.write(offset_of("interrupt_enable"), 1)


@cocotb.test()
async def run_job(dut):
    """Run every run of the job."""
    job = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
    lite = await power_up(dut, job)
    await set_up(lite, job)
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
        for name in ("error", "cycles", "isa_digest", "engine_digest"):
            answer[name] = await lite.read(offset_of(name))
        answers.append(answer)
        if answer["hung"]:
            break
    Path(job["answer"]).write_text(json.dumps(answers))
