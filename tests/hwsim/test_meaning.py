"""The meaning of instructions against the formulas of docs/engine.md, written as loops over plain integers."""

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.formats import WEIGHT_FORMATS
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
from hwsim.arch.numerics import (
    apply_scale,
    combine,
    exp2_neg,
    kv_inverse,
    normalize,
    quantize_act,
    quantize_inverse,
    quantize_kv,
    reciprocal,
    rsqrt,
    silu,
)
from hwsim.errors import ProgramError
from hwsim.machine.meaning import Memories, ResultLog, matrix, mover, run_meaning, vector
from hwsim.machine.trace import run_control
from testbenches.random_program import random_program
from testbenches.random_streams import cache_pair, port_bytes_of, row_stream
from tests.hwsim.slow_formats import pack_stream, unpack_stream

ENGINES = {
    "tiny": load_engine("tiny"),
    "small": load_engine("small"),
    "wide": load_engine("tiny").with_values({"tile.ports": 4, "tile.port_bits": 512, "vector.lanes": 8}),
}
LIMIT = (1 << 31) - 1


def wrapped(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def clamp(value: int) -> int:
    return max(-LIMIT - 1, min(LIMIT, value))


def rounded(value: int, shift: int) -> int:
    return (value + (1 << shift >> 1)) >> shift


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def scaled(value: int, *scales: tuple[int, int], fraction: int = 16) -> int:
    pair = tuple(np.int64(part) for part in scales[0])
    for other in scales[1:]:
        pair = combine(pair, tuple(np.int64(part) for part in other))
    return int(apply_scale(np.int64(value), pair, fraction))


def memories_of(config: EngineConfig, rng: np.random.Generator, words: np.ndarray | None = None) -> Memories:
    """Return memories with random content, and `words` [slices, beats, 16] at the start of the ports."""
    ports = port_bytes_of(config, words) if words is not None else np.zeros((config.tile.ports, 1 << 14), np.uint8)
    memories = Memories(config, ports.copy(), rng.integers(0, 256, 1 << 14, dtype=np.uint8))
    memories.activation[:] = rng.integers(-127, 128, memories.activation.shape)
    for memory in (memories.result, memories.residual):
        memory[:] = rng.integers(-(1 << 20), 1 << 20, memory.shape)
    memories.parameter[:] = rng.integers(-(1 << 31), 1 << 31, memories.parameter.shape)
    memories.scale[:] = np.stack(
        [
            rng.integers(32768, 65536, len(memories.scale)),
            rng.integers(-25, -15, len(memories.scale)),
            rng.integers(-9999, 9999, len(memories.scale)),
        ],
        1,
    )
    if words is not None:
        memories.streams.fetch(0, words.shape[1])
    return memories


def word_bits(words: np.ndarray, slice_: int, beat: int) -> int:
    return int.from_bytes(words[slice_, beat].tobytes(), "little")


def naive_sum(format_: Format, body: list[int], x: list[int]) -> int:
    """Return a row's accumulator from its body words and its inputs."""
    total, beat = 0, 0
    size = 64 if format_ in (Format.W2, Format.W2S) else 32
    for group in range(len(x) // size):
        part = x[group * size : (group + 1) * size]
        if format_ == Format.KV4:
            total += sum((body[group] >> 4 * i & 15) * v for i, v in enumerate(part))
            continue
        if format_ == Format.KV8:
            low, high = body[2 * group : 2 * group + 2]
            total += sum(((low >> 4 * i & 15) + 16 * (high >> 4 * i & 15)) * v for i, v in enumerate(part))
            continue
        if format_ == Format.W2S:
            word = body[group]
            scale, zero = word >> 112 & 255, word >> 120 & 3
            for block in range(16):
                code = word >> 7 * block & 127
                first, second = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)][code >> 4]
                total += scale * ((code & 3) - zero) * part[4 * block + first]
                total += scale * ((code >> 2 & 3) - zero) * part[4 * block + second]
            continue
        if group % 8 == 0:
            pairs = body[beat]
            beat += 1
        scale = pairs >> 16 * (group % 8) & 255
        offset = pairs >> 16 * (group % 8) + 8 & 255
        if format_ == Format.W4:
            total += scale * sum((body[beat] >> 4 * i & 15) * v for i, v in enumerate(part))
            total += 16 * signed(offset, 8) * sum(part)
            beat += 1
        elif format_ == Format.W8:
            both = body[beat] | body[beat + 1] << 128
            total += scale * sum(signed(both >> 8 * i & 255, 8) * v for i, v in enumerate(part))
            beat += 2
        else:
            total += scale * sum(((body[beat] >> 2 * i & 3) - (offset & 3)) * v for i, v in enumerate(part))
            beat += 1
    return total


