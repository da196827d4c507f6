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
from cocotb.triggers import First, RisingEdge, Timer

from hwsim.arch.registers import offset_of, port_base_offset
from testbenches.lite_master import LiteMaster

__all__ = ["PERIOD_NS", "apply_settings", "power_up", "run_job", "set_up"]

PERIOD_NS = 4


def apply_settings(dut, job):
    """Apply the job's settings of memory and faults."""
    dut.stalling.value = int(job["stalling"])
    dut.hbm2.value = int(job["hbm2"])
    dut.hbm2_law.value = int(job["hbm2_law"], 16)
    dut.seed.value = job["seed"]
    dut.fault_port.value = job["fault_port"]
    dut.fault_beat.value = job["fault_beat"]


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
        answer["error"] = await lite.read(offset_of("error"))
        answer["cycles"] = await lite.read(offset_of("cycles"))
        answer["isa_digest"] = await lite.read(offset_of("isa_digest"))
        answer["engine_digest"] = await lite.read(offset_of("engine_digest"))
        answers.append(answer)
        if answer["hung"]:
            break
    Path(job["answer"]).write_text(json.dumps(answers))
