"""The instruction set: one declared class per instruction; encoder, text, reference page and checks are derived.

Addresses count words of the memory they name: *segments* (64 activations of every token row) in the activation
memory; *words* (`vector.lanes` fixed values) in the result, residual and parameter memories; *beats* (one word of
every port) in streams; 16-byte units in the side memory. `docs/engine.md` says what each unit does, cycle by cycle.
"""

# No postponed annotations here: Instruction reads the classes' annotations as they are declared.
import enum
import functools
import hashlib
import json

from hwsim.arch.fields import CHECK_VALUE, HEADER, Instruction, Unit, bits, enumerated, operand, signed
from hwsim.arch.stream_sizes import CacheFormat, Format
from hwsim.errors import IsaError

__all__ = [
    "INSTRUCTIONS",
    "REGISTERS",
    "REGISTER_BITS",
    "REGISTER_POSITION",
    "REGISTER_SLOT",
    "SIDE_UNIT",
    "UNIT_INSTRUCTIONS",
    "Append",
    "Axpy",
    "CacheFormat",
    "CacheKind",
    "Destination",
    "Dot",
    "End",
    "Fetch",
    "Format",
    "Function",
    "KvQuant",
    "Load",
    "Loop",
    "Norm",
    "Quant",
    "Rope",
    "Scalar",
    "Softmax",
    "Space",
    "Store",
    "SwiGlu",
    "decode",
    "isa_digest",
]

REGISTERS = 16
"""Scalar registers; register 0 reads zero."""
REGISTER_BITS = 32
"""Bits of a scalar register."""
REGISTER_POSITION = 1
"""Holds the position of the first token of the run when a program starts."""
REGISTER_SLOT = 2
"""Holds the cache slot of the first token of the run when a program starts."""
SIDE_UNIT = 16
"""Bytes of a unit of the side memory."""


class Destination(enum.IntEnum):
    """Where matrix results go."""

    RESULT = 0
    """Result memory."""
    RESIDUAL = 1
    """Added to the residual memory, saturated."""
    BIASED = 2
    """Result memory, after a word of parameter memory (at `side`) was added, saturated."""


class CacheKind(enum.IntEnum):
    """Which half of the cache a vector belongs to."""

    KEY = 0
    VALUE = 1


class Space(enum.IntEnum):
    """Target memory of a load."""

    RESIDUAL = 0
    PARAMETER = 1


class Function(enum.IntEnum):
    """Scalar functions of a = R[register0] and b = R[register1] + immediate, modulo 2**32."""

    ADD = 0
    """a + b"""
    SUB = 1
    """a - b"""
    MIN = 2
    """The smaller of a and b, signed."""
    MAX = 3
    """The larger of a and b, signed."""
    MUL = 4
    """Low 32 bits of a * b."""
    SHR = 5
    """a >> (b modulo 32), zeros shifted in."""
    WRAP = 6
    """b when a equals `limit`, else a."""


class Fetch(Instruction, opcode=1, unit=Unit.FETCH):
    """Stream `beats` words from every port, starting `offset` beats into each port's memory, in order."""

    offset: int = operand(32, 0, doc="First beat, in port words from the port's base.")
    beats: int = operand(24, 1, doc="Words to read from each port; zero reads nothing.")


class Dot(Instruction, opcode=2, unit=Unit.MATRIX):
    """Multiply streamed rows with activation rows: `blocks` row blocks, one row per slice, scaled and drained."""

    format: Format = enumerated(Format, 3, doc="How stream words are read.")
    rows: int = bits(3, doc="Activation rows used, 1 to tile.tokens; of W4, W8, KV4 and KV8 at most tile.nibble_tokens.")
    source: int = bits(11, doc="First activation segment.")
    inner: int = bits(10, doc="Inputs of a row, in units of 32.")
    blocks: int = operand(14, 0, doc="Row blocks; zero computes nothing.")
    scale: int = bits(6, doc="Scale entry of activation row 0; row r uses entry scale + r.")
    destination: Destination = enumerated(Destination, 2, doc="Where results go.", default=Destination.RESULT)
    address: int = bits(14, doc="Word of the first result of activation row 0.")
    stride: int = bits(12, doc="Words between activation rows at the destination.", default=0)
    side: int = bits(12, doc="KV4, KV8: word where value parameters go; BIASED: word of the bias.", default=0)


