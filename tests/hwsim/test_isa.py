"""The instruction set: words decode to what was encoded, text parses to what was printed, refusals say why."""

import dataclasses
import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.arch.assembly import MNEMONICS, format_instruction, format_program, parse_instruction, parse_program
from hwsim.arch.fields import CHECK_VALUE, HEADER, WORD_BITS, Instruction, Unit, bits
from hwsim.arch.isa import INSTRUCTIONS, Append, CacheKind, Dot, End, Fetch, Format, Function, Loop, Scalar, decode
from hwsim.errors import IsaError
from tests.strategies import instructions, programs


def dot(**changes: object) -> Dot:
    plain = Dot(format=Format.W4, rows=1, source=0, inner=18, blocks=4, scale=0, address=0)
    return dataclasses.replace(plain, **changes)


def with_check(word: int) -> int:
    """Return the word with the check byte that makes it valid."""
    body = word & ((1 << HEADER["check"][0]) - 1)
    value = CHECK_VALUE
    for byte in body.to_bytes(WORD_BITS // 8, "little"):
        value ^= byte
    return body | value << HEADER["check"][0]


@given(instructions())
def test_decode_returns_what_was_encoded(instruction: Instruction) -> None:
    word = instruction.encode()
    assert 0 <= word < 1 << WORD_BITS
    assert decode(word) == instruction
    assert type(decode(word)) is type(instruction)


@given(instructions(), st.integers(0, WORD_BITS - 1))
def test_every_flipped_bit_is_refused(instruction: Instruction, bit: int) -> None:
    with pytest.raises(IsaError, match="must have check byte 0xa5"):
        decode(instruction.encode() ^ (1 << bit))


@given(instructions())
def test_a_line_parses_to_what_was_printed(instruction: Instruction) -> None:
    line = format_instruction(instruction)
    assert parse_instruction(line) == instruction
    assert "\n" not in line


@given(programs())
def test_a_program_parses_to_what_was_printed(program: list[Instruction]) -> None:
    comments = [f"layer {index}" for index in range(len(program))]
    assert parse_program(format_program(program)) == tuple(program)
    assert parse_program(format_program(program, comments)) == tuple(program)


@pytest.mark.parametrize("kind", INSTRUCTIONS, ids=lambda kind: kind.__name__)
def test_fields_do_not_overlap(kind: type[Instruction]) -> None:
    taken = 0
    spans = list(HEADER.values()) + [(field.offset, field.width) for field in kind.layout]
    for offset, width in spans:
        mask = ((1 << width) - 1) << offset
        assert not taken & mask
        assert mask < 1 << WORD_BITS
        taken |= mask


@pytest.mark.parametrize("kind", INSTRUCTIONS, ids=lambda kind: kind.__name__)
def test_declarations_are_complete(kind: type[Instruction]) -> None:
    assert kind.__doc__
    assert kind.opcode < 1 << HEADER["opcode"][1]
    for field in kind.layout:
        assert field.doc.endswith(".")
        if field.kind is not None:
            assert issubclass(field.kind, enum.IntEnum)
            assert max(field.kind) < 1 << field.width


def test_opcodes_and_mnemonics_are_distinct() -> None:
    assert len({kind.opcode for kind in INSTRUCTIONS}) == len(INSTRUCTIONS)
    assert len(MNEMONICS) == len(INSTRUCTIONS)


def test_line_in_full() -> None:
    instruction = dot(blocks=18, registers=(3, 0, 0), wait=1 << Unit.VECTOR, signal=1 << Unit.VECTOR | 1 << Unit.MOVER)
    assert format_instruction(instruction) == (
        "dot format=w4 rows=1 source=0 inner=18 blocks=r3+18 scale=0 address=0 wait=vector signal=vector,mover"
    )
    loop = [Loop(count=30, length=1), Scalar(function=Function.ADD, target=3, registers=(1, 0, 0)), End()]
    assert format_program(loop, ["", "next layer"]) == (
        "loop count=30 length=1\n  scalar function=add target=3 register0=r1  # next layer\nend\n"
    )
    assert format_instruction(Fetch(offset=0, beats=0, registers=(0, 5, 0))) == "fetch beats=r5"
    append = Append(kind=CacheKind.VALUE, entry=1, segments=1, offset=8, keys=0, slot=0, registers=(4, 2, 4))
    assert format_instruction(append) == "append kind=value entry=1 segments=1 offset=r4+8 keys=r4 slot=r2"


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        (dot(rows=8), "Field Dot.rows must be 0 to 7 (3 bits), not 8"),
        (dot(blocks=-1), "Field Dot.blocks must be 0 to 16383 (14 bits), not -1"),
        (dot(registers=(16, 0, 0)), "Field Dot.register0 must be 0 to 15 (4 bits), not 16"),
        (dot(wait=16), "Field Dot.wait must be 0 to 15 (4 bits), not 16"),
        (
            Scalar(function=Function.ADD, target=1, immediate=1 << 31),
            "Field Scalar.immediate must be -2147483648 to 2147483647 (32 bits), not 2147483648",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused(instruction: Instruction, text: str) -> None:
    with pytest.raises(IsaError) as refusal:
        instruction.encode()
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0, "Instruction word must have check byte 0xa5; word 0x00000000000000000000000000000000 does not"),
        (with_check(31), f"Opcode must be one of {sorted(kind.opcode for kind in INSTRUCTIONS)}, not 31"),
        (with_check(dot().encode() | 7 << Dot.field("format").offset), "Field Dot.format must be a Format, not 7"),
        (with_check(End().encode() | 1 << 60), "Unused bits of End must be zero, not 0x1000000000000000"),
    ],
)
def test_malformed_words_are_refused(word: int, text: str) -> None:
    with pytest.raises(IsaError) as refusal:
        decode(word)
    assert str(refusal.value) == text


