"""The ends of the mover that lie beside the memories: what it reads is picked there, and what it loads lands there."""

from collections.abc import Sequence

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Append, Load, Space
from rtl.copies import copies
from rtl.interfaces import PACK_ENTRY, PACK_WORDS, WRITE_BEAT_BITS, UnitSizes, lane_write_port, read_port
from rtl.pipeline import Pipeline

__all__ = ["PICK_CYCLES", "VALUES_PER_BEAT", "WORD_BITS", "Landing", "Picker", "choice_of", "in_columns", "loaded_beat"]

VALUES_PER_BEAT = WRITE_BEAT_BITS // 32
WORD_BITS = (PACK_WORDS - 1).bit_length()
"""Bits of the number of a word in an entry of the pack buffer."""
_COPIES = 4
"""Registers that select a share each of a beat: one for all bits would drive too much."""
PICK_CYCLES = 3
"""Cycles from a `Picker`'s choice to its data."""


def choice_of(config: EngineConfig) -> data.StructLayout:
    """Return the layout of what a `Picker` is told of a beat."""
    part_bits = max(1, (config.vector.lanes // VALUES_PER_BEAT).bit_length() - 1)
    widths = {"store": 1, "header": 1, "y_address": UnitSizes(config).result, "part": part_bits}
    return data.StructLayout(widths | {"entry": Append.field("entry").width, "word": WORD_BITS})


def in_columns(choices: Sequence[Value], selects: Sequence[Value], bits: int) -> Value:
    """Return the selected one of values of so many bits; each of equal `selects` selects its share of the bits."""
    share = bits // len(selects)
    return Cat(
        Array(Value.cast(choice)[share * number : share * (number + 1)] for choice in choices)[select]
        for number, select in enumerate(selects)
    )


class Picker(wiring.Component):
    """Reads the beats of STORE and APPEND where their memories lie, so that one beat goes to the mover instead of whole words.

    Members:
        choice: a beat: of which instruction, the place of its word in the result memory and its part of it, or the entry
            of the pack buffer and its word there or header.
        data: the beat, PICK_CYCLES later.
        y, pack: read ports of the result memory and the pack buffer.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        sizes = UnitSizes(config)
        super().__init__(
            {
                "choice": In(choice_of(config)),
                "data": Out(WRITE_BEAT_BITS),
                **read_port("y", sizes.result, sizes.word_bits),
                **read_port("pack", Append.field("entry").width, PACK_ENTRY.as_shape().width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parts = self.config.vector.lanes // VALUES_PER_BEAT
        choice = Pipeline(m, self.choice, 0, "choice")
        addressed, chosen = choice.at(1), choice.at(2)
        m.d.comb += [self.y_address.eq(addressed.y_address), self.pack_address.eq(addressed.entry)]
        y = data.View(data.ArrayLayout(WRITE_BEAT_BITS, parts), self.y_data)
        own_parts = copies(m, addressed.part, _COPIES, "part") if parts > 1 else [Const(0)] * _COPIES
        words = copies(m, addressed.word, _COPIES, "word")
        entry = data.View(PACK_ENTRY, self.pack_data)
        with m.If(chosen.store):
            m.d.sync += self.data.eq(in_columns(y, own_parts, WRITE_BEAT_BITS))
        with m.Elif(chosen.header):
            m.d.sync += self.data.eq(entry.parameter.replicate(4))
        with m.Else():
            m.d.sync += self.data.eq(in_columns(entry.words, words, WRITE_BEAT_BITS))
        return m


def loaded_beat(config: EngineConfig) -> data.StructLayout:
    """Return the layout of a beat of a LOAD: its values; the memory, its word and the part of that they go to, a bit a part."""
    widths = {"space": Load.field("space").width, "word": Load.field("address").width}
    return data.StructLayout(widths | {"parts": config.vector.lanes // VALUES_PER_BEAT, "values": WRITE_BEAT_BITS})


class Landing(wiring.Component):
    """Writes the beats of LOADs to their memories `x` and `p`, a cycle later, where these lie."""

    def __init__(self, config: EngineConfig):
        self.config = config
        sizes, lanes = UnitSizes(config), config.vector.lanes
        super().__init__(
            {
                "loaded": In(loaded_beat(config)),
                **lane_write_port("x", sizes.residual, lanes),
                **lane_write_port("p", sizes.parameter, lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        loaded = Signal(loaded_beat(self.config), name="landed")
        m.d.sync += loaded.eq(self.loaded)
        lanes = Cat(part.replicate(VALUES_PER_BEAT) for part in loaded.parts)
        for space, name in ((Space.RESIDUAL, "x"), (Space.PARAMETER, "p")):
            m.d.comb += [
                getattr(self, f"{name}_enable").eq(Mux(loaded.space == space, lanes, 0)),
                getattr(self, f"{name}_address").eq(loaded.word),
                getattr(self, f"{name}_data").eq(loaded.values.replicate(len(loaded.parts))),
            ]
        return m