class Axpy(Instruction, opcode=3, unit=Unit.MATRIX):
    """Sum streamed value vectors, each weighted by its token's coefficient, and drain the sums of every row."""

    rows: int = bits(3, doc="Coefficient rows used, 1 to tile.tokens and at most tile.nibble_tokens.")
    source: int = bits(11, doc="Segment of the first coefficients.")
    beats: int = operand(14, 0, doc="Beats to consume; zero gives zero sums.")
    segments: int = bits(2, doc="Base-2 logarithm of the slices that hold one token: words of a head.")
    scale: int = bits(6, doc="Scale entry of row 0, with its zero-point sum.")
    address: int = bits(14, doc="Result word of row 0.")
    stride: int = bits(12, doc="Words between rows at the destination.")
    cache: CacheFormat = enumerated(CacheFormat, 1, doc="How wide the values' codes are.", default=CacheFormat.KV4)


class Norm(Instruction, opcode=4, unit=Unit.VECTOR):
    """Root-mean-square normalize residual rows and quantize them: activation row r gets residual row r."""

    rows: int = bits(3, doc="Rows.")
    source: int = bits(14, doc="Residual word of row 0.")
    stride: int = bits(12, doc="Words between rows.")
    length: int = bits(11, doc="Words in a row.")
    destination: int = bits(11, doc="First activation segment.")
    scale: int = bits(6, doc="Scale entry of row 0.")
    parameter: int = bits(12, doc="Word of the gains; after them a word of constants: lane 0 epsilon, lane 1 the scale 1/n.")
    shift: int = bits(5, doc="Fraction bits of the gains.")


class Quant(Instruction, opcode=5, unit=Unit.VECTOR):
    """Quantize result rows to activation rows."""

    rows: int = bits(3, doc="Rows.")
    source: int = bits(14, doc="Result word of row 0.")
    stride: int = bits(12, doc="Words between rows.")
    length: int = bits(11, doc="Words in a row.")
    destination: int = bits(11, doc="First activation segment.")
    scale: int = bits(6, doc="Scale entry of row 0.")


class SwiGlu(Instruction, opcode=6, unit=Unit.VECTOR):
    """Multiply silu(gate) with up and quantize: activation row r gets row r."""

    rows: int = bits(3, doc="Rows.")
    source: int = bits(14, doc="Result word of gate row 0.")
    up: int = bits(14, doc="Result word of up row 0.")
    stride: int = bits(12, doc="Words between rows, of gate and of up.")
    length: int = bits(11, doc="Words in a row.")
    destination: int = bits(11, doc="First activation segment.")
    scale: int = bits(6, doc="Scale entry of row 0.")


class Rope(Instruction, opcode=7, unit=Unit.VECTOR):
    """Rotate query heads and quantize each: activation row r gets head r; the score constant joins its scale."""

    rows: int = bits(3, doc="Heads.")
    source: int = bits(14, doc="Result word of head 0.")
    stride: int = bits(12, doc="Words between heads.")
    length: int = bits(11, doc="Words in a head; both halves hold whole words.")
    destination: int = bits(11, doc="First activation segment.")
    scale: int = bits(6, doc="Scale entry of head 0.")
    parameter: int = bits(12, doc="Word of the rotation: cosine in the low half of each lane, signed sine in the high half.")
    mantissa: int = bits(16, doc="Mantissa of log2(e) / sqrt(head dimension).")
    exponent: int = signed(8, doc="Exponent of the same.")


class Softmax(Instruction, opcode=8, unit=Unit.VECTOR):
    """Turn score rows into 7-bit coefficients that carry the value scales; set output scale and zero-point sum."""

    rows: int = bits(3, doc="Score rows.")
    source: int = bits(14, doc="Result word of score row 0: the sink region, then the ring region.")
    stride: int = bits(12, doc="Words between score rows.")
    destination: int = bits(11, doc="Segment of the first coefficients.")
    scale: int = bits(6, doc="Scale entry of row 0.")
    side: int = bits(12, doc="Word of the value parameters, same layout as a score row.")
    sink_words: int = bits(8, doc="Words of the sink region.")
    sinks: int = operand(8, 0, doc="Valid scores of the sink region.")
    ring_words: int = operand(11, 1, doc="Words of the ring region.")
    ring: int = operand(8, 2, doc="Valid scores of the ring region.")


