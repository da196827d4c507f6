"""The pack buffer: where the 4-bit codes of a head lie in its cache words, and the entries that wait for the mover."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import PACK_ENTRY, PACK_WORDS
from rtl.ram import Ram

__all__ = ["PACK_ENTRIES", "PackBuffer"]

PACK_ENTRIES = 8
_NIBBLES_PER_WORD = 32
_NIBBLES = _NIBBLES_PER_WORD * PACK_WORDS


class PackBuffer(wiring.Component):
    """Collects words of `lanes` codes and stores them as an entry when `store` is high.

    `index` is the word's number in the head. `spread` is the number of cache words that consecutive codes go to in turn
    (1, 2 or 4): 1 for keys, head dimension / 32 for values. Nibbles that no code reached since `clear` are zero.
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.index_bits = max(1, (_NIBBLES // lanes - 1).bit_length())
        super().__init__(
            {
                "clear": In(1),
                "valid": In(1),
                "index": In(self.index_bits),
                "codes": In(data.ArrayLayout(4, lanes)),
                "spread": In(3),
                "store": In(1),
                "entry": In(range(PACK_ENTRIES)),
                "parameter": In(32),
                "pack_address": In(range(PACK_ENTRIES)),
                "pack_data": Out(PACK_ENTRY),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.entries = entries = Ram(depth=PACK_ENTRIES, lanes=1, lane_bits=PACK_ENTRY.size)
        words = Signal(data.ArrayLayout(4, _NIBBLES), reset_less=True)
        held = Signal(PACK_ENTRY)
        selected = Signal(_NIBBLES // self.lanes)
        m.d.comb += [
            selected.eq(Mux(self.valid, 1 << self.index, 0)),
            held.words.as_value().eq(words),
            held.parameter.eq(self.parameter),
            entries.write_enable.eq(self.store),
            entries.write_address.eq(self.entry),
            entries.write_data.eq(held),
            entries.read_address.eq(self.pack_address),
            self.pack_data.eq(entries.read_data),
        ]
        for nibble in range(_NIBBLES):
            with m.If(self.clear):
                m.d.sync += words[nibble].eq(0)
            for spread in (1, 2, 4):
                element = self._element(nibble, spread)
                if element < _NIBBLES:
                    with m.If(selected[element // self.lanes] & (self.spread == spread)):
                        m.d.sync += words[nibble].eq(self.codes[element % self.lanes])
        return m

    @staticmethod
    def _element(nibble: int, spread: int) -> int:
        """Return which code of the head lies in a nibble of the entry; beyond the head for words it does not use."""
        word, place = divmod(nibble, _NIBBLES_PER_WORD)
        if spread == 1:
            return nibble
        return place * spread + word if word < spread else _NIBBLES