@pytest.mark.parametrize("destination", Destination)
@pytest.mark.parametrize("format_", [Format.W4, Format.W8, Format.W2, Format.W2S])
@pytest.mark.parametrize("engine", ENGINES)
def test_dot_of_weights(engine: str, format_: Format, destination: Destination, rng: np.random.Generator) -> None:
    config = ENGINES[engine]
    slices, lanes, rows, inner, blocks = config.tile.slices, config.vector.lanes, 2, 18, 7
    words = row_stream(rng, format_, inner, blocks, slices)
    memories = memories_of(config, rng, words)
    before = memories_of(config, np.random.default_rng(0))
    for name in ("result", "residual", "parameter"):
        getattr(before, name)[:] = getattr(memories, name)
    instruction = Dot(
        format=format_,
        rows=rows,
        source=3,
        inner=inner,
        blocks=blocks,
        scale=5,
        destination=destination,
        address=9,
        stride=20,
        side=4,
    )
    log = matrix.dot(memories, config, instruction, "dot")
    assert memories.streams.beats == 0
    body = (words.shape[1] - 2) // blocks
    expected = before.residual if destination == Destination.RESIDUAL else before.result
    for block in range(blocks):
        start = block // 4 * (1 + 4 * body) + 1 + block % 4 * body
        for own in range(slices):
            header = word_bits(words, own, block // 4 * (1 + 4 * body)) >> 32 * (block % 4)
            row_scale = (header & 0xFFFF, signed(header >> 16 & 255, 8))
            values = [word_bits(words, own, start + beat) for beat in range(body)]
            for row in range(rows):
                x = memories.activation[row, 3 * 64 : 3 * 64 + 32 * inner].tolist()
                acc = wrapped(naive_sum(format_, values, x))
                value = scaled(acc, row_scale, tuple(memories.scale[5 + row, :2].tolist()))
                lane = block * slices + own
                place = (9 + row * 20) * lanes + lane
                if destination == Destination.RESIDUAL:
                    value = clamp(int(expected[place]) + value)
                elif destination == Destination.BIASED:
                    value = clamp(value + int(before.parameter[4 * lanes + lane]))
                expected[place] = value
                drained = block * config.drain_words * rows + own // lanes * rows + row
                assert log.view(np.int32)[drained, lane % lanes] == value
    target = memories.residual if destination == Destination.RESIDUAL else memories.result
    np.testing.assert_array_equal(target, expected)
    assert len(log) == blocks * config.drain_words * rows
    assert np.count_nonzero(log) <= blocks * slices * rows


@pytest.mark.parametrize("format_", list(WEIGHT_FORMATS))
def test_dot_reads_what_the_formats_pack(format_: Format, rng: np.random.Generator) -> None:
    config, inner, blocks = ENGINES["small"], 12, 5
    words = row_stream(rng, format_, inner, blocks, config.tile.slices)
    memories = memories_of(config, rng, words)
    matrix.dot(memories, config, Dot(format=format_, rows=1, source=0, inner=inner, blocks=blocks, scale=0, address=0), "")
    weights = unpack_stream(format_, words, 32 * inner, blocks)
    assert pack_stream(weights, config.tile.slices).shape == words.shape
    acc = weights.integer().astype(np.int64) @ memories.activation[0, : 32 * inner].astype(np.int64)
    scale = combine((weights.mantissa, weights.exponent), tuple(memories.scale[0, :2]))
    np.testing.assert_array_equal(memories.result[: len(acc)], apply_scale(acc, scale))


@pytest.mark.parametrize("cache", CacheFormat)
@pytest.mark.parametrize("engine", ENGINES)
def test_dot_of_keys(engine: str, cache: CacheFormat, rng: np.random.Generator) -> None:
    config = ENGINES[engine]
    slices, lanes, rows, blocks = config.tile.slices, config.vector.lanes, 2, 3
    parts = min(4, slices)
    held = parts * cache.planes
    words = np.concatenate([cache_pair(rng, cache, held, slices) for _ in range(2)], axis=1)[:, : 2 + blocks * held]
    memories = memories_of(config, rng, words)
    instruction = Dot(format=cache.keys, rows=rows, source=1, inner=parts, blocks=blocks, scale=2, address=3, stride=15, side=1)
    matrix.dot(memories, config, instruction, "")
    for block in range(blocks):
        start = block // 2 * (1 + 2 * held)
        for own in range(slices):
            header = word_bits(words, own, start) >> 64 * (block % 2)
            key, value = header & 0xFFFFFFFF, header >> 32 & 0xFFFFFFFF
            body = [word_bits(words, own, start + 1 + block % 2 * held + j) for j in range(held)]
            lane = block * slices + own
            assert memories.side_parameter[lanes + lane] == value
            for row in range(rows):
                x = memories.activation[row, 64 : 64 + 32 * parts].tolist()
                acc = naive_sum(cache.keys, body, x) - (key >> 24) * sum(x)
                result = scaled(
                    wrapped(acc), (key & 0xFFFF, signed(key >> 16 & 255, 8)), tuple(memories.scale[2 + row, :2].tolist())
                )
                assert memories.result[(3 + 15 * row) * lanes + lane] == result


@pytest.mark.parametrize(
    ("engine", "cache"), [(name, cache) for name in ENGINES for cache in CacheFormat if cache.planes <= ENGINES[name].tile.slices]
)
def test_axpy(engine: str, cache: CacheFormat, rng: np.random.Generator) -> None:
    config = ENGINES[engine]
    slices, lanes, rows, beats = config.tile.slices, config.vector.lanes, 2, 3
    held = min(4, slices)
    parts = held // cache.planes
    words = rng.integers(0, 256, (slices, beats, 16), dtype=np.uint8)
    memories = memories_of(config, rng, words)
    instruction = Axpy(rows=rows, source=2, beats=beats, segments=held.bit_length() - 1, scale=4, address=5, stride=40, cache=cache)
    log = matrix.axpy(memories, config, instruction, "").view(np.int32)
    for row in range(rows):
        mantissa, exponent, zero_sum = memories.scale[4 + row].tolist()
        sums = [-zero_sum] * (32 * parts)
        for beat in range(beats):
            for own in range(slices):
                c = int(memories.activation[row, 128 + beat * (slices // held) + own // held])
                for nibble in range(32):
                    part, plane = divmod(own % held, cache.planes)
                    sums[nibble * parts + part] += c * (word_bits(words, own, beat) >> 4 * nibble & 15) << 4 * plane
        for dimension, total in enumerate(sums):
            value = scaled(wrapped(total), (mantissa, exponent))
            assert memories.result[(5 + 40 * row) * lanes + dimension] == value
            nibble, part = divmod(dimension, parts)
            assert log[nibble * rows + row, nibble * parts % lanes + part] == value


def act_scale(values: list[int]) -> tuple[list[int], tuple[int, int]]:
    """Return 8-bit codes and the scale of fixed values."""
    inverse, (mantissa, exponent) = quantize_inverse(np.int64(max(abs(v) for v in values)))
    return [int(quantize_act(np.int64(v), inverse)) for v in values], (int(mantissa), int(exponent) - 16)


def product(a: tuple[int, int], b: tuple[int, int]) -> list[int]:
    mantissa, exponent = combine(tuple(map(np.int64, a)), tuple(map(np.int64, b)))
    return [int(mantissa), int(exponent), 0]


def check_row(
    memories: Memories, log: np.ndarray, row: int, destination: int, entry: int, codes: list[int], scale: list[int]
) -> None:
    assert memories.activation[row, destination * 64 : destination * 64 + len(codes)].tolist() == codes
    assert log.reshape(-1)[row * len(codes) : (row + 1) * len(codes)].tolist() == codes
    assert memories.scale[entry + row].tolist() == scale


def test_norm(rng: np.random.Generator) -> None:
    config = ENGINES["small"]
    memories = memories_of(config, rng)
    memories.parameter[:64] = rng.integers(-(1 << 17), 1 << 17, 64)
    memories.parameter[64:66] = 12345, 40000 | (-21 & 255) << 16
    x = memories.residual.copy()
    log = vector.norm(memories, config, Norm(rows=2, source=3, stride=20, length=16, destination=4, scale=6, parameter=0, shift=14))
    for row in range(2):
        values = x[(3 + 20 * row) * 4 :][:64].tolist()
        y = [clamp(rounded(v * int(g), 14)) for v, g in zip(values, memories.parameter[:64], strict=True)]
        squares = sum(rounded(v * v, 14) for v in values) + 12345
        mantissa, exponent = normalize(np.int64(squares))
        root = rsqrt(combine((mantissa, exponent - 18), (np.int64(40000), np.int64(-21))))
        codes, scale = act_scale(y)
        check_row(memories, log, row, 4, 6, codes, product(scale, root))
        # The codes stand for the normalized row: an independent look at all the exponents.
        mean = sum((v / 65536) ** 2 for v in values) * 40000 * 2.0**-21
        real = [v / 65536 * int(g) / 2**14 / mean**0.5 for v, g in zip(values, memories.parameter[:64], strict=True)]
        step = memories.scale[6 + row, 0] * 2.0 ** memories.scale[6 + row, 1]
        assert max(abs(c * step - r) for c, r in zip(codes, real, strict=True)) < 0.51 * step


def test_quant_and_swiglu(rng: np.random.Generator) -> None:
    config = ENGINES["small"]
    memories = memories_of(config, rng)
    memories.result[8] = -LIMIT - 1
    log = vector.quant(memories, config, Quant(rows=3, source=1, stride=9, length=7, destination=2, scale=1))
    for row in range(3):
        codes, scale = act_scale(memories.result[(1 + 9 * row) * 4 :][:28].tolist())
        check_row(memories, log, row, 2, 1, codes, [*scale, 0])
    log = vector.swiglu(memories, config, SwiGlu(rows=2, source=10, up=50, stride=9, length=7, destination=0, scale=3))
    for row in range(2):
        gate, up = (memories.result[(start + 9 * row) * 4 :][:28].tolist() for start in (10, 50))
        y = [clamp(rounded(int(silu(np.int64(g))) * u, 16)) for g, u in zip(gate, up, strict=True)]
        codes, scale = act_scale(y)
        check_row(memories, log, row, 0, 3, codes, [*scale, 0])


def rotated(values: list[int], rotation: list[int]) -> list[int]:
    half = len(values) // 2
    return [
        clamp(rounded(v * signed(w & 0xFFFF, 16) + values[(i + half) % len(values)] * signed(w >> 16 & 0xFFFF, 16), 14))
        for i, (v, w) in enumerate(zip(values, rotation, strict=True))
    ]


def test_rope(rng: np.random.Generator) -> None:
    config = ENGINES["small"]
    memories = memories_of(config, rng)
    instruction = Rope(rows=3, source=2, stride=10, length=8, destination=3, scale=7, parameter=11, mantissa=47274, exponent=-18)
    log = vector.rope(memories, config, instruction)
    for row in range(3):
        head = memories.result[(2 + 10 * row) * 4 :][:32].tolist()
        codes, scale = act_scale(rotated(head, memories.parameter[44:76].tolist()))
        check_row(memories, log, row, 3, 7, codes, product(scale, (47274, -18)))


@pytest.mark.parametrize(("sinks", "ring"), [(3, 13), (0, 9), (8, 0), (0, 0)])
def test_softmax(sinks: int, ring: int, rng: np.random.Generator) -> None:
    config = ENGINES["small"]
    memories = memories_of(config, rng)
    parameters = cache_pair(rng, CacheFormat.KV4, 4, 6)[:, 0, 4:8].copy().view("<u4")[:, 0].tolist()
    parameters = (parameters * 6)[:24]
    memories.side_parameter[20:44] = parameters
    instruction = Softmax(
        rows=2, source=4, stride=6, destination=5, scale=2, side=5, sink_words=2, sinks=sinks, ring_words=4, ring=ring
    )
    log = vector.softmax(memories, config, instruction)
    for row in range(2):
        scores = memories.result[(4 + 6 * row) * 4 :][:24].tolist()
        is_valid = [i < sinks if i < 8 else i - 8 < ring for i in range(24)]
        most = max((s for s, ok in zip(scores, is_valid, strict=True) if ok), default=0)
        e = [int(exp2_neg(np.int64(most - s))) if ok else 0 for s, ok in zip(scores, is_valid, strict=True)]
        w = [scaled(v, (p & 0xFFFF, signed(p >> 16 & 255, 8)), fraction=5) for v, p in zip(e, parameters, strict=True)]
        inverse, (mantissa, exponent) = quantize_inverse(np.int64(max(w)))
        codes = [max(int(quantize_act(np.int64(v), inverse)), 0) if ok else 0 for v, ok in zip(w, is_valid, strict=True)]
        share = reciprocal(normalize(np.int64(sum(e))))
        scale = product((mantissa, exponent - 20), (share[0], share[1] + 15))
        scale[2] = sum(c * (p >> 24) for c, p in zip(codes, parameters, strict=True))
        check_row(memories, log, row, 5, 2, codes, scale)


@pytest.mark.parametrize("kind", CacheKind)
@pytest.mark.parametrize(("engine", "cache"), [("tiny", CacheFormat.KV4), ("small", CacheFormat.KV4), ("small", CacheFormat.KV8)])
def test_kvquant_and_append_make_what_dot_and_axpy_read(
    engine: str, cache: CacheFormat, kind: CacheKind, rng: np.random.Generator
) -> None:
    config = ENGINES[engine]
    slices, lanes, planes = config.tile.slices, config.vector.lanes, cache.planes
    held = min(4, slices)
    parts = held // planes
    memories = memories_of(config, rng)
    memories.pack[:] = rng.integers(0, 256, memories.pack.shape)
    length = 32 * parts // lanes
    vector.kvquant(memories, config, KvQuant(kind=kind, source=7, length=length, parameter=9, entry=5, cache=cache))
    assert not memories.pack[5, 16 * held :].any()
    y = memories.result[7 * lanes :][: 32 * parts].tolist()
    if kind == CacheKind.KEY:
        y = rotated(y, memories.parameter[9 * lanes :][: 32 * parts].tolist())
    inverse, (mantissa, exponent), zero = kv_inverse(np.int64(min(*y, 0)), np.int64(max(*y, 0)), cache.bits)
    codes = [int(quantize_kv(np.int64(v), inverse, zero, cache.bits)) for v in y]
    slot = 3 * slices + slices // 2
    keys, values = 6, 100
    offset = keys if kind == CacheKind.KEY else values
    before = memories.ports.copy()
    mover.append(memories, config, Append(kind=kind, entry=5, segments=held.bit_length() - 1, offset=offset, keys=keys, slot=slot))
    words = (
        memories.ports.reshape(config.tile.ports, -1, config.tile.slices_per_port, 16).transpose(0, 2, 1, 3).reshape(slices, -1, 16)
    )
    block, own = divmod(slot, slices)
    header = word_bits(words, own, keys + block // 2 * (1 + 2 * held)) >> 64 * (block % 2) + (0 if kind == CacheKind.KEY else 32)
    assert header & 0xFFFFFFFF == int(mantissa) | (int(exponent) - 16 & 255) << 16 | int(zero) << 24
    for d, code in enumerate(codes):
        nibbles = []
        for plane in range(planes):
            if kind == CacheKind.KEY:
                beat = keys + block // 2 * (1 + 2 * held) + 1 + block % 2 * held + planes * (d // 32) + plane
                nibbles.append(word_bits(words, own, beat) >> 4 * (d % 32) & 15)
            else:
                tokens = slices // held
                place = slot % tokens * held + planes * (d % parts) + plane
                nibbles.append(word_bits(words, place, values + slot // tokens) >> 4 * (d // parts) & 15)
        assert sum(nibble << 4 * plane for plane, nibble in enumerate(nibbles)) == code
    assert np.count_nonzero(memories.ports != before) <= 16 * held + 4


def test_load_and_store(rng: np.random.Generator) -> None:
    config = ENGINES["small"]
    memories = memories_of(config, rng)
    before = memories.side.copy()
    fixed = before.view("<i4")
    for space, memory in ((Space.RESIDUAL, memories.residual), (Space.PARAMETER, memories.parameter)):
        mover.load(memories, config, Load(space=space, address=17, beats=9, offset=64))
        assert memory[17 * 4 : 17 * 4 + 36].tolist() == fixed[256 : 256 + 36].tolist()
    mover.store(memories, config, Store(address=23, beats=5, offset=128))
    assert memories.side.view("<i4")[512:532].tolist() == memories.result[92:112].tolist()
    assert (np.delete(memories.side, slice(2048, 2128)) == np.delete(before, slice(2048, 2128))).all()


def test_random_programs_have_the_same_meaning_twice(rng: np.random.Generator) -> None:
    for engine in ENGINES.values():
        program = random_program(engine, int(rng.integers(1 << 30)))
        position, slot = program.registers
        trace = run_control(program.words, position=position, slot=slot)
        (first, log), (second, _) = (
            run_meaning(trace, engine, program.ports.copy(), program.side.copy(), has_log=True) for _ in range(2)
        )
        for name in ("ports", "side", "result", "residual", "activation", "scale"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert sorted(log.matrix) == np.flatnonzero(trace.unit == Unit.MATRIX).tolist()


def test_an_append_does_not_change_beats_fetched_before(rng: np.random.Generator) -> None:
    config = ENGINES["tiny"]
    memories = memories_of(config, rng)
    memories.streams.fetch(0, 3)
    memories.pack[0] = 255
    mover.append(memories, config, Append(kind=CacheKind.VALUE, entry=0, segments=0, offset=1, keys=5, slot=0))
    assert memories.streams.take(3, "").sum() == 0
    assert memories.ports[0, 16:32].tolist() == [255] * 16


def run(*program: object, ports: int = 4096) -> tuple[Memories, ResultLog]:
    words = [item if isinstance(item, int) else item.encode() for item in program]
    config = ENGINES["tiny"]
    return run_meaning(run_control(words), config, np.zeros((1, ports), np.uint8), np.zeros(4096, np.uint8))


DOT = {"format": Format.W4, "rows": 1, "source": 0, "inner": 2, "blocks": 1, "scale": 0, "address": 0}


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (
            (Fetch(offset=0, beats=3), Dot(**DOT), End()),
            "Instruction 1 (Dot, pc 1) must consume at most the 3 beats fetched and left, not 4",
        ),
        ((Fetch(offset=0, beats=5), Dot(**DOT), End()), "Program must consume every beat it fetches, not leave 1 at End"),
        (
            (Fetch(offset=250, beats=9), End()),
            "Instruction 0 (Fetch, pc 0) must keep offset and beats within the 256 beats of a port, not 3 beyond",
        ),
        (
            (Dot(**{**DOT, "address": 512}), End()),
            "Instruction 0 (Dot, pc 0) must keep address within the 512 words of result memory, not 1 beyond",
        ),
        (
            (Dot(**{**DOT, "source": 32}), End()),
            "Instruction 0 (Dot, pc 0) must keep source within the 32 segments of activation memory, not 1 beyond",
        ),
        ((Dot(**{**DOT, "rows": 3}), End()), "Instruction 0 (Dot, pc 0) must have rows 1 to 2, not 3"),
        ((Dot(**{**DOT, "rows": 2}), End()), "Instruction 0 (Dot, pc 0) must have stride at least the 1 words of a row, not 0"),
        (
            (Dot(**{**DOT, "scale": 32}), End()),
            "Instruction 0 (Dot, pc 0) must keep scale within the 32 entries of the scale file, not 1 beyond",
        ),
        (
            (Dot(**{**DOT, "format": Format.W2, "inner": 3}), End()),
            "Instruction 0 (Dot, pc 0) must have an even inner in format W2 or W2S",
        ),
        (
            (Dot(**{**DOT, "format": Format.KV4, "destination": Destination.BIASED}), End()),
            "Instruction 0 (Dot, pc 0) must not be both KV4 and BIASED, which share the field side",
        ),
        (
            (Dot(**{**DOT, "format": Format.KV8, "destination": Destination.BIASED}), End()),
            "Instruction 0 (Dot, pc 0) must not be both KV8 and BIASED, which share the field side",
        ),
        (
            (Axpy(rows=1, source=0, beats=0, segments=0, scale=0, address=0, stride=0, cache=CacheFormat.KV8), End()),
            "Instruction 0 (Axpy, pc 0) must hold a token of KV8 in at least 2 slices, not 1",
        ),
        (
            (Axpy(rows=1, source=0, beats=0, segments=1, scale=0, address=0, stride=0), End()),
            "Instruction 0 (Axpy, pc 0) must hold a token in at most 1 slices, not 2",
        ),
        (
            (Quant(rows=1, source=0, stride=0, length=0, destination=0, scale=0), End()),
            "Instruction 0 (Quant, pc 0) must have length 1 to 512, not 0",
        ),
        (
            (KvQuant(kind=CacheKind.VALUE, source=0, length=5, entry=0), End()),
            "Instruction 0 (KvQuant, pc 0) must quantize a head of 32, 64 or 128 elements, not 20",
        ),
        (
            (Load(space=Space.RESIDUAL, address=0, beats=62, offset=3), End()),
            "Instruction 0 (Load, pc 0) must start at a multiple of 64 units or lie between two of them",
        ),
        (
            (Store(address=0, beats=65, offset=192), End()),
            "Instruction 0 (Store, pc 0) must keep offset and beats within the 256 16-byte units of side memory, not 1 beyond",
        ),
        (
            (
                Softmax(rows=1, source=0, stride=0, destination=0, scale=0, side=60, sink_words=0, sinks=0, ring_words=0, ring=0),
                End(),
            ),
            "Instruction 0 (Softmax, pc 0) must have at least one word of scores",
        ),
        (
            (Rope(rows=1, source=0, stride=0, length=3, destination=0, scale=0, parameter=0, mantissa=0, exponent=0), End()),
            "Instruction 0 (Rope, pc 0) must have an even length",
        ),
        (
            (Norm(rows=1, source=0, stride=0, length=8, destination=0, scale=0, parameter=120, shift=0), End()),
            "Instruction 0 (Norm, pc 0) must keep parameter within the 128 words of parameter memory, not 1 beyond",
        ),
        (
            (Append(kind=CacheKind.KEY, entry=0, segments=1, offset=0, keys=0, slot=0), End()),
            "Instruction 0 (Append, pc 0) must hold a token in at most 1 slices, not 2",
        ),
        (
            (Append(kind=CacheKind.VALUE, entry=0, segments=0, offset=250, keys=0, slot=6), End()),
            "Instruction 0 (Append, pc 0) must keep offset and slot within the 256 beats of a port, not 1 beyond",
        ),
        (
            (Quant(rows=1, source=0, stride=0, length=1, destination=0, scale=0, signal=4), End()),
            "Instruction 0 (Quant, pc 0) must not signal for its own unit VECTOR",
        ),
        (
            (Quant(rows=1, source=0, stride=0, length=1, destination=0, scale=0, wait=4), End()),
            "Instruction 0 (Quant, pc 0) must not wait for its own unit VECTOR",
        ),
    ],
)
def test_refusals(program: tuple[object, ...], text: str) -> None:
    with pytest.raises(ProgramError) as refusal:
        run(*program)
    assert str(refusal.value) == text


def test_memory_images_must_fit_the_engine() -> None:
    trace, config = run_control([End().encode()]), ENGINES["small"]
    ports, side = np.zeros((1, 64), np.uint8), np.zeros(64, np.int8)
    with pytest.raises(ProgramError, match=r"^Port memories must be uint8 \[2, bytes\], not uint8 \(1, 64\)$"):
        run_meaning(trace, config, ports, side)
    with pytest.raises(ProgramError, match=r"^Side memory must be uint8 \[bytes\], not int8 \(64,\)$"):
        run_meaning(trace, config, np.zeros((2, 64), np.uint8), side)
