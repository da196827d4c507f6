"""The largest value of every field that an engine takes: what just fits is taken, one more is refused, in a sentence."""

import dataclasses
import re

import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import (
    Append,
    Axpy,
    CacheFormat,
    CacheKind,
    Destination,
    Dot,
    End,
    Fetch,
    Format,
    KvQuant,
    Load,
    Norm,
    Quant,
    Rope,
    Softmax,
    Space,
    Store,
    SwiGlu,
)
from hwsim.errors import ProgramError
from hwsim.machine.rules import check
from hwsim.machine.trace import run_control

ENGINE = load_engine("tiny").with_values(
    {
        "tile.ports": 2,
        "tile.port_bits": 512,
        "tile.tokens": 4,
        "tile.nibble_tokens": 2,
        "vector.lanes": 8,
        "channel_bytes": 1 << 16,
        "buffer.residual_words": 256,
    }
)
"""Eight slices, eight lanes, 1024 beats a port; every memory has a size of its own."""
SIDE_UNITS = 500

DOT = Dot(format=Format.W4, rows=2, source=0, inner=10, blocks=3, scale=0, address=0, stride=9)
AXPY = Axpy(rows=2, source=0, beats=100, segments=1, scale=0, address=0, stride=20)
NORM = Norm(rows=4, source=0, stride=20, length=12, destination=0, scale=0, parameter=0, shift=0)
QUANT = Quant(rows=4, source=0, stride=20, length=12, destination=0, scale=0)
SWIGLU = SwiGlu(rows=4, source=0, up=0, stride=20, length=12, destination=0, scale=0)
ROPE = Rope(rows=4, source=0, stride=20, length=12, destination=0, scale=0, parameter=0, mantissa=0, exponent=0)
SOFTMAX = Softmax(rows=4, source=0, stride=20, destination=0, scale=0, side=0, sink_words=2, sinks=0, ring_words=10, ring=0)
KEY = KvQuant(kind=CacheKind.KEY, source=0, length=4, entry=0)
VALUE = KvQuant(kind=CacheKind.VALUE, source=0, length=16, entry=0)
APPEND_KEY = Append(kind=CacheKind.KEY, entry=0, segments=1, offset=0, keys=0, slot=0)
APPEND_VALUE = Append(kind=CacheKind.VALUE, entry=0, segments=1, offset=0, keys=0, slot=0)
LOAD = Load(space=Space.RESIDUAL, address=0, beats=70, offset=64)
STORE = Store(address=0, beats=7, offset=0)

with_ = dataclasses.replace

