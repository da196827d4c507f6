"""The registers of the engine over AXI4-Lite: arguments, the kernel protocol, interrupts, identity."""

import random

from amaranth.sim import Simulator

from hwsim.arch.config import load_engine
from hwsim.arch.isa import isa_digest
from hwsim.arch.registers import CONTROL_REGISTERS, offset_of, port_base_offset
from rtl.control import ControlRegisters


class Host:
    """Reads and writes the registers over the bus, with both kinds of waiting."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut

    async def write(self, address, value, strobe=0xF):
        ctx, dut = self.ctx, self.dut
        for name, number in (("awaddr", address), ("wdata", value), ("wstrb", strobe)):
            ctx.set(getattr(dut, name), number)
        waiting = {"aw", "w"}
        for name in waiting:
            ctx.set(getattr(dut, f"{name}valid"), 1)
        while waiting:
            taken = {name for name in waiting if ctx.get(getattr(dut, f"{name}ready"))}
            await ctx.tick()
            for name in taken:
                ctx.set(getattr(dut, f"{name}valid"), 0)
            waiting -= taken
        ctx.set(dut.bready, 1)
        while not ctx.get(dut.bvalid):
            await ctx.tick()
        assert ctx.get(dut.bresp) == 0
        await ctx.tick()
        ctx.set(dut.bready, 0)
        assert not ctx.get(dut.bvalid)

    async def read(self, address):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.araddr, address)
        ctx.set(dut.arvalid, 1)
        while not ctx.get(dut.arready):
            await ctx.tick()
        await ctx.tick()
        ctx.set(dut.arvalid, 0)
        while not ctx.get(dut.rvalid):
            await ctx.tick()
        assert ctx.get(dut.rresp) == 0
        value = ctx.get(dut.rdata)
        ctx.set(dut.rready, 1)
        await ctx.tick()
        ctx.set(dut.rready, 0)
        return value

    async def finish(self):
        self.ctx.set(self.dut.done, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.done, 0)


def on_the_bus(config, scenario):
    dut = ControlRegisters(config)

    async def bench(ctx):
        await scenario(ctx, dut, Host(ctx, dut))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_arguments_hold_what_was_written():
    config = load_engine("small")

    async def scenario(ctx, dut, host):
        rng = random.Random(3)
        places = {}
        for register in CONTROL_REGISTERS[4:]:
            if register.writable:
                places[register.offset] = (getattr(dut, register.name), register.width)
        for port in range(config.tile.ports):
            places[port_base_offset(port)] = (dut.bases[port], 64)
        values = {offset + low // 8: rng.getrandbits(32) for offset, (_, width) in places.items() for low in range(0, width, 32)}
        for offset, value in values.items():
            await host.write(offset, value)
        for offset, value in values.items():
            assert await host.read(offset) == value
        for offset, (signal, width) in places.items():
            assert ctx.get(signal) == sum(values[offset + low // 8] << low for low in range(0, width, 32))
        await host.write(offset_of("slot"), 0xAABBCCDD, strobe=0b0101)
        old = values[offset_of("slot")]
        assert await host.read(offset_of("slot")) == old & 0xFF00FF00 | 0x00BB00DD
        await host.write(offset_of("error"), 5)
        assert await host.read(offset_of("error")) == 0
        ctx.set(dut.error, 0x1203)
        ctx.set(dut.cycles, 0x1_2345_6789)
        assert await host.read(offset_of("error")) == 0x1203
        assert await host.read(offset_of("cycles")) == 0x2345_6789
        assert await host.read(offset_of("cycles") + 4) == 1
        assert await host.read(offset_of("isa_digest")) == int(isa_digest()[:8], 16)
        assert await host.read(offset_of("engine_digest")) == int(config.digest[:8], 16)
        assert await host.read(0xFFC) == 0

    on_the_bus(config, scenario)


def test_control_register_follows_the_kernel_protocol():
    async def scenario(ctx, dut, host):
        ctx.set(dut.idle, 1)
        assert await host.read(0) == 4
        await host.write(0, 0x81)
        assert ctx.get(dut.start)
        ctx.set(dut.idle, 0)
        assert await host.read(0) == 1
        assert not ctx.get(dut.interrupt)
        await host.finish()
        assert not ctx.get(dut.start)
        ctx.set(dut.idle, 1)
        assert await host.read(0) == 0b1110
        assert await host.read(0) == 0b0100
        # Nothing was enabled, so nothing is noted; then enabled, masked, and acknowledged.
        assert await host.read(offset_of("interrupt_status")) == 0
        await host.write(offset_of("interrupt_enable"), 1)
        await host.finish()
        assert await host.read(offset_of("interrupt_status")) == 1 and not ctx.get(dut.interrupt)
        await host.write(offset_of("global_interrupt"), 1)
        assert ctx.get(dut.interrupt)
        await host.write(offset_of("interrupt_status"), 1)
        assert await host.read(offset_of("interrupt_status")) == 0 and not ctx.get(dut.interrupt)
        await host.write(offset_of("interrupt_enable"), 3)
        await host.finish()
        assert await host.read(offset_of("interrupt_status")) == 3

    on_the_bus(load_engine("tiny"), scenario)
