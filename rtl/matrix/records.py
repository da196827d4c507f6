"""The records that pass through the matrix unit: a step of the array, a captured block, a drained word, packed activations."""

import functools
import operator
from collections.abc import Callable

from amaranth import Cat, Const
from amaranth.hdl import Value
from amaranth.lib import data

from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.isa import Dot
from hwsim.arch.stream_sizes import SIZES, StreamSizes
from rtl.interfaces import UnitSizes, address_bits

__all__ = [
    "BLOCK",
    "DEEP_FIELD_BITS",
    "DIGIT_BITS",
    "ENTRY",
    "FIELD_BITS",
    "STEP",
    "WORD_FLAGS",
    "coefficient_bits",
    "deep_halves",
    "drained_word",
    "input_bits",
    "is_any",
    "nibble_digit",
    "pair_digit",
    "pairs",
    "spread",
    "unpack",
    "upper_bits",
]

STEP = data.StructLayout(
    {
        "header": 1,  # the stream word is a header
        "scales": 1,  # the stream word is a scale word
        "compute": 1,  # the stream word, or its second half, is multiplied
        "null": 1,  # a step of zeros: an AXPY without beats
        "axpy": 1,
        "format": 3,  # W4 in an AXPY
        "half": 1,  # W2: the second half of the word; W8, KV8: the second word of the group
        "group": 3,  # pair of the scale word that belongs to this step
        "entry": 2,  # 32-bit entry of the header that belongs to this block
        "first": 1,  # first step of a block or AXPY
        "last": 1,  # its last step: capture
    }
)
"""The operation of a slice on a stream word."""


def is_any(format: Value, chosen: Callable[[StreamSizes], bool]) -> Value:
    """Return whether a stream format is one of those whose sizes are `chosen`."""
    return functools.reduce(operator.or_, (format == each for each, sizes in SIZES.items() if chosen(sizes)))


def _widths(*names: str) -> dict[str, int]:
    """Return the widths of fields that say the same of a block as of its DOT."""
    return {name: Dot.field(name).width for name in names}


BLOCK = data.StructLayout(
    {
        "axpy": 1,
        "writes": 1,  # not for a DOT of zero blocks
        "keys": 1,  # cached keys: value parameters go to the side memory
        "final": 1,  # last block of its instruction
        **_widths("rows", "scale", "destination", "address", "stride", "side"),
        "segments": 2,
        "wide": 1,  # an AXPY of 8-bit codes
        "position": 20,  # of the block's first value, in values
        "words": 10,  # that the rows of a block drain to, where it writes
    }
)
"""A captured block, as the drain needs it."""

WORD_FLAGS = data.StructLayout({"written": 1, "retire": 1})
"""The flags of a drained word that an abort must clear."""


def drained_word(config: EngineConfig) -> data.StructLayout:
    """Return the layout of what the drain says of a word."""
    return data.StructLayout(
        {
            "axpy": 1,
            "keys": 1,
            "row": Dot.field("rows").width,
            "segments": 2,
            "wide": 1,
            "group": address_bits(config.drain_words),
            "lane": address_bits(config.vector.lanes),
            "source": address_bits(LANES_PER_SLICE),
            "scale": UnitSizes(config).scales,
            **_widths("destination", "address", "side"),
        }
    )


ENTRY = data.StructLayout({"row_scale": 24, "parameter": 32})
"""What a slice has of the header of a captured block: the scale of its row, and of keys the parameter of the value."""

FIELD_BITS = 18
"""Distance of the two products in a packed product: a sum of 32 products of 8 by 5 bits fits below."""
DEEP_FIELD_BITS = 22
"""Distance of two accumulated products of one coefficient and two nibbles: as far as they can lie in 27 bits."""
DIGIT_BITS = 17
"""A pair of activations: the low row's 8 bits, then the high row's value less the borrow of the low one, 9 bits."""


def pairs(tokens: int) -> int:
    """Return how many pairs token rows make; the last may hold one row."""
    return (tokens + 1) // 2


def coefficient_bits(config: EngineConfig) -> int:
    """Return the bits of one AXPY coefficient of every row that multiplies nibbles: a digit for each pair of them."""
    return DIGIT_BITS * pairs(config.tile.nibble_rows)


def input_bits(config: EngineConfig) -> int:
    """Return the bits of one DOT input of every row: the digits of the rows that multiply nibbles, a byte for each other."""
    return coefficient_bits(config) + 8 * (config.tile.tokens - config.tile.nibble_rows)


def pair_digit(low: Value, high: Value | None) -> Value:
    """Return the digit of two 8-bit activations; without `high`, of one alone."""
    return Cat(low, ((high.as_signed() if high is not None else 0) - low[-1])[:9])


def spread(digit: Value) -> Value:
    """Return high * 2**FIELD_BITS + low as a signed number: the multiplier operand that makes two products at once."""
    return Cat(digit[:8], digit[7].replicate(FIELD_BITS - 8), digit[8:]).as_signed()


def unpack(total: Value) -> tuple[Value, Value]:
    """Return the signed (low, high) halves of a sum of packed products; the high one gets its borrow back."""
    return total[:FIELD_BITS].as_signed(), total[FIELD_BITS:].as_signed() + total[FIELD_BITS - 1]


def nibble_digit(low: Value, high: Value) -> Value:
    """Return the digit of two unsigned nibbles, whose products with one coefficient lie DEEP_FIELD_BITS apart."""
    return Cat(low[:4], Const(0, DEEP_FIELD_BITS - FIELD_BITS + 4), high[:4], Const(0, DIGIT_BITS))[:DIGIT_BITS]


def deep_halves(total: Value, upper: Value, bits: int) -> tuple[Value, Value]:
    """Return the (low, high) halves, signed in `bits` bits, of an accumulated sum of products of nibble digits.

    The low half may have run into the high one. `upper` holds the lowest bits of the high half, summed apart; their
    difference from the bits that are there is what ran over, a signed number.
    """
    over = (total[DEEP_FIELD_BITS:] - upper)[: len(upper)].as_signed()
    return Cat(total[:DEEP_FIELD_BITS], over)[:bits].as_signed(), (total[DEEP_FIELD_BITS:] - over)[:bits].as_signed()


def upper_bits(config: EngineConfig) -> int:
    """Return how many bits of the high half must be summed apart: as many as the low one can run over."""
    return max(1, config.lane_bits - DEEP_FIELD_BITS)