LOOP = "count, length, register0, register1, register2, signal, wait"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("dto rows=1", f"Instruction must be one of {', '.join(sorted(MNEMONICS))} (nearest: dot), not 'dto'"),
        ("loop count=1 lenght=2", f"Setting of loop must be one of {LOOP} (nearest: length), followed by '=', not 'lenght=2'"),
        ("loop count", f"Setting of loop must be one of {LOOP} (nearest: count), followed by '=', not 'count'"),
        ("loop count=1 count=2", "Setting loop count must appear once, not twice"),
        ("scalar register0=r1 register0=r2", "Setting scalar register0 must appear once, not twice"),
        ("loop count=1", "Instruction loop must have the field 'length'"),
        ("loop count=r1 length=2", "Field loop count must be a number, not 'r1'"),
        ("loop count=many length=2", "Field loop count must be a number, not 'many'"),
        ("fetch beats=r3*2", "Field fetch beats must be a number, r1 or r1+8, not 'r3*2'"),
        ("fetch beats=r16", "Field fetch beats must use a register up to r15, not r16"),
        ("scalar function=add target=1 register0=3", "Field scalar register0 must be a register such as r1, not '3'"),
        ("load space=disk", "Field load space must be one of residual, parameter, not 'disk'"),
        ("end wait=host", "Field end wait must be one of fetch, matrix, vector, mover, not 'host'"),
        ("loop count=1 length=5000", "Field Loop.length must be 0 to 4095 (12 bits), not 5000"),
    ],
)
def test_malformed_lines_are_refused(line: str, text: str) -> None:
    with pytest.raises(IsaError) as refusal:
        parse_instruction(line)
    assert str(refusal.value) == text


def test_program_text_names_the_line() -> None:
    with pytest.raises(IsaError) as refusal:
        parse_program("# a comment\n\nend\nfetch beats=x\n")
    assert str(refusal.value) == "Line 4: Field fetch beats must be a number, r1 or r1+8, not 'x'"


def test_a_class_too_wide_for_the_word_is_refused() -> None:
    with pytest.raises(IsaError) as refusal:

        class Wide(Instruction, opcode=30, unit=None):
            first: int = bits(64, doc="Half.")
            second: int = bits(32, doc="Too much.")

    assert str(refusal.value) == "Instruction Wide must fit 95 body bits, not 96"
