"""The host's side of the control registers in a bench: one AXI-Lite master for every cocotb bench of the engine."""

from cocotb.triggers import ReadOnly, RisingEdge

__all__ = ["LiteMaster"]

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
