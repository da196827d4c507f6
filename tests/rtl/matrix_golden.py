"""What MATRIX must write, and when, straight from docs/engine.md: no pipeline, one block after the other."""

from __future__ import annotations

import dataclasses

import numpy as np

from hwsim.arch import numerics
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Axpy, CacheFormat, Destination, Dot, Format
from hwsim.arch.timing import EPILOGUE_LATENCY, MATRIX_LATENCY
from rtl.matrix.stages import ENTRY_WRITE

__all__ = ["KEYS", "Golden", "Memories", "Write", "stream_beats"]

KEYS = {Format.KV4: 1, Format.KV8: 2}
"""Words of 32 codes, by format of cached keys."""
_PATTERNS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Write:
    """Lanes of a word written to memory `y`, `x` or `h` in a cycle."""

    cycle: int
    memory: str
    address: int
    values: dict[int, int]


@dataclasses.dataclass(kw_only=True)
class Memories:
    """What MATRIX reads: activations int8 [rows, codes], scale file, residual and parameter words."""

    activations: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray
    zero_sum: np.ndarray
    residual: np.ndarray
    parameter: np.ndarray


def stream_beats(instruction: Dot | Axpy) -> list[str]:
    """Return the kinds of the beats an instruction pops; `second` is no beat but the second cycle of a W2 word."""
    if isinstance(instruction, Axpy):
        return ["data"] * instruction.beats
    kinds = []
    for block in range(instruction.blocks):
        if block % (2 if instruction.format in KEYS else 4) == 0:
            kinds.append("header")
        if instruction.format in KEYS:
            kinds += ["data"] * (instruction.inner * KEYS[instruction.format])
            continue
        if instruction.format == Format.W2S:
            kinds += ["data"] * (instruction.inner // 2)
            continue
        groups = instruction.inner // (2 if instruction.format == Format.W2 else 1)
        for group in range(groups):
            if group % 8 == 0:
                kinds.append("scales")
            kinds += {Format.W4: ["data"], Format.W8: ["data", "data"], Format.W2: ["data", "second"]}[instruction.format]
    return kinds


def _bits(words: np.ndarray, low: int, width: int) -> np.ndarray:
    """Return bits of 128-bit words given as Python integers, int64."""
    return np.array([(int(word) >> low) & ((1 << width) - 1) for word in words.reshape(-1)], np.int64).reshape(words.shape)


def _signed(values: np.ndarray, width: int) -> np.ndarray:
    return np.where(values >> (width - 1), values - (1 << width), values)


def _code(words: np.ndarray, lane: int) -> np.ndarray:
    """Return the codes of a lane in cache words [planes, ...]: the lowest nibble in the first word."""
    return sum(_bits(word, 4 * lane, 4) << (4 * plane) for plane, word in enumerate(words))


class Golden:
    """Runs instructions on streams [beat, slice] of 128-bit words; collects the writes and the cycles."""

    def __init__(self, config: EngineConfig, memories: Memories):
        self.config, self.memories = config, memories
        self.slices, self.lanes = config.tile.slices, config.vector.lanes
        self.writes: list[Write] = []
        self.issues: list[int] = []
        self.pops: list[int] = []
        self.retires: list[int] = []
        self.drained: list[int] = []
        self._beat = 0
        self._capture, self._drain = -1, 0

    # Time.

    def run(self, instruction: Dot | Axpy, visible: int, available: np.ndarray, stream: np.ndarray) -> None:
        """Run an instruction whose queue entry is visible from cycle `visible`, on the next beats of the stream."""
        issue = max(visible, self._capture + 1)
        self.issues.append(issue)
        rows = instruction.rows
        per_block = self.config.mixed_words * rows if isinstance(instruction, Axpy) else self.config.drain_words * rows
        cycle, captures, first = issue + 1, [], self._beat
        kinds = stream_beats(instruction)
        blocks = self._blocks(instruction, kinds)
        for index, kind in enumerate(kinds):
            is_last = index in blocks
            if kind == "second":
                continue
            cycle = max(cycle, int(available[self._beat]))
            extra = int(index + 1 < len(kinds) and kinds[index + 1] == "second")
            if isinstance(instruction, Axpy):
                cycle = max(cycle, self._capture + self._drain)
            elif is_last or (extra and index + 1 in blocks):
                cycle = max(cycle, self._capture + self._drain - extra)
            self.pops.append(cycle)
            self._beat += 1
            cycle += extra
            if is_last or (extra and index + 1 in blocks):
                captures.append(cycle)
                self._capture, self._drain = cycle, per_block
            cycle += 1
        if not kinds:
            self._capture = max(issue + 1, self._capture + self._drain)
            self._drain = per_block if isinstance(instruction, Axpy) else 1
            if isinstance(instruction, Axpy):
                captures.append(self._capture)
        self.retires.append(self._capture + self._drain + MATRIX_LATENCY + EPILOGUE_LATENCY)
        for capture in captures:
            self.drained += [capture + MATRIX_LATENCY + index for index in range(per_block)]
        beats = stream[first : self._beat]
        if isinstance(instruction, Axpy):
            self._axpy(instruction, beats, captures[0])
        else:
            self._dot(instruction, beats, captures, [kind for kind in kinds if kind != "second"])

    def _blocks(self, instruction: Dot | Axpy, kinds: list[str]) -> set[int]:
        """Return the indices in `kinds` at which a block is captured."""
        if isinstance(instruction, Axpy):
            return {len(kinds) - 1}
        steps, ends = 0, set()
        data_steps = {
            Format.W4: instruction.inner,
            Format.KV4: instruction.inner,
            Format.KV8: 2 * instruction.inner,
            Format.W8: 2 * instruction.inner,
            Format.W2: instruction.inner,
            Format.W2S: instruction.inner // 2,
        }[instruction.format]
        for index, kind in enumerate(kinds):
            steps += kind in ("data", "second")
            if steps == data_steps:
                ends.add(index)
                steps = 0
        return ends

    # Meaning.

    def _emit(self, capture: int, index: int, memory: str, address: int, values: dict[int, int]) -> None:
        cycle = capture + index + (ENTRY_WRITE if memory == "h" else MATRIX_LATENCY + EPILOGUE_LATENCY)
        self.writes.append(Write(cycle=cycle, memory=memory, address=address, values=values))

    def _dot(self, dot: Dot, beats: np.ndarray, captures: list[int], kinds: list[str]) -> None:
        """Compute the blocks; `beats` [beats, slices]."""
        header = scales = None
        position = 0
        for block in range(dot.blocks):
            if kinds[position] == "header":
                header, position = beats[position], position + 1
            accumulator = np.zeros((dot.rows, self.slices), np.int64)
            group = 0
            while group < dot.inner:
                if kinds[position] == "scales":
                    scales, position = beats[position], position + 1
                used = 2 if dot.format in (Format.W8, Format.KV8) else 1
                words = beats[position : position + used]
                position += used
                inputs = 64 if dot.format in (Format.W2, Format.W2S) else 32
                start = 64 * dot.source + 32 * group
                x = self.memories.activations[: dot.rows, start : start + inputs].astype(np.int64)
                accumulator += self._group(dot, x, words, header, scales, group, block)
                group += inputs // 32
            self._finish(dot, numerics.wrap32(accumulator), header, block, captures[block])

    def _group(self, dot, x, words, header, scales, group, block) -> np.ndarray:
        """Return what a group of inputs x [rows, inputs] adds to the accumulators [rows, slices]."""
        total = x.sum(axis=1)[:, None]
        if dot.format in KEYS:
            codes = np.stack([_code(words, lane) for lane in range(32)])
            zero = _bits(header, 64 * (block % 2) + 24, 8)
            return x @ codes - zero * total
        if dot.format == Format.W2S:
            scale, zero = _bits(words[0], 112, 8), _bits(words[0], 120, 8) & 3
            values = np.zeros((64, self.slices), np.int64)
            for index in range(16):
                code = _bits(words[0], 7 * index, 7)
                for piece in range(self.slices):
                    first, second = _PATTERNS[code[piece] >> 4]
                    values[4 * index + first, piece] = (code[piece] & 3) - zero[piece]
                    values[4 * index + second, piece] = (code[piece] >> 2 & 3) - zero[piece]
            return scale * (x @ values)
        entry = group // (2 if dot.format == Format.W2 else 1) % 8
        scale, offset = _bits(scales, 16 * entry, 8), _bits(scales, 16 * entry + 8, 8)
        if dot.format == Format.W2:
            codes = np.stack([_bits(words[0], 2 * index, 2) for index in range(64)])
            return scale * (x @ (codes - (offset & 3)))
        if dot.format == Format.W8:
            codes = np.stack([_signed(_bits(words[index // 16], 8 * (index % 16), 8), 8) for index in range(32)])
            return scale * (x @ codes)
        codes = np.stack([_bits(words[0], 4 * lane, 4) for lane in range(32)])
        return scale * (x @ codes) + 16 * _signed(offset, 8) * total

    def _finish(self, dot: Dot, accumulator: np.ndarray, header: np.ndarray, block: int, capture: int) -> None:
        """Scale a block's accumulators [rows, slices], add, write."""
        entry = 64 * (block % 2) if dot.format in KEYS else 32 * (block % 4)
        row_scale = _bits(header, entry, 16), _signed(_bits(header, entry + 16, 8), 8)
        parameter = _signed(_bits(header, entry + 32, 32), 32) if dot.format in KEYS else None
        memories = self.memories
        index = 0
        for group in range(self.config.drain_words):
            first = block * self.slices + group * self.lanes
            count = min(self.slices, self.lanes)
            chosen = slice(group * self.lanes, group * self.lanes + count)
            lanes = range(first % self.lanes, first % self.lanes + count)
            for row in range(dot.rows):
                scale = np.int64(memories.mantissa[dot.scale + row]), np.int64(memories.exponent[dot.scale + row])
                combined = numerics.combine((row_scale[0][chosen], row_scale[1][chosen]), scale)
                values = numerics.apply_scale(accumulator[row, chosen], combined)
                address = dot.address + row * dot.stride + first // self.lanes
                side = dot.side + first // self.lanes
                memory = "y"
                if dot.destination == Destination.BIASED:
                    values = numerics.saturate(values + memories.parameter[side, lanes], 32)
                elif dot.destination == Destination.RESIDUAL:
                    values = numerics.saturate(values + memories.residual[address, lanes], 32)
                    memories.residual[address, lanes] = values
                    memory = "x"
                self._emit(capture, index, memory, address, dict(zip(lanes, values.tolist(), strict=True)))
                if parameter is not None and row == 0:
                    self._emit(capture, index, "h", side, dict(zip(lanes, parameter[chosen].tolist(), strict=True)))
                index += 1

    def _axpy(self, axpy: Axpy, beats: np.ndarray, capture: int) -> None:
        """Weigh and sum the beats [beats, slices]."""
        words, planes = 1 << axpy.segments, 2 if axpy.cache == CacheFormat.KV8 else 1
        parts = words // planes
        memories = self.memories
        sums = np.zeros((axpy.rows, parts, 32), np.int64)
        for beat in range(axpy.beats):
            for piece in range(0, self.slices, planes):
                codes = np.array([_code(beats[beat][piece : piece + planes, None], lane)[0] for lane in range(32)])
                token = beat * (self.slices // words) + piece // words
                weight = memories.activations[: axpy.rows, 64 * axpy.source + token].astype(np.int64)
                sums[:, piece % words // planes] += weight[:, None] * codes
        index = 0
        mixed = max(1, self.lanes // 8)
        for lane in range(0, 32, mixed):
            first = lane * parts
            for row in range(axpy.rows):
                scale = np.int64(memories.mantissa[axpy.scale + row]), np.int64(memories.exponent[axpy.scale + row])
                chosen = sums[row, :, lane : lane + mixed].T.reshape(-1)
                raw = numerics.wrap32(chosen - memories.zero_sum[axpy.scale + row])
                values = numerics.apply_scale(raw, scale)
                lanes = range(first % self.lanes, first % self.lanes + mixed * parts)
                address = axpy.address + row * axpy.stride + first // self.lanes
                self._emit(capture, index, "y", address, dict(zip(lanes, values.tolist(), strict=True)))
                index += 1
