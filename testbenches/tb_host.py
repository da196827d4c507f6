"""The cocotb side of a simulated device: does what the host asks over a socket, and lets no time pass in between.

BENCH_JOB names the settings of the memories; BENCH_SOCKET the Unix socket to connect to. A request and its answer are one
line of JSON each; every answer has the clock cycle it was given in.
"""

import json
import os
import socket
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from testbenches.tb_engine import PERIOD_NS, power_up

__all__ = ["serve"]

_RESET_CYCLES = 8


async def _answer(dut, lite, request):
    """Do what a request asks; return its value."""
    kind = request["do"]
    if kind == "read":
        return await lite.read(request["offset"])
    if kind == "write":
        await lite.write(request["offset"], request["value"])
    elif kind == "pause":
        await ClockCycles(dut.clk, request["cycles"])
    elif kind == "interrupt":
        if not int(dut.interrupt.value):
            await First(RisingEdge(dut.interrupt), Timer(request["cycles"] * PERIOD_NS, "ns"))
        return int(dut.interrupt.value)
    elif kind == "reset":
        dut.rst_n.value = 0
        await ClockCycles(dut.clk, _RESET_CYCLES)
        dut.rst_n.value = 1
        await ClockCycles(dut.clk, 1)
    return 0


@cocotb.test()
async def serve(dut):
    """Answer requests until the host has none left."""
    lite = await power_up(dut, json.loads(Path(os.environ["BENCH_JOB"]).read_text()))
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(os.environ["BENCH_SOCKET"])
        stream = channel.makefile("rw", encoding="utf-8")
        for line in stream:
            value = await _answer(dut, lite, json.loads(line))
            cycle = round(get_sim_time("ns") / PERIOD_NS)
            stream.write(json.dumps({"value": value, "cycle": cycle}) + "\n")
            stream.flush()
