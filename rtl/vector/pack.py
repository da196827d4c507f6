"""The pack buffer: where the 4-bit codes of a head lie in its cache words, and the entries that wait for the mover."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import PACK_ENTRY, PACK_WORDS
from rtl.ram import Ram

__all__ = ["PACK_ENTRIES", "PackBuffer"]

PACK_ENTRIES = 8
_NIBBLES_PER_WORD = 32
_NIBBLES = _NIBBLES_PER_WORD * PACK_WORDS


class PackBuffer(wiring.Component):
    """Collects words of `lanes` codes, and keeps the entries they make.

    Members:
        valid, first, index, codes: a word of codes, whether it is the head's first, its number in the head.
        spread: the number of cache words that consecutive codes go to in turn (1, 2 or 4): 1 for keys, head dimension /
            32 for values. Nibbles that no code of the head reached are zero.
        store, entry: the words collected up to the cycle before become those of an entry.
        finish, finished_entry, parameter: the parameter of an entry.
        pack_address, pack_data: the mover's read port.
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.index_bits = max(1, (_NIBBLES // lanes - 1).bit_length())
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "index": In(self.index_bits),
                "codes": In(data.ArrayLayout(4, lanes)),
                "spread": In(3),
                "store": In(1),
                "entry": In(range(PACK_ENTRIES)),
                "finish": In(1),
                "finished_entry": In(range(PACK_ENTRIES)),
                "parameter": In(32),
                "pack_address": In(range(PACK_ENTRIES)),
                "pack_data": Out(PACK_ENTRY),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words = Signal(data.ArrayLayout(4, _NIBBLES), reset_less=True)
        selected = Signal(_NIBBLES // self.lanes)
        m.d.comb += selected.eq(1 << self.index)
        for nibble in range(_NIBBLES):
            with m.If(self.valid & self.first):
                m.d.sync += words[nibble].eq(0)
            for spread in (1, 2, 4):
                element = self._element(nibble, spread)
                if element < _NIBBLES:
                    with m.If(self.valid & selected[element // self.lanes] & (self.spread == spread)):
                        m.d.sync += words[nibble].eq(self.codes[element % self.lanes])
        # Words and parameter of an entry come at different times.
        for name, enable, entry, source in (
            ("words", self.store, self.entry, words.as_value()),
            ("parameter", self.finish, self.finished_entry, self.parameter),
        ):
            m.submodules[f"entry_{name}"] = ram = Ram(depth=PACK_ENTRIES, lanes=1, lane_bits=len(source))
            m.d.comb += [
                ram.write_enable.eq(enable),
                ram.write_address.eq(entry),
                ram.write_data.eq(source),
                ram.read_address.eq(self.pack_address),
                getattr(self.pack_data, name).as_value().eq(ram.read_data)
                if name == "words"
                else self.pack_data.parameter.eq(ram.read_data),
            ]
        return m

    @staticmethod
    def _element(nibble: int, spread: int) -> int:
        """Return which code of the head lies in a nibble of the entry; beyond the head for words it does not use."""
        word, place = divmod(nibble, _NIBBLES_PER_WORD)
        if spread == 1:
            return nibble
        return place * spread + word if word < spread else _NIBBLES
