"""Packed matrices: the compiled loops give the bytes of the formats' definition, and refuse what does not compute."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from hwsim.arch.formats import WEIGHT_FORMATS, PackedMatrix, pack
from hwsim.arch.formats.sharing import in_parts
from hwsim.arch.isa import Format
from hwsim.errors import ScheduleError
from tests.hwsim.slow_formats import pack_body, pack_stream, unpack_body
from tests.hwsim.test_formats import random_matrix


@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
@pytest.mark.parametrize("rows", [1, 9, 200])
def test_words_are_the_definition(format: Format, rows: int) -> None:
    """With rows enough for one thread and for several, and a last run of scale words that is not full."""
    matrix = random_matrix(format, rows, 640, seed=rows)
    packed = pack(matrix)
    assert np.array_equal(packed.words, pack_body(matrix))
    assert packed.shape == matrix.shape
    assert packed.packed() is packed
    back, defined = packed.unpacked(), unpack_body(format, packed.words, 640)
    for name in ("codes", "kept", "scale", "offset"):
        assert np.array_equal(getattr(back, name), getattr(defined, name)), name
    for name in ("codes", "kept", "scale", "offset", "mantissa", "exponent"):
        assert np.array_equal(getattr(back, name), getattr(matrix, name)), name


@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
@pytest.mark.parametrize(("rows", "slices", "per_port"), [(9, 1, 1), (40, 8, 4), (130, 16, 4), (3, 8, 2)])
def test_port_streams_are_the_definition(format: Format, rows: int, slices: int, per_port: int) -> None:
    matrix = random_matrix(format, rows, 640, seed=rows + slices)
    streams = pack_stream(matrix, slices)
    ports = streams.reshape(slices // per_port, per_port, -1, 16).transpose(0, 2, 1, 3).reshape(slices // per_port, -1)
    packed = pack(matrix)
    for port, expected in enumerate(ports):
        assert np.array_equal(packed.port_stream(port, slices, per_port), expected)


@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
def test_reach_is_the_definition(format: Format) -> None:
    """The compiled check refuses exactly what the definition refuses, in the same words."""

    def sentence(check: Callable[[str], None]) -> str | None:
        try:
            check("it")
        except ScheduleError as error:
            return str(error)
        return None

    found = set()
    for inputs in (640, 64 * 320):
        matrix = random_matrix(format, 5, inputs, seed=inputs)
        said = sentence(pack(matrix).check)
        assert said == sentence(matrix.check)
        found.add(said is None)
    if format in (Format.W4, Format.W8):
        assert found == {True, False}


def test_a_block_code_that_is_none_is_refused() -> None:
    packed = pack(random_matrix(Format.W2S, 4, 128, seed=0))
    words = packed.words.copy()
    words[2, 1, 0] |= 0x60
    with pytest.raises(ScheduleError, match="Words of it must hold codes that W2S has, not others"):
        PackedMatrix(**{**_fields(packed), "words": words}).check("it")


def _fields(packed: PackedMatrix) -> dict[str, object]:
    return {field.name: getattr(packed, field.name) for field in dataclasses.fields(packed)}


def test_parts_cover_everything_once_and_in_order() -> None:
    for items, fewest in ((0, 1), (1, 1), (7, 1), (100, 64), (1000, 64)):
        parts = in_parts(lambda part: list(range(part.start, part.stop)), items, fewest)
        assert [item for part in parts for item in part] == list(range(items))
