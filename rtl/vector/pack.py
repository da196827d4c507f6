"""The pack buffer: where the codes of a head lie in its cache words, and the entries that wait for the mover."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.copies import copies
from rtl.interfaces import PACK_ENTRY, PACK_WORDS, flags
from rtl.pipeline import OWN_COPY
from rtl.ram import Ram

__all__ = ["PACK_ENTRIES", "PackBuffer"]

PACK_ENTRIES = 8
_CODES_PER_PART = 32
_PLANES = 2
_PARTS = PACK_WORDS // _PLANES
_CODES = _CODES_PER_PART * _PARTS


class PackBuffer(wiring.Component):
    """Collects words of `lanes` codes, and keeps the entries they make.

    Members:
        valid, first, index, codes: a word of codes, whether it is the head's first, its number in the head; the codes come a
            cycle after what is said of them.
        spread: the number of parts of 32 codes that consecutive codes go to in turn (1, 2 or 4): 1 for keys, head
            dimension / 32 for values. Nibbles that no code of the head reached are zero.
        store, entry: the parts collected up to the cycle before become the words of an entry.
        wide: a cycle before `store`: codes have 8 bits: a word of low nibbles, then one of high nibbles for each part.
        finish, finished_entry, parameter: the parameter of an entry.
        pack_address, pack_data: the mover's read port: data come two cycles after their address.
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.index_bits = max(1, (_CODES // lanes - 1).bit_length())
        super().__init__(
            {
                **flags(In, "valid", "first", "store", "wide", "finish"),
                "index": In(self.index_bits),
                "codes": In(data.ArrayLayout(8, lanes)),
                "spread": In(3),
                "entry": In(range(PACK_ENTRIES)),
                "finished_entry": In(range(PACK_ENTRIES)),
                "parameter": In(32),
                "pack_address": In(range(PACK_ENTRIES)),
                "pack_data": Out(PACK_ENTRY),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parts = []
        for number in range(_PARTS):
            m.submodules[f"part_{number}"] = part = PackPart(self.lanes, number)
            m.d.comb += [getattr(part, name).eq(getattr(self, name)) for name in ("valid", "first", "index", "spread")]
            m.d.comb += [Value.cast(part.codes).eq(Value.cast(self.codes))]
            parts.append(part.kept)
        low, high = ([Cat(code.word_select(plane, 4) for code in part) for part in parts] for plane in range(_PLANES))
        wide = [word for pair in zip(low, high, strict=True) for word in pair]
        narrow = [*low, *(Const(0, len(low[0])) for _ in range(PACK_WORDS - _PARTS))]
        choices = copies(m, self.wide, PACK_WORDS, "wide")
        words = Cat(Mux(is_wide, one, other) for is_wide, one, other in zip(choices, wide, narrow, strict=True))
        # Words and parameter of an entry come at different times. Every half of the words is addressed by a register of its own.
        half = len(words) // 2
        written = (
            ("low", self.store, self.entry, words[:half]),
            ("high", self.store, self.entry, words[half:]),
            ("parameter", self.finish, self.finished_entry, self.parameter),
        )
        read = []
        addresses = copies(m, self.pack_address, len(written), "address")
        for (name, enable, entry, source), address in zip(written, addresses, strict=True):
            m.submodules[f"entry_{name}"] = ram = Ram(depth=PACK_ENTRIES, lanes=1, lane_bits=len(source))
            m.d.comb += [
                ram.write_enable.eq(enable),
                ram.write_address.eq(entry),
                ram.write_data.eq(source),
                ram.read_address.eq(address),
            ]
            read.append(ram.read_data)
        low, high, parameter = read
        m.d.comb += [Value.cast(self.pack_data.words).eq(Cat(low, high)), Value.cast(self.pack_data.parameter).eq(parameter)]
        return m


class PackPart(wiring.Component):
    """A part of 32 codes of the head that is collected, with registers of its own for what is said of a word."""

    def __init__(self, lanes: int, number: int):
        self.lanes, self.number = lanes, number
        super().__init__(
            {
                **flags(In, "valid", "first"),
                "index": In(max(1, (_CODES // lanes - 1).bit_length())),
                "spread": In(3),
                "codes": In(data.ArrayLayout(8, lanes)),
                "kept": Out(data.ArrayLayout(8, _CODES_PER_PART)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words = _CODES // self.lanes
        clears = Signal(attrs=OWN_COPY)
        m.d.sync += clears.eq(self.valid & self.first)
        codes = [Signal(8, name=f"code_{place}", reset_less=True) for place in range(_CODES_PER_PART)]
        for code in codes:
            with m.If(clears):
                m.d.sync += code.eq(0)
        for spread in (1, 2, 4):
            takes = Signal(words, name=f"takes_{spread}", attrs=OWN_COPY)
            for word in range(words):
                m.d.sync += takes[word].eq(self.valid & (self.index == word) & (self.spread == spread))
            for place, code in enumerate(codes):
                element = self._element(place, spread)
                if element < _CODES:
                    with m.If(takes[element // self.lanes]):
                        m.d.sync += code.eq(self.codes[element % self.lanes])
        m.d.comb += [kept.eq(code) for kept, code in zip(self.kept, codes, strict=True)]
        return m

    def _element(self, place: int, spread: int) -> int:
        """Return which code of the head lies in a place of the part; beyond the head for a part that it does not use."""
        if spread == 1:
            return self.number * _CODES_PER_PART + place
        return place * spread + self.number if self.number < spread else _CODES