LARGEST: list[tuple[Instruction, str, int]] = [
    (Fetch(offset=0, beats=24), "offset", 1024 - 24),
    (Fetch(offset=1000, beats=0), "beats", 24),
    # Three row blocks of eight rows each are three words of eight lanes; the second row starts 9 words on.
    (DOT, "address", 512 - 12),
    (with_(DOT, stride=3), "address", 512 - 6),
    (with_(DOT, address=500), "stride", 9),
    (DOT, "blocks", 9),
    (with_(DOT, address=508, rows=1), "blocks", 4),
    (with_(DOT, destination=Destination.RESIDUAL), "address", 256 - 12),
    (with_(DOT, destination=Destination.BIASED), "address", 512 - 12),
    (with_(DOT, destination=Destination.BIASED), "side", 128 - 3),
    (with_(DOT, format=Format.KV4), "side", 64 - 3),
    (with_(DOT, format=Format.KV8), "side", 64 - 3),
    (DOT, "side", 4095),
    # 320 inputs are five segments.
    (DOT, "source", 32 - 5),
    (with_(DOT, source=27), "inner", 10),
    (with_(DOT, source=0), "inner", 64),
    (DOT, "scale", 32 - 2),
    (DOT, "rows", 2),
    (with_(DOT, format=Format.KV8), "rows", 2),
    (with_(DOT, format=Format.W2), "rows", 4),
    (with_(DOT, format=Format.W2S), "rows", 4),
    (with_(DOT, blocks=0), "rows", 4),
    (with_(DOT, blocks=0), "address", (1 << 14) - 1),
    # 64 elements of two slices each are eight words; 100 beats hold 400 tokens, which are seven segments.
    (AXPY, "address", 512 - 28),
    (with_(AXPY, stride=8), "address", 512 - 16),
    (with_(AXPY, cache=CacheFormat.KV8), "address", 512 - 24),
    (AXPY, "source", 32 - 7),
    (AXPY, "beats", 512),
    (with_(AXPY, segments=0, stride=4), "beats", 256),
    (AXPY, "scale", 32 - 2),
    (AXPY, "rows", 2),
    (with_(AXPY, stride=64), "segments", 3),
    # Four rows of 12 words, 20 apart; 96 codes are two segments.
    (NORM, "source", 256 - 72),
    (QUANT, "source", 512 - 72),
    (SWIGLU, "source", 512 - 72),
    (SWIGLU, "up", 512 - 72),
    (ROPE, "source", 512 - 72),
    (QUANT, "stride", (512 - 12) // 3),
    *((each, "destination", 32 - 2) for each in (NORM, QUANT, SWIGLU, ROPE, SOFTMAX)),
    *((each, "scale", 32 - 4) for each in (NORM, QUANT, SWIGLU, ROPE, SOFTMAX)),
    *((each, "rows", 4) for each in (NORM, QUANT, SWIGLU, ROPE, SOFTMAX)),
    (with_(QUANT, rows=1), "length", 256),
    # The constants lie behind the gains.
    (NORM, "parameter", 128 - 13),
    (ROPE, "parameter", 128 - 12),
    (SOFTMAX, "source", 512 - 72),
    (SOFTMAX, "side", 64 - 12),
    (SOFTMAX, "ring_words", 62),
    (KEY, "source", 512 - 4),
    (KEY, "parameter", 128 - 4),
    (VALUE, "source", 512 - 16),
    (VALUE, "parameter", 4095),
    # A group of two key blocks is a header and 16 slots; a block of 2-word heads takes two beats.
    (APPEND_KEY, "offset", 1024 - 3),
    (with_(APPEND_KEY, slot=8), "offset", 1024 - 5),
    (with_(APPEND_KEY, slot=15), "offset", 1024 - 5),
    (with_(APPEND_KEY, slot=16), "offset", 1024 - 8),
    (with_(APPEND_KEY, slot=7), "keys", 1024 - 1),
    (with_(APPEND_KEY, slot=16), "keys", 1024 - 6),
    # A beat holds four values of two words each.
    (APPEND_VALUE, "offset", 1024 - 1),
    (with_(APPEND_VALUE, slot=3), "offset", 1024 - 1),
    (with_(APPEND_VALUE, slot=4), "offset", 1024 - 2),
    (with_(APPEND_VALUE, slot=16), "keys", 1024 - 6),
    (APPEND_VALUE, "segments", 3),
    # 70 beats of four values are 35 words.
    (LOAD, "address", 256 - 35),
    (with_(LOAD, beats=69), "address", 256 - 35),
    (with_(LOAD, space=Space.PARAMETER), "address", 128 - 35),
    (with_(LOAD, space=Space.PARAMETER), "beats", 256),
    (with_(LOAD, offset=448), "beats", 52),
    (with_(LOAD, offset=60, beats=1), "beats", 4),
    (STORE, "address", 512 - 4),
    (STORE, "offset", SIDE_UNITS - 7),
]


def is_taken(word: Instruction, config: EngineConfig = ENGINE, side_units: int | None = SIDE_UNITS) -> bool:
    try:
        check(run_control([word.encode(), End().encode()]), config, side_bytes=None if side_units is None else 16 * side_units)
    except ProgramError as error:
        assert str(error).startswith(f"Instruction 0 ({type(word).__name__}, pc 0) must ")
        return False
    return True


@pytest.mark.parametrize(
    "word, field, largest", LARGEST, ids=lambda each: type(each).__name__ if isinstance(each, Instruction) else None
)
def test_what_just_fits_is_taken_and_one_more_is_not(word: Instruction, field: str, largest: int) -> None:
    assert is_taken(with_(word, **{field: largest}))
    more = with_(word, **{field: largest + 1})
    if largest + 1 < 1 << type(word).field(field).width:
        assert not is_taken(more)


SMALLEST: list[tuple[Instruction, str, int]] = [
    (DOT, "stride", 3),
    (AXPY, "stride", 8),
    (with_(AXPY, cache=CacheFormat.KV8), "segments", 1),
    (LOAD, "beats", 1),
    (STORE, "beats", 1),
    *((each, "rows", 1) for each in (DOT, AXPY, NORM, QUANT, SWIGLU, ROPE, SOFTMAX)),
    *((each, "length", 1) for each in (NORM, QUANT, SWIGLU)),
    (DOT, "inner", 1),
    (with_(SOFTMAX, sink_words=0), "ring_words", 1),
]


@pytest.mark.parametrize(
    "word, field, smallest", SMALLEST, ids=lambda each: type(each).__name__ if isinstance(each, Instruction) else None
)
def test_what_is_just_enough_is_taken_and_one_less_is_not(word: Instruction, field: str, smallest: int) -> None:
    assert is_taken(with_(word, **{field: smallest}))
    assert not is_taken(with_(word, **{field: smallest - 1}))


@pytest.mark.parametrize("elements", [32, 64, 128])
def test_heads_of_three_sizes_are_quantized(elements: int) -> None:
    for length in (elements // 8 - 1, elements // 8, elements // 8 + 1):
        assert is_taken(with_(VALUE, length=length)) == (length == elements // 8)


def test_keys_and_rotations_have_two_halves_of_whole_words() -> None:
    wide = load_engine("tiny").with_values({"vector.lanes": 32, "tile.ports": 8, "tile.port_bits": 512})
    assert is_taken(with_(VALUE, length=1), wide)
    assert not is_taken(with_(KEY, length=1), wide)
    assert is_taken(with_(KEY, length=2), wide)
    assert not is_taken(with_(ROPE, length=11))


def test_a_load_starts_at_64_units_or_lies_between_them() -> None:
    load = Load(space=Space.PARAMETER, address=0, beats=4, offset=0)
    for offset in range(140):
        is_whole = offset % 64 == 0 or offset // 64 == (offset + 3) // 64
        assert is_taken(with_(load, offset=offset)) == is_whole, offset


def test_units_exchange_tokens_with_others_alone() -> None:
    for word in (Fetch(offset=0, beats=1), DOT, QUANT, STORE):
        own = type(word).unit
        for unit in Unit:
            for name in ("wait", "signal"):
                assert is_taken(with_(word, **{name: 1 << unit})) == (unit != own)


def test_a_fetch_of_nothing_may_start_anywhere() -> None:
    assert is_taken(Fetch(offset=(1 << 32) - 1, beats=0))


def test_rows_that_are_read_may_overlap_and_one_row_has_no_stride() -> None:
    assert is_taken(with_(QUANT, stride=0))
    assert is_taken(with_(DOT, stride=0, rows=1))
    assert not is_taken(with_(DOT, stride=0))


def test_ports_end_where_their_image_does_and_the_side_memory_has_no_end_of_its_own() -> None:
    trace = run_control([Fetch(offset=90, beats=10).encode(), End().encode()])
    check(trace, ENGINE, port_bytes=6400)
    for port_bytes in (6399, 6400 - 64):
        with pytest.raises(ProgramError, match=re.escape("within the 99 beats of a port, not 1 beyond")):
            check(trace, ENGINE, port_bytes=port_bytes)
    check(run_control([Fetch(offset=0, beats=1024).encode(), End().encode()]), ENGINE, port_bytes=1 << 16)
    with pytest.raises(ProgramError, match="within the 1024 beats of a port, not 1 beyond"):
        check(run_control([Fetch(offset=0, beats=1025).encode(), End().encode()]), ENGINE, port_bytes=1 << 30)
    assert is_taken(with_(STORE, offset=(1 << 32) - 1), side_units=None)


def test_the_first_instruction_that_is_wrong_is_named() -> None:
    words = [with_(QUANT, rows=5), with_(STORE, beats=0), with_(DOT, rows=5)]
    for first, name in ((0, "Quant"), (1, "Store"), (2, "Dot")):
        program = [*(STORE for _ in range(first)), *words[first:], End()]
        with pytest.raises(ProgramError, match=rf"^Instruction {first} \({name}, pc {first}\) must have (rows|beats) 1 to"):
            check(run_control([word.encode() for word in program]), ENGINE)
