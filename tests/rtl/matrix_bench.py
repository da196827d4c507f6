"""Random work for MATRIX, and a bench that plays it to the circuit and records every pop, pulse and write."""

from __future__ import annotations

import dataclasses

import numpy as np
from amaranth.sim import Simulator

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Axpy, CacheFormat, Destination, Dot, Format
from rtl.matrix import Matrix
from rtl.matrix.unit import sources_of
from tests.rtl.matrix_golden import KEYS, Golden, Memories, Write, stream_beats

__all__ = ["Work", "golden", "random_work", "simulate"]


@dataclasses.dataclass(kw_only=True)
class Work:
    """Instructions with the cycle each becomes visible, the streams [beat, slice], when each beat arrives, memories."""

    config: EngineConfig
    instructions: list[Dot | Axpy]
    registers: list[int]
    visible: list[int]
    stream: np.ndarray
    available: np.ndarray
    memories: Memories


def _words(rng: np.random.Generator, shape: tuple[int, ...], width: int = 128) -> np.ndarray:
    """Return random Python integers."""
    flat = [int.from_bytes(rng.bytes(16), "little") >> (128 - width) for _ in range(int(np.prod(shape)))]
    return np.array(flat, dtype=object).reshape(shape)


def _codes(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return random activations, int8; a third of the segments holds corner values only."""
    values = rng.integers(-128, 128, shape)
    corners = rng.choice([-128, -127, 0, 127], shape)
    is_corner = np.repeat(rng.random((shape[0], shape[1] // 64)) < 1 / 3, 64, axis=1)
    return np.where(is_corner, corners, values).astype(np.int8)


def random_memories(rng: np.random.Generator, config: EngineConfig) -> Memories:
    """Return random contents; some scales are zero or far out of range."""
    buffer, lanes = config.buffer, config.vector.lanes

    def fixed(words: int) -> np.ndarray:
        values = rng.integers(-(2**31), 2**31, (words, lanes))
        return values >> rng.integers(0, 24, (words, lanes))

    return Memories(
        activations=_codes(rng, (config.tile.tokens, 64 * buffer.activation_segments)),
        mantissa=np.where(rng.random(buffer.scales) < 0.1, 0, rng.integers(32768, 65536, buffer.scales)),
        exponent=rng.integers(-40, -10, buffer.scales),
        zero_sum=rng.integers(-(2**31), 2**31, buffer.scales) >> rng.integers(0, 24, buffer.scales),
        residual=fixed(buffer.residual_words),
        parameter=fixed(buffer.parameter_words),
    )


def random_work(rng: np.random.Generator, config: EngineConfig, formats: list[Format | CacheFormat], *, gaps: float) -> Work:
    """Return one instruction for each format (of a cache: an AXPY), beats arriving with the given share of gaps."""
    tile, buffer, lanes = config.tile, config.buffer, config.vector.lanes
    instructions: list[Dot | Axpy] = []
    registers, parts = [], []
    for number, format in enumerate(formats):
        common = {
            "rows": int(rng.integers(1, (tile.rows_of(format) if isinstance(format, Format) else tile.nibble_rows) + 1)),
            "scale": int(rng.integers(0, buffer.scales - tile.tokens)),
        }
        register = int(rng.integers(0, 3)) if rng.random() < 0.3 else 0
        if isinstance(format, CacheFormat):
            most = (min(tile.slices, lanes)).bit_length()
            # A token of 8-bit codes needs two slices: an engine of one mixes 4-bit ones.
            cache = format if most > 1 else CacheFormat.KV4
            beats = int(rng.choice([0, 1, 2, 3, 9]))
            register = min(register, beats)
            step: Dot | Axpy = Axpy(
                **common,
                source=int(rng.integers(0, buffer.activation_segments // 2)),
                beats=beats,
                segments=int(rng.integers(cache.planes - 1, min(4, most))),
                cache=cache,
                address=int(rng.integers(0, 16)),
                stride=32 * 8 // lanes,
            )
            parts.append(_words(rng, (len(stream_beats(step)), tile.slices)))
        else:
            blocks = int(rng.choice([0, 1, 2, 5, 9], p=[0.1, 0.2, 0.3, 0.3, 0.1]))
            register = min(register, blocks)
            inner = int(rng.choice([1, 2, 4, 9, 18], p=[0.2, 0.2, 0.3, 0.2, 0.1]))
            if format in (Format.W2, Format.W2S):
                inner += inner % 2
            words = -(-max(1, blocks) * tile.slices // lanes)
            step = Dot(
                **common,
                format=format,
                source=int(rng.integers(0, buffer.activation_segments - 10)),
                inner=inner,
                blocks=blocks,
                destination=Destination(int(rng.integers(0, 3))),
                # Neighbours use halves of the residual memory in turn: no word is read before its last write.
                address=number % 2 * (buffer.residual_words // 2),
                stride=words,
                side=int(rng.integers(0, 3)),
            )
            parts.append(_stream(rng, step, tile.slices))
        operand = dataclasses.replace(step, **{_operand(step): getattr(step, _operand(step)) - register})
        instructions.append(dataclasses.replace(operand, registers=(3, 0, 0)))
        registers.append(register)
    stream = np.concatenate(parts) if parts else np.zeros((0, tile.slices), object)
    visible = np.cumsum(rng.integers(0, 40, len(instructions))) + 3
    arrival = np.cumsum(np.where(rng.random(len(stream)) < gaps, rng.integers(1, 12, len(stream)), 1))
    return Work(
        config=config,
        instructions=instructions,
        registers=registers,
        visible=visible.tolist(),
        stream=stream,
        available=arrival + int(rng.integers(0, 30)),
        memories=random_memories(rng, config),
    )


def _operand(step: Dot | Axpy) -> str:
    return "blocks" if isinstance(step, Dot) else "beats"


def _stream(rng: np.random.Generator, dot: Dot, slices: int) -> np.ndarray:
    """Return random beats of a DOT; headers with useful scales, W2S words with valid patterns."""
    beats = []
    for kind in stream_beats(dot):
        if kind == "second":
            continue
        words = _words(rng, (slices,))
        for index in range(slices):
            if kind == "header":
                for entry in range(2 if dot.format in KEYS else 4):
                    width = 64 if dot.format in KEYS else 32
                    exponent = int(rng.integers(-30, -5)) & 0xFF
                    mantissa = 0 if rng.random() < 0.05 else int(rng.integers(32768, 65536))
                    low = mantissa | exponent << 16
                    words[index] = (words[index] & ~(0xFFFFFF << (width * entry))) | low << (width * entry)
            elif dot.format == Format.W2S:
                for block in range(16):
                    pattern = int(rng.integers(0, 6))
                    words[index] = (words[index] & ~(7 << (7 * block + 4))) | pattern << (7 * block + 4)
        beats.append(words)
    return np.stack(beats) if beats else np.zeros((0, slices), object)


def golden(work: Work) -> Golden:
    """Return what must happen."""
    memories = dataclasses.replace(work.memories, residual=work.memories.residual.copy())
    result = Golden(work.config, memories)
    for step, register, visible in zip(work.instructions, work.registers, work.visible, strict=True):
        whole = dataclasses.replace(step, **{_operand(step): getattr(step, _operand(step)) + register})
        # The queue's head becomes visible when the one before has issued.
        head = max(visible, result.issues[-1] + 1) if result.issues else visible
        result.run(whole, head, work.available, work.stream)
    return result


@dataclasses.dataclass(kw_only=True)
class Seen:
    """What the circuit did."""

    issues: list[int] = dataclasses.field(default_factory=list)
    pops: list[int] = dataclasses.field(default_factory=list)
    retires: list[int] = dataclasses.field(default_factory=list)
    drained: list[int] = dataclasses.field(default_factory=list)
    writes: list[Write] = dataclasses.field(default_factory=list)
    busy: list[int] = dataclasses.field(default_factory=list)


def _pack(values: np.ndarray, width: int) -> int:
    mask = (1 << width) - 1
    return sum((int(value) & mask) << (width * index) for index, value in enumerate(values))


def simulate(work: Work, cycles: int, *, aborted: tuple[Work, int] | None = None) -> Seen:
    """Run the circuit for some cycles in Amaranth's simulator, after other work cleared in a cycle of its own."""
    dut = Matrix(work.config, inline=True)
    seen = Seen()

    async def bench(ctx):
        if aborted is not None:
            other, length = aborted
            await _play(ctx, dut, other, length, Seen())
            ctx.set(dut.command_valid, 0)
            ctx.set(dut.head_valid, 0)
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
        await _play(ctx, dut, work, cycles, seen)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


async def _play(ctx, dut: Matrix, work: Work, cycles: int, seen: Seen) -> None:
    """Drive queue, streams and memories for a number of cycles."""
    memories, tile = work.memories, work.config.tile
    residual = memories.residual.copy()
    segments = [
        sum(_pack(memories.activations[row, 64 * index : 64 * index + 64], 8) << (512 * row) for row in range(tile.tokens))
        for index in range(work.config.buffer.activation_segments)
    ]
    heads = [_pack(beat, 128) for beat in work.stream]
    beat = taken = 0
    scale = p_address = x_word = 0
    sources = [(getattr(dut, f"a_{name}_address"), getattr(dut, f"a_{name}_data")) for name in sources_of(work.config)]
    a_addresses = [0] * len(sources)
    for cycle in range(cycles):
        for (_, port), address in zip(sources, a_addresses, strict=True):
            ctx.set(port, segments[address])
        entry = {
            "mantissa": int(memories.mantissa[scale]),
            "exponent": int(memories.exponent[scale]) & 0x3FF,
            "zero_sum": int(memories.zero_sum[scale]) & 0xFFFFFFFF,
        }
        ctx.set(dut.scale_data, entry)
        ctx.set(dut.x_data, x_word)
        ctx.set(dut.p_data, _pack(memories.parameter[p_address], 32))
        has_beat = beat < len(heads) and cycle >= int(work.available[beat])
        ctx.set(dut.head_valid, has_beat)
        ctx.set(dut.head.as_value(), heads[beat] if has_beat else 0)
        has_command = taken < len(work.instructions) and cycle >= work.visible[taken]
        ctx.set(dut.command_valid, has_command)
        if has_command:
            ctx.set(dut.command.word, work.instructions[taken].encode())
            ctx.set(dut.command.operand[0], work.registers[taken])
        if ctx.get(dut.busy):
            seen.busy.append(cycle)
        if ctx.get(dut.issue):
            seen.issues.append(cycle)
            taken += 1
        if ctx.get(dut.pop):
            seen.pops.append(cycle)
            beat += 1
        if ctx.get(dut.retire):
            seen.retires.append(cycle)
        if ctx.get(dut.drained):
            seen.drained.append(cycle)
        a_addresses = [ctx.get(port) for port, _ in sources]
        scale, p_address = ctx.get(dut.scale_address), ctx.get(dut.p_address)
        # Memories give old data when a word is read and written in the same cycle.
        x_word = _pack(residual[ctx.get(dut.x_address)], 32)
        for write in _writes(ctx, dut, cycle):
            seen.writes.append(write)
            if write.memory == "x":
                residual[write.address, list(write.values)] = list(write.values.values())
        await ctx.tick()


def _writes(ctx, dut: Matrix, cycle: int) -> list[Write]:
    """Return what the circuit writes in this cycle."""
    found = []
    for memory, prefix in (("y", "y"), ("x", "x_write"), ("h", "h")):
        enable = ctx.get(getattr(dut, f"{prefix}_enable"))
        if not enable:
            continue
        address, word = ctx.get(getattr(dut, f"{prefix}_address")), ctx.get(getattr(dut, f"{prefix}_data"))
        values = {
            lane: (word >> (32 * lane) & 0xFFFFFFFF) - ((word >> (32 * lane + 31) & 1) << 32)
            for lane in range(dut.config.vector.lanes)
            if enable >> lane & 1
        }
        found.append(Write(cycle=cycle, memory=memory, address=address, values=values))
    return found
