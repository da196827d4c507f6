"""Memories of the engine with more than two users, or with more than one copy."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.interfaces import UnitSizes, address_bits
from rtl.ram import URAM_WORDS, Ram

__all__ = ["ActivationMemory", "ActivationWrite", "ResidualMemory", "ResultMemory", "activation_address_bits"]

_SEGMENT = 64
"""Codes of a segment of one row."""


_LANES_TOGETHER = 8
"""Lanes of the result memory among which one register chooses: it has a load a bit."""


def activation_address_bits(config: EngineConfig) -> int:
    """Return the bits of the address of a word of activation codes, of which a segment has one or more."""
    return address_bits(config.buffer.activation_segments * (_SEGMENT // config.vector.lanes))


def _written(config: EngineConfig) -> data.StructLayout:
    widths = {"enable": 1, "row": 3, "address": activation_address_bits(config), "data": 8 * config.vector.lanes}
    return data.StructLayout(widths)


class ActivationWrite(wiring.Component):
    """A register between the vector unit and the copies of the activation memory, for the way to the far ones.

    Members:
        a_enable, a_row, a_address, a_data: the codes of one word, its row, and its address in words.
        written: the same, one cycle later.
    """

    def __init__(self, config: EngineConfig):
        layout = _written(config)
        ports = {f"a_{name}": In(field.shape) for name, field in layout}
        super().__init__(ports | {"written": Out(layout)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [getattr(self.written, name).eq(getattr(self, f"a_{name}")) for name in self.written.shape().members]
        return m


class ActivationMemory(wiring.Component):
    """One copy of the activation memory, written in pieces of one row a cycle after they are there.

    Members:
        written: what `ActivationWrite` gives.
        read_address, read_data: a segment; code i of row r in bits 512 r + 8 i, a cycle after the address.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "written": In(_written(config)),
                "read_address": In(UnitSizes(config).activation),
                "read_data": Out(8 * _SEGMENT * config.tile.tokens),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, rows = self.config.vector.lanes, self.config.tile.tokens
        pieces = _SEGMENT // lanes
        piece_bits = pieces.bit_length() - 1
        written = Signal(self.written.shape(), name="arrived")
        m.d.sync += written.eq(self.written)
        depth = self.config.buffer.activation_segments
        m.submodules.segments = ram = Ram(depth=depth, lanes=rows * pieces, lane_bits=8 * lanes)
        piece, segment = written.address[:piece_bits], written.address[piece_bits:]
        m.d.comb += [
            ram.write_enable.eq(
                Cat(written.enable & (written.row == row) & (piece == number) for row in range(rows) for number in range(pieces))
            ),
            ram.write_address.eq(segment),
            ram.write_data.eq(written.data.replicate(rows * pieces)),
            ram.read_address.eq(self.read_address),
            self.read_data.eq(ram.read_data),
        ]
        return m


class ResultMemory(wiring.Component):
    """One copy of the result memory, in groups of lanes: where it is deeper than an UltraRAM, a bit of the address chooses in each.

    Its ports are those of `Ram`.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        sizes, lanes = UnitSizes(config), config.vector.lanes
        super().__init__(
            {
                "write_enable": In(lanes),
                "write_address": In(sizes.result),
                "write_data": In(32 * lanes),
                "read_address": In(sizes.result),
                "read_data": Out(32 * lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth, lanes = self.config.buffer.result_words, self.config.vector.lanes
        style = "ultra" if depth >= URAM_WORDS else "auto"
        together = min(lanes, _LANES_TOGETHER)
        for number in range(lanes // together):
            m.submodules[f"lanes_{number}"] = ram = Ram(depth=depth, lanes=together, lane_bits=32, style=style)
            m.d.comb += [
                ram.write_enable.eq(self.write_enable.word_select(number, together)),
                ram.write_address.eq(self.write_address),
                ram.write_data.eq(self.write_data.word_select(number, 32 * together)),
                ram.read_address.eq(self.read_address),
                self.read_data.word_select(number, 32 * together).eq(ram.read_data),
            ]
        return m


class ResidualMemory(wiring.Component):
    """The residual memory: one write and one read port, whose users programs keep apart.

    Members:
        x, x_write: write ports of the mover and the matrix unit.
        matrix_address, vector_address, vector_reads: what each of them reads; the vector unit's counts where it reads.
        read_data: a cycle later.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        sizes, lanes = UnitSizes(config), config.vector.lanes
        write = {"enable": In(lanes), "address": In(sizes.residual), "data": In(32 * lanes)}
        super().__init__(
            {f"{name}_{part}": member for name in ("x", "x_write") for part, member in write.items()}
            | {f"{name}_address": In(sizes.residual) for name in ("matrix", "vector")}
            | {"vector_reads": In(1), "read_data": Out(32 * lanes)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = ram = Ram(depth=self.config.buffer.residual_words, lanes=self.config.vector.lanes, lane_bits=32)
        lanes = range(self.config.vector.lanes)
        m.d.comb += [
            # Each lane by its own enable, so that no bit chooses for all of them.
            ram.write_data.eq(
                Cat(
                    Mux(self.x_enable[lane], self.x_data.word_select(lane, 32), self.x_write_data.word_select(lane, 32))
                    for lane in lanes
                )
            ),
            ram.write_enable.eq(self.x_enable | self.x_write_enable),
            ram.write_address.eq(Mux(self.x_enable.any(), self.x_address, self.x_write_address)),
            ram.read_address.eq(Mux(self.vector_reads, self.vector_address, self.matrix_address)),
            self.read_data.eq(ram.read_data),
        ]
        return m
