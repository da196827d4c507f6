"""The formats of streams, and the one table of their sizes: words, bits and cycles of bodies, scales and headers.

A stream consists of *words* of 128 bits. It holds rows in *row blocks*, one row a slice. The words of a row are its
*body*: data words with the codes of its inputs and, in some formats, a scale word before each run of groups. A header
word with the rows' own scales lies before every `header_blocks` row blocks. What packs, streams, times or decodes a
format takes these numbers from here; how a code lies inside its word is written where it is read.
"""

import dataclasses
import enum

from hwsim.arch.complete import require_rows
from hwsim.arch.counts import Count

__all__ = ["KEY_HEADER_BLOCKS", "SIZES", "WEIGHT_HEADER_BLOCKS", "WORD_BITS", "CacheFormat", "Format", "StreamSizes"]

WORD_BITS = 128
"""Bits of a stream word."""
WEIGHT_HEADER_BLOCKS = 4
"""Row blocks of weights that one header word serves: an entry of 32 bits for each row."""
KEY_HEADER_BLOCKS = 2
"""Row blocks of keys that one header word serves: entries of 32 bits for each key and for the value of the same token."""
_ENTRY_BITS = 32
_SCALE_BITS = 16


class Format(enum.IntEnum):
    """How the words of a stream are read (hwsim.arch.formats)."""

    W4 = 0
    W8 = 1
    W2 = 2
    W2S = 3
    KV4 = 4
    KV8 = 5

    @property
    def sizes(self) -> "StreamSizes":
        """Words, bits and cycles of the format."""
        return SIZES[self]

    @property
    def cache(self) -> "CacheFormat | None":
        """The format of cached keys that the words hold, or None for weights."""
        return SIZES[self].cache

    @property
    def has_two_bit_codes(self) -> bool:
        """Whether a code has 2 bits, whose products every token row has a multiplier for."""
        return SIZES[self].code_bits == 2


class CacheFormat(enum.IntEnum):
    """How wide the codes of keys and values are: every nibble of 32 codes lies in a word of its own, the lowest first."""

    KV4 = 0
    KV8 = 1

    @property
    def keys(self) -> Format:
        """How a stream of keys is read."""
        return _KEYS[self]

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.keys.sizes.code_bits

    @property
    def planes(self) -> int:
        """Nibbles of a code, lowest first: as many words hold 32 codes."""
        return self.keys.sizes.group_words

    def words(self, head_dim: Count) -> Count:
        """Return the words of a head."""
        return self.keys.sizes.body_words(head_dim)

    def bits_per_value(self, head_dim: int) -> float:
        """Return the stored bits of a cached value of heads of `head_dim` elements, its share of the headers included."""
        return self.bits + _ENTRY_BITS / head_dim


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamSizes:
    """The sizes of one format; methods take numbers or arrays of them.

    Attributes:
        code_bits: bits of a stored code; where a pattern prunes inputs, of one that is kept.
        group: inputs that lie in one group of data words; inputs of a row are a multiple of it.
        group_words: data words of a group.
        run_groups: groups that one scale word before their data words serves, or 0 for a format without scale words.
        word_cycles: cycles in which the matrix unit multiplies a data word.
        cache: format of the cache whose keys the stream holds, or None for weights.
    """

    code_bits: int
    group: int
    group_words: int
    run_groups: int
    word_cycles: int = 1
    cache: CacheFormat | None = None

    @property
    def header_blocks(self) -> int:
        """Row blocks that one header word serves."""
        return WEIGHT_HEADER_BLOCKS if self.cache is None else KEY_HEADER_BLOCKS

    @property
    def run_words(self) -> int:
        """Words of a full run of groups, its scale word included; 0 for a format without scale words."""
        return self.run_groups and 1 + self.run_groups * self.group_words

    @property
    def inputs_per_cycle(self) -> int:
        """Inputs of a row that a slice multiplies in a cycle, pruned ones included."""
        return self.group // (self.group_words * self.word_cycles)

    @property
    def bits_per_weight(self) -> float:
        """Stored bits of an input of a long row, scales included and headers not."""
        return (self.group_words * WORD_BITS + (_SCALE_BITS if self.run_groups else 0)) / self.group

    def body_words(self, inputs: Count) -> Count:
        """Return the words of a row of `inputs` inputs without its share of a header."""
        groups = inputs // self.group
        words = groups * self.group_words
        return words + -(-groups // self.run_groups) if self.run_groups else words

    def stream_words(self, blocks: Count, inputs: Count) -> Count:
        """Return the words of one slice's stream of `blocks` row blocks, headers included."""
        return -(-blocks // self.header_blocks) + blocks * self.body_words(inputs)

    def data_cycles(self, inputs: Count) -> Count:
        """Return the cycles in which a row's data words are multiplied."""
        return inputs // self.group * self.group_words * self.word_cycles


SIZES: dict[Format, StreamSizes] = {
    Format.W4: StreamSizes(code_bits=4, group=32, group_words=1, run_groups=8),
    Format.W8: StreamSizes(code_bits=8, group=32, group_words=2, run_groups=8),
    # A word holds 64 inputs for 32 lanes: it is multiplied in two halves.
    Format.W2: StreamSizes(code_bits=2, group=64, group_words=1, run_groups=8, word_cycles=2),
    # Two of four inputs are kept, so that a word of 64 takes one cycle; scale and zero lie in the word itself.
    Format.W2S: StreamSizes(code_bits=2, group=64, group_words=1, run_groups=0),
    Format.KV4: StreamSizes(code_bits=4, group=32, group_words=1, run_groups=0, cache=CacheFormat.KV4),
    Format.KV8: StreamSizes(code_bits=8, group=32, group_words=2, run_groups=0, cache=CacheFormat.KV8),
}
"""The sizes of every format."""

require_rows(SIZES, Format, what="sizes", module=__name__)
_KEYS = {sizes.cache: format for format, sizes in SIZES.items() if sizes.cache is not None}
require_rows(_KEYS, CacheFormat, what="a format of its keys, with sizes", module=__name__)
