"""The AXI4 and AXI4-Lite signals of the engine, as its units see them: one identifier, INCR bursts, full-width beats."""

from amaranth.lib.wiring import In, Out, Signature

__all__ = ["ADDRESS_BITS", "WRITE_BEAT_BITS", "AxiReadSignature", "AxiWriteSignature"]

ADDRESS_BITS = 64
WRITE_BEAT_BITS = 128
"""Width of the side port."""


class AxiReadSignature(Signature):
    """Read address and read data channels, seen from the master."""

    def __init__(self, data_bits: int):
        self.data_bits = data_bits
        super().__init__(
            {
                "araddr": Out(ADDRESS_BITS),
                "arlen": Out(8),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(data_bits),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiWriteSignature(Signature):
    """Write address, write data and write response channels, seen from the master."""

    def __init__(self, data_bits: int):
        self.data_bits = data_bits
        super().__init__(
            {
                "awaddr": Out(ADDRESS_BITS),
                "awlen": Out(8),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(data_bits),
                "wstrb": Out(data_bits // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
            }
        )
