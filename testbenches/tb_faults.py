"""The cocotb bench of the fault campaign: many cases, one after the other, in one simulation that is never started anew.

The job is a JSON file named by BENCH_JOB: programs with their memory before and after, and cases; the outcome of each case
goes to the file it names, one record a line.
"""

import json
import mmap
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import First, RisingEdge, Timer

from hwsim.arch.registers import offset_of
from testbenches.tb_engine import PERIOD_NS, LiteMaster, apply_settings, set_up

__all__ = ["run_cases"]

NONE = 0xFFFFFFFF
WORD_BYTES = 16


class Campaign:
    """The engine, the memory behind it, and what a case does to them."""

    def __init__(self, dut, job):
        self.dut, self.job, self.host = dut, job, LiteMaster(dut)
        self.faults = dut.dut
        self.regions = {}
        for number, path in job["regions"].items():
            with Path(path).open("r+b") as file:
                self.regions[int(number)] = mmap.mmap(file.fileno(), 0)
        self.programs = job["programs"]
        for program in self.programs:
            for name in ("before", "after"):
                program[name] = {int(number): Path(path).read_bytes() for number, path in program[name].items()}

    async def reset(self, cycles):
        """Reset everything for some cycles and set up the registers as a host does."""
        self.dut.rst_n.value = 0
        self.host.idle()
        await Timer(cycles * PERIOD_NS, "ns")
        await RisingEdge(self.dut.clk)
        self.dut.rst_n.value = 1
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        await set_up(self.host, self.job)

    def inject(self, case):
        """Set the injectors for a case; an empty case injects nothing."""
        faults = self.faults
        faults.fault_port.value = case.get("port", NONE)
        faults.fault_block.value = 1 << case["channel"] if case.get("kind") == "dead_bus" else 0
        faults.fault_block_after.value = case.get("index", 0)
        faults.fault_bad_read.value = case.get("index", NONE) if case.get("kind") == "read_error" else NONE
        faults.fault_bad_write.value = case.get("index", NONE) if case.get("kind") == "write_error" else NONE
        faults.fault_response.value = case.get("response", 0)
        faults.fault_rate.value = case.get("rate", 0)
        faults.fault_seed.value = case.get("seed", 0) & NONE

    async def start(self, number, stalls, words=None, *, is_armed=True):
        """Put a program's memory in place, set its arguments and start it; `words` replace the program's.

        Unless `is_armed`, the injectors go on counting.
        """
        program = self.programs[number]
        for region, content in program["before"].items():
            self.regions[region][: len(content)] = content
        if words is not None:
            code = b"".join(int(word, 16).to_bytes(WORD_BYTES, "little") for word in words)
            self.regions[self.job["side_region"]][program["offset"] : program["offset"] + len(code)] = code
        self.dut.stalling.value = int(stalls is not None)
        self.dut.seed.value = stalls or 0
        self.faults.fault_arm.value = int(is_armed)
        await RisingEdge(self.dut.clk)
        self.faults.fault_arm.value = 0
        await self.host.write64(offset_of("program"), self.job["side_base"] + program["offset"])
        await self.host.write(offset_of("program_words"), program["words"] if words is None else len(words))
        for name in ("position", "slot"):
            await self.host.write(offset_of(name), program[name])
        await self.host.write(offset_of("control"), 1)

    async def interrupted(self, limit):
        """Wait for the interrupt, at most `limit` cycles; return whether it came."""
        if not int(self.dut.interrupt.value):
            await First(RisingEdge(self.dut.interrupt), Timer(limit * PERIOD_NS, "ns"))
        await RisingEdge(self.dut.clk)
        return bool(int(self.dut.interrupt.value))

    async def ended(self, number):
        """Acknowledge the end of a run; return what the host and the memory show."""
        host = self.host
        if int(self.dut.interrupt.value):
            # Writing one toggles: only what is set is acknowledged.
            await host.write(offset_of("interrupt_status"), 1)
        status = await host.read(offset_of("control"))
        again = await host.read(offset_of("control"))
        after = self.programs[number]["after"]
        ports = len(self.job["port_bases"]) + 1
        return {
            "done": status >> 1 & 1,
            "done_again": again >> 1 & 1,
            "start": again & 1,
            "idle": again >> 2 & 1,
            "interrupt": int(self.dut.interrupt.value),
            "error": await host.read(offset_of("error")),
            "cycles": await host.read(offset_of("cycles")),
            "wrong_bytes": sum(_different(self.regions[region][: len(content)], content) for region, content in after.items()),
            "silence": int(self.faults.fault_silence.value),
            "reads": [int(getattr(self.faults, f"fault_reads_{port}").value) for port in range(ports)],
            "writes": int(getattr(self.faults, f"fault_writes_{ports - 1}").value),
        }

    async def case(self, case):
        """Run a case: a run to which something is done, then one to which nothing is; return the record of both."""
        host, limit = self.host, self.job["limit_cycles"]
        rng = random.Random(case["seed"])
        host.rng = rng if case["is_slow_host"] else None
        self.inject(case)
        await self.start(case["program"], case["stalls"], case.get("words"))
        record = {"case": case["number"], "hung": False}
        if case["kind"] == "reset":
            await Timer(case["at"] * PERIOD_NS, "ns")
            self.inject({})
            await self.reset(case["cycles"])
            record["first"] = await self.ended(case["program"])
        else:
            await self.meanwhile(case, rng)
            record["hung"] = not await self.interrupted(limit)
            record["first"] = await self.ended(case["program"])
            if record["hung"]:
                self.inject({})
                await self.reset(4)
        host.rng = None
        if case["kind"] == "dead_bus" and case["recovery"] == "reset":
            self.inject({})
            await self.reset(case["cycles"])
        early = case["kind"] == "dead_bus" and case["recovery"] == "late"
        if not early:
            self.inject({})
            if case["kind"] == "dead_bus":
                # Late writes must arrive before the memory is restored for the next run.
                await Timer(self.job["settle_cycles"] * PERIOD_NS, "ns")
        await self.start(case["next_program"], case["next_stalls"], is_armed=not early)
        if early:
            # The next run waits for the bus of the last one.
            await Timer(case["cycles"] * PERIOD_NS, "ns")
            self.inject({})
        is_over = await self.interrupted(limit)
        record["next"] = await self.ended(case["next_program"])
        if not is_over:
            record["hung"] = True
            await self.reset(4)
        return record

    async def meanwhile(self, case, rng):
        """Do what a case does while the first run is under way."""
        if case["kind"] == "start_twice":
            for wait in case["waits"]:
                await Timer(wait * PERIOD_NS, "ns")
                await RisingEdge(self.dut.clk)
                await self.host.write(offset_of("control"), 1)
        elif case["is_slow_host"]:
            for _ in range(rng.randrange(20)):
                await self.host.read(offset_of(rng.choice(("error", "cycles", "isa_digest", "position"))))


def _different(one, other):
    return 0 if one == other else sum(a != b for a, b in zip(one, other, strict=True))


@cocotb.test()
async def run_cases(dut):
    """Run every case of the job."""
    job = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
    dut.rst_n.value = 0
    apply_settings(dut, job)
    campaign = Campaign(dut, job)
    campaign.faults.fault_arm.value = 0
    campaign.inject({})
    Clock(dut.clk, PERIOD_NS, "ns").start()
    await campaign.reset(8)
    with Path(job["answer"]).open("w") as answer:
        for case in job["cases"]:
            answer.write(json.dumps(await campaign.case(case)) + "\n")
            answer.flush()