class KvQuant(Instruction, opcode=9, unit=Unit.VECTOR):
    """Quantize one key or value head to 4 or 8 bits, keys rotated first, into an entry of the pack buffer."""

    kind: CacheKind = enumerated(CacheKind, 1, doc="Keys are rotated, values are not.")
    source: int = bits(14, doc="Result word of the head.")
    length: int = bits(11, doc="Words in the head.")
    parameter: int = bits(12, doc="Word of the rotation.", default=0)
    entry: int = bits(3, doc="Pack buffer entry.")
    cache: CacheFormat = enumerated(CacheFormat, 1, doc="How wide the codes are.", default=CacheFormat.KV4)


class Append(Instruction, opcode=10, unit=Unit.MOVER):
    """Write a pack buffer entry to the cache at `slot`, through the side port."""

    kind: CacheKind = enumerated(CacheKind, 1, doc="Which of the two layouts.")
    entry: int = bits(3, doc="Pack buffer entry.")
    segments: int = bits(2, doc="Base-2 logarithm of the words of a head: head dimension / 32, of KV8 / 16.")
    offset: int = operand(32, 0, doc="First beat of the head's key region (KEY) or value region (VALUE).")
    keys: int = operand(32, 2, doc="First beat of the head's key region; its headers take both parameters.")
    slot: int = operand(16, 1, doc="Cache slot.")


class Load(Instruction, opcode=11, unit=Unit.MOVER):
    """Copy 16-byte beats of the side memory to the residual or the parameter memory."""

    space: Space = enumerated(Space, 1, doc="Target memory.")
    address: int = bits(14, doc="First target word.")
    beats: int = bits(12, doc="16-byte beats, at least 1.")
    offset: int = operand(
        32, 0, doc="First 16-byte unit of the side memory; a multiple of 64, or all beats lie between two of them."
    )


class Store(Instruction, opcode=12, unit=Unit.MOVER):
    """Copy result words to the side memory."""

    address: int = bits(14, doc="First result word.")
    beats: int = bits(12, doc="16-byte beats, at least 1.")
    offset: int = operand(32, 0, doc="First 16-byte unit of the side memory.")


class Scalar(Instruction, opcode=16, unit=None):
    """Set a register to a function of two others."""

    function: Function = enumerated(Function, 4, doc="What to compute.")
    target: int = bits(4, doc="Register to set; register 0 stays zero.")
    immediate: int = signed(32, doc="Added to register1.", default=0)
    limit: int = bits(32, doc="Compared by WRAP.", default=0)


class Loop(Instruction, opcode=17, unit=None):
    """Execute the next `length` instructions `count` times; loops nest four deep and must not end together."""

    count: int = bits(16, doc="Times, at least 1.")
    length: int = bits(12, doc="Instructions in the body, at least 1.")


class End(Instruction, opcode=18, unit=None):
    """Wait until every queue is empty and every unit idle, then stop."""


INSTRUCTIONS: tuple[type[Instruction], ...] = (
    Fetch,
    Dot,
    Axpy,
    Norm,
    Quant,
    SwiGlu,
    Rope,
    Softmax,
    KvQuant,
    Append,
    Load,
    Store,
    Scalar,
    Loop,
    End,
)

UNIT_INSTRUCTIONS = tuple(kind for kind in INSTRUCTIONS if kind.unit is not None)
"""Those that control dispatches to a unit, which takes time and energy for them."""

_BY_OPCODE = {kind.opcode: kind for kind in INSTRUCTIONS}


def decode(word: int) -> Instruction:
    """Return the instruction in a 128-bit word; raise IsaError for a bad check byte, opcode, value or stray bit."""
    if not Instruction.check(word):
        raise IsaError(f"Instruction word must have check byte {CHECK_VALUE:#x}; word {word:#034x} does not")
    opcode = word & 0x1F
    if opcode not in _BY_OPCODE:
        raise IsaError(f"Opcode must be one of {sorted(_BY_OPCODE)}, not {opcode}")
    return _BY_OPCODE[opcode].decode_body(word)


@functools.cache
def isa_digest() -> str:
    """Return the hexadecimal SHA-256 of every word layout: the header, and name, opcode and fields of each class."""
    layouts = [
        {
            "name": kind.__name__,
            "opcode": kind.opcode,
            "fields": [
                [field.name, field.offset, field.width, field.signed, field.register, _members(field.kind)] for field in kind.layout
            ],
        }
        for kind in INSTRUCTIONS
    ]
    text = json.dumps({"header": {name: list(place) for name, place in HEADER.items()}, "instructions": layouts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _members(kind: type[enum.IntEnum] | None) -> list[list[object]] | None:
    """Return the names and values of an enumeration, or None for an integer."""
    return None if kind is None else [[member.name, int(member)] for member in kind]
