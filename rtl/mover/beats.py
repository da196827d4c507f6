"""The beats of the side port: those of a STORE or an APPEND are made, those of a LOAD go into words and lanes of a memory."""

from collections.abc import Sequence

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Append, CacheKind, Load, Space, Store
from rtl.copies import copies
from rtl.interfaces import (
    ADDRESS_BITS,
    COMMAND,
    PACK_ENTRY,
    PACK_WORDS,
    WRITE_BEAT_BITS,
    UnitSizes,
    assign,
    field,
    is_kind,
    lane_write_port,
    read_port,
)
from rtl.mover.side_port import WRITE_BEAT

__all__ = ["PREPARE_CYCLES", "STEP_CYCLES", "VALUES_PER_BEAT", "Gather", "Scatter"]

PREPARE_CYCLES = 2
"""Cycles the command must have been there before the first `step`."""
STEP_CYCLES = 3
"""Cycles from a `step` to the `push` of its beat."""
VALUES_PER_BEAT = WRITE_BEAT_BITS // 32

_BEAT_BITS = 32
_COPIES = 4
"""Registers that select a share each of a beat and of an address: one for all bits would drive too much."""
_WORD_BITS = (PACK_WORDS - 1).bit_length()


class Gather(wiring.Component):
    """Makes the write beats of `command`, whose beat `index` is asked for by `step`.

    STORE reads the result memory, APPEND the pack buffer. The command must stay until the last beat was pushed.
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
                **read_port("y", self.sizes.result, self.sizes.word_bits),
                **read_port("pack", Append.field("entry").width, PACK_ENTRY.as_shape().width),
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

        # First step: the beat, in 16-byte units of the side memory or as slice and beat of the port.
        is_header = Signal()
        m.d.comb += is_header.eq(~is_store & (self.index == 1 << group_bits))
        content = {"valid": 1, "header": 1}
        chosen = {"part": max(1, part_bits), "word": _WORD_BITS}
        place = {"beat": _BEAT_BITS, "slice": slice_width, "y_address": self.sizes.result}
        located = Signal(data.StructLayout(content | chosen | place))
        next_slice = Signal(slice_width)
        m.d.sync += [
            located.valid.eq(self.step),
            located.y_address.eq(field(command, Store, "address") + (self.index >> part_bits)),
            located.part.eq(self.index[:part_bits]),
            located.word.eq(self.index[:_WORD_BITS]),
            located.header.eq(is_header),
            located.slice.eq(next_slice),
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

        # Second step: the port's base and the distance from it; the result word is addressed.
        place = {"base": ADDRESS_BITS, "distance": _BEAT_BITS + port_slice_bits + 4}
        placed = Signal(data.StructLayout(content | place))
        ports = copies(m, next_slice[port_slice_bits:slice_bits], _COPIES, "port") if tile.ports > 1 else [Const(0)] * _COPIES
        base = _columns(self.bases, ports, ADDRESS_BITS)
        within = located.slice[:port_slice_bits]
        m.d.comb += [self.y_address.eq(located.y_address), self.pack_address.eq(field(command, Append, "entry"))]
        m.d.sync += assign(placed, located, *content)
        with m.If(is_store):
            m.d.sync += [placed.base.eq(self.side), placed.distance.eq(located.beat << 4)]
        with m.Else():
            m.d.sync += placed.distance.eq(Cat(within, located.beat) << 4)
            m.d.sync += placed.base.eq(base)

        # Third step: address and data of the beat.
        entry = data.View(PACK_ENTRY, self.pack_data)
        y = data.View(data.ArrayLayout(WRITE_BEAT_BITS, 1 << part_bits), self.y_data)
        parts = copies(m, located.part, _COPIES, "part") if part_bits else [Const(0)] * _COPIES
        words = copies(m, located.word, _COPIES, "word")
        m.d.sync += [self.push.eq(placed.valid), self.beat.address.eq(placed.base + placed.distance)]
        with m.If(is_store):
            m.d.sync += [self.beat.data.eq(_columns(y, parts, WRITE_BEAT_BITS)), self.beat.strobe.eq(-1)]
        with m.Elif(placed.header):
            # 4 of 16 bytes: the block's half of the header, then key or value in it.
            m.d.sync += [
                self.beat.data.eq(entry.parameter.replicate(4)),
                self.beat.strobe.eq(0xF << Cat(Const(0, 2), ~is_key, half)),
            ]
        with m.Else():
            m.d.sync += [self.beat.data.eq(_columns(entry.words, words, WRITE_BEAT_BITS)), self.beat.strobe.eq(-1)]
        with m.If(self.clear):
            m.d.sync += [located.valid.eq(0), placed.valid.eq(0), self.push.eq(0)]
        return m


def _columns(choices: Sequence[Value], selects: Sequence[Value], bits: int) -> Value:
    """Return the selected one of values of so many bits; each of equal `selects` selects its share of the bits."""
    share = bits // len(selects)
    return Cat(
        Array(Value.cast(choice)[share * number : share * (number + 1)] for choice in choices)[select]
        for number, select in enumerate(selects)
    )


class Scatter(wiring.Component):
    """Writes the beats of the LOAD in `command`, in order from `start` on, one cycle after each `valid`."""

    def __init__(self, config: EngineConfig):
        self.lanes = config.vector.lanes
        sizes = UnitSizes(config)
        super().__init__(
            {
                "command": In(COMMAND),
                "start": In(1),
                "valid": In(1),
                "data": In(WRITE_BEAT_BITS),
                **lane_write_port("x", sizes.residual, self.lanes),
                **lane_write_port("p", sizes.parameter, self.lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parts = self.lanes // VALUES_PER_BEAT
        part_bits = parts.bit_length() - 1
        index = Signal(Load.field("beats").width)
        word = Signal(Load.field("address").width)
        values = Signal(WRITE_BEAT_BITS)
        lanes = Signal(self.lanes)
        target = Signal(Load.field("space").width)
        part = index[:part_bits]
        m.d.sync += [
            word.eq(field(self.command, Load, "address") + (index >> part_bits)),
            values.eq(self.data),
            target.eq(field(self.command, Load, "space")),
            lanes.eq(Cat((self.valid & (part == i)).replicate(VALUES_PER_BEAT) for i in range(parts))),
        ]
        with m.If(self.start):
            m.d.sync += index.eq(0)
        with m.Elif(self.valid):
            m.d.sync += index.eq(index + 1)
        for space, enable, address, written in (
            (Space.RESIDUAL, self.x_enable, self.x_address, self.x_data),
            (Space.PARAMETER, self.p_enable, self.p_address, self.p_data),
        ):
            m.d.comb += [
                enable.eq(lanes & (target == space).replicate(self.lanes)),
                address.eq(word),
                written.eq(values.replicate(parts)),
            ]
        return m
