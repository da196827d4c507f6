"""The beats of the side port: those of a STORE or an APPEND are made, those of a LOAD go into words and lanes of a memory."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Append, CacheKind, Load, Store
from rtl.copies import copies
from rtl.interfaces import ADDRESS_BITS, COMMAND, WRITE_BEAT_BITS, UnitSizes, field, flags, is_kind
from rtl.mover.memories import PICK_CYCLES, VALUES_PER_BEAT, WORD_BITS, choice_of, in_columns, loaded_beat
from rtl.mover.side_port import WRITE_BEAT
from rtl.pipeline import Pipeline

__all__ = ["PREPARE_CYCLES", "STEP_CYCLES", "Gather", "Scatter"]

PREPARE_CYCLES = 2
"""Cycles the command must have been there before the first `step`."""
STEP_CYCLES = 5
"""Cycles from a `step` to the `push` of its beat."""

_BEAT_BITS = 32
_COPIES = 4
"""Registers that select a share each of an address: one for all bits would drive too much."""


class Gather(wiring.Component):
    """Makes the write beats of `command`, whose beat `index` is asked for by `step`.

    STORE reads the result memory, APPEND the pack buffer, through a `Picker`, to which `choice` and `data` go. The command
    must stay until the last beat was pushed.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        self.sizes = UnitSizes(config)
        super().__init__(
            {
                "command": In(COMMAND),
                "side": In(ADDRESS_BITS),
                "bases": In(data.ArrayLayout(ADDRESS_BITS, config.tile.ports)),
                "step": In(1),
                "index": In(Store.field("beats").width),
                "choice": Out(choice_of(config)),
                "data": In(WRITE_BEAT_BITS),
                "push": Out(1),
                "beat": Out(WRITE_BEAT),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tile = self.config.tile
        slice_bits, port_slice_bits = (n.bit_length() - 1 for n in (tile.slices, tile.slices_per_port))
        slice_width = max(1, slice_bits)
        part_bits = (self.config.vector.lanes // VALUES_PER_BEAT).bit_length() - 1
        command = self.command

        # Before the first step: operands, then the beats and the slice from which the instruction's beats count.
        is_store, is_key = Signal(), Signal()
        for_beats, group_bits = copies(m, field(command, Append, "segments"), 2, "group_bits")
        slot, offset, keys = (Signal(32, name=name) for name in ("slot", "offset", "keys"))
        m.d.sync += [
            is_store.eq(is_kind(command, Store)),
            is_key.eq(field(command, Append, "kind") == CacheKind.KEY),
            slot.eq(field(command, Append, "slot")),
            offset.eq(Mux(is_kind(command, Store), field(command, Store, "offset"), field(command, Append, "offset"))),
            keys.eq(field(command, Append, "keys")),
        ]
        block, slot_slice = slot >> slice_bits, slot[:slice_bits]
        pair, half = block[1:], block[0]
        pair_beats = Signal(_BEAT_BITS)
        m.d.comb += pair_beats.eq((pair << (1 + for_beats)) + pair)
        token_bits = Signal(range(slice_width + 1))
        with m.Switch(group_bits):
            for bits in range(1 << len(group_bits)):
                with m.Case(bits):
                    m.d.comb += token_bits.eq(max(0, slice_bits - bits))
        first_beat, header_beat = (Signal(_BEAT_BITS, name=name) for name in ("first_beat", "header_beat"))
        first_slice, header_slice = (Signal(slice_width, name=name) for name in ("first_slice", "header_slice"))
        m.d.sync += [header_beat.eq(keys + pair_beats), header_slice.eq(slot_slice)]
        with m.If(is_store):
            m.d.sync += first_beat.eq(offset)
        with m.Elif(is_key):
            m.d.sync += [first_beat.eq(offset + pair_beats + (1 + Mux(half, 1 << group_bits, 0))), first_slice.eq(slot_slice)]
        with m.Else():
            m.d.sync += [
                first_beat.eq(offset + (slot >> token_bits)),
                first_slice.eq((slot & ((1 << token_bits) - 1)) << group_bits),
            ]

        # First step: the beat, in 16-byte units of the side memory or as slice and beat of the port, and what it is made of.
        is_header = Signal()
        m.d.comb += is_header.eq(~is_store & (self.index == 1 << group_bits))
        located = Signal(data.StructLayout({"beat": _BEAT_BITS, "slice": slice_width}), reset_less=True)
        next_slice = Signal(slice_width)
        choice = Signal(choice_of(self.config), reset_less=True)
        m.d.comb += self.choice.eq(choice)
        m.d.sync += [
            located.slice.eq(next_slice),
            choice.store.eq(is_store),
            choice.header.eq(is_header),
            choice.y_address.eq(field(command, Store, "address") + (self.index >> part_bits)),
            choice.part.eq(self.index[:part_bits]),
            choice.entry.eq(field(command, Append, "entry")),
            choice.word.eq(self.index[:WORD_BITS]),
        ]
        with m.If(is_header):
            m.d.sync += located.beat.eq(header_beat)
            m.d.comb += next_slice.eq(header_slice)
        with m.Elif(is_store | is_key):
            m.d.sync += located.beat.eq(first_beat + self.index)
            m.d.comb += next_slice.eq(first_slice)
        with m.Else():
            m.d.sync += located.beat.eq(first_beat)
            m.d.comb += next_slice.eq(first_slice + self.index)

        # Second step: the port's base and the distance from it.
        distance = Signal(_BEAT_BITS + port_slice_bits + 4, reset_less=True)
        base = Signal(ADDRESS_BITS, reset_less=True)
        ports = copies(m, next_slice[port_slice_bits:slice_bits], _COPIES, "port") if tile.ports > 1 else [Const(0)] * _COPIES
        within = located.slice[:port_slice_bits]
        with m.If(is_store):
            m.d.sync += [base.eq(self.side), distance.eq(located.beat << 4)]
        with m.Else():
            m.d.sync += distance.eq(Cat(within, located.beat) << 4)
            m.d.sync += base.eq(in_columns(self.bases, ports, ADDRESS_BITS))

        # Third step: the address; then the data are there. A header is 4 of 16 bytes: the block's half, then key or value in it.
        address = Signal(ADDRESS_BITS, reset_less=True)
        m.d.sync += address.eq(base + distance)
        strobe = Mux(choice.header, 0xF << Cat(Const(0, 2), ~is_key, half), 0xFFFF)
        asked = Pipeline(m, self.step, 0, "asked", clear=self.clear)
        assert STEP_CYCLES == PICK_CYCLES + 2
        m.d.comb += [
            self.push.eq(asked.at(STEP_CYCLES)),
            self.beat.address.eq(Pipeline(m, address, 3, "address").at(STEP_CYCLES)),
            self.beat.strobe.eq(Pipeline(m, strobe, 1, "strobe").at(STEP_CYCLES)),
        ]
        m.d.sync += self.beat.data.eq(self.data)
        return m


class Scatter(wiring.Component):
    """Gives the beats of the LOAD in `command` their places, in order from `start` on, one cycle after each `valid`."""

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {"command": In(COMMAND), **flags(In, "start", "valid"), "data": In(WRITE_BEAT_BITS), "loaded": Out(loaded_beat(config))}
        )

    def elaborate(self, platform):
        m = Module()
        parts = len(self.loaded.parts)
        part_bits = parts.bit_length() - 1
        index = Signal(Load.field("beats").width)
        m.d.sync += [
            self.loaded.word.eq(field(self.command, Load, "address") + (index >> part_bits)),
            self.loaded.values.eq(self.data),
            self.loaded.space.eq(field(self.command, Load, "space")),
            self.loaded.parts.eq(Mux(self.valid, 1 << index[:part_bits], 0)),
        ]
        with m.If(self.start):
            m.d.sync += index.eq(0)
        with m.Elif(self.valid):
            m.d.sync += index.eq(index + 1)
        return m
