"""The limits of what an instruction may ask of an engine: ranges inside its memories, shapes that its units can run."""

from collections.abc import Callable

import numpy as np

from hwsim.arch import isa
from hwsim.arch.complete import require_rows
from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import SIDE_UNIT, UNIT_INSTRUCTIONS, CacheKind, Destination, Space
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS, CacheFormat, Format
from hwsim.errors import ProgramError
from hwsim.machine.trace import Trace

__all__ = ["check"]

_SEGMENT = 64
_SIDE_ALIGN = 64
_PACK_WORDS = 8
_HEADS = (32, 64, 128)


def check(trace: Trace, config: EngineConfig, port_bytes: int | None = None, side_bytes: int | None = None) -> None:
    """Raise ProgramError for the first instruction that asks for what the engine does not have.

    `port_bytes` and `side_bytes` are the sizes of the memory images (default: `channel_bytes`, and no limit).
    """
    _Rules(trace, config, port_bytes, side_bytes).check()


class _Rules:
    """Collects violations by instruction index, so that the first one executed is named."""

    def __init__(self, trace: Trace, config: EngineConfig, port_bytes: int | None, side_bytes: int | None):
        self.trace, self.config = trace, config
        self.port_beats = min(port_bytes or config.channel_bytes, config.channel_bytes) // config.tile.port_bytes
        self.side_units = (1 << 40 if side_bytes is None else side_bytes) // SIDE_UNIT
        self.lanes = config.vector.lanes
        self.first: tuple[int, str] | None = None

    def check(self) -> None:
        """Check everything."""
        words = len(self.trace.decoded.words)
        if words > self.config.control.program_words:
            raise ProgramError(f"Program must have at most {self.config.control.program_words} words, not {words}")
        rows = self.trace.first_rows
        own = self.trace.unit[rows]
        for name in ("wait", "signal"):
            is_other = self.trace.header(name)[rows] & 1 << own == 0
            self._require(rows, is_other, f"must not {name} for its own unit {{}}", np.array([unit.name for unit in Unit])[own])
        for kind, rule in _RULES.items():
            rule(self, kind)
        if self.first is not None:
            index, text = self.first
            raise ProgramError(f"{self.trace.name(index)} {text}")

    def _require(self, rows: np.ndarray, is_met: np.ndarray, text: str, *values: np.ndarray) -> None:
        """Note the first of `rows` of which something is not met, with its values put into the text."""
        broken = np.flatnonzero(~is_met)
        if len(broken) and (self.first is None or rows[broken[0]] < self.first[0]):
            self.first = int(rows[broken[0]]), text.format(*(value[broken[0]] for value in values))

    def _within(self, rows: np.ndarray, field: str, memory: str, end: np.ndarray, limit: int, unit: str) -> None:
        """Require that the range named by `field`, which ends before `end`, lies in the first `limit` units."""
        text = f"must keep {field} within the {limit} {unit} of {memory}, not {{}} beyond"
        self._require(rows, end <= limit, text, end - limit)

    def _between(self, kind: type[Instruction], rows: np.ndarray, field: str, low: int, high: int) -> np.ndarray:
        values = self.trace.values(kind, field, rows)
        self._require(rows, (values >= low) & (values <= high), f"must have {field} {low} to {high}, not {{}}", values)
        return values

    def _rows_at(
        self, kind: type[Instruction], rows: np.ndarray, field: str, memory: str, words: np.ndarray, limit: int, is_written: bool
    ) -> None:
        """Require that rows of `words` from `field` on lie in a memory and, when written, are disjoint."""
        count, stride, start = (self.trace.values(kind, name, rows) for name in ("rows", "stride", field))
        self._within(rows, field, memory, start + np.maximum(count - 1, 0) * stride + words, limit, "words")
        if is_written:
            is_apart = (count <= 1) | (stride >= words)
            self._require(rows, is_apart, "must have stride at least the {} words of a row, not {}", words, stride)

    def _scales(self, kind: type[Instruction], rows: np.ndarray) -> None:
        count, scale = self.trace.values(kind, "rows", rows), self.trace.values(kind, "scale", rows)
        self._within(rows, "scale", "the scale file", scale + count, self.config.buffer.scales, "entries")

    def _codes(self, rows: np.ndarray, kind: type[Instruction], field: str, codes: np.ndarray) -> None:
        end = self.trace.values(kind, field, rows) + -(-codes // _SEGMENT)
        self._within(rows, field, "activation memory", end, self.config.buffer.activation_segments, "segments")

    def _fetch(self, kind: type[Instruction]) -> None:
        rows = self.trace.first_rows_of(kind)
        offset, beats = self.trace.values(kind, "offset", rows), self.trace.values(kind, "beats", rows)
        self._within(rows, "offset and beats", "a port", np.where(beats > 0, offset + beats, 0), self.port_beats, "beats")

    def _dot(self, kind: type[Instruction]) -> None:
        trace, buffer, slices = self.trace, self.config.buffer, self.config.tile.slices
        rows = self.trace.first_rows_of(kind)
        self._between(kind, rows, "rows", 1, self.config.tile.tokens)
        rows = rows[trace.values(kind, "blocks", rows) > 0]
        formats, inner = trace.values(kind, "format", rows), self._between(kind, rows, "inner", 1, 1023)
        is_paired = np.isin(formats, [format for format in Format if format.has_two_bit_codes])
        self._between(kind, rows[~is_paired], "rows", 1, self.config.tile.nibble_rows)
        self._require(rows, ~is_paired | (inner % 2 == 0), "must have an even inner in format W2 or W2S")
        self._codes(rows, kind, "source", inner * 32)
        self._scales(kind, rows)
        words = -(-trace.values(kind, "blocks", rows) * slices // self.lanes)
        destination, side = trace.values(kind, "destination", rows), trace.values(kind, "side", rows)
        for is_residual, memory, limit in (
            (False, "result memory", buffer.result_words),
            (True, "residual memory", buffer.residual_words),
        ):
            chosen = (destination == Destination.RESIDUAL) == is_residual
            self._rows_at(kind, rows[chosen], "address", memory, words[chosen], limit, True)
        is_key, is_biased = np.isin(formats, [each for each in Format if each.cache is not None]), destination == Destination.BIASED
        names = np.array([each.name for each in Format])[formats]
        self._require(rows, ~(is_key & is_biased), "must not be both {} and BIASED, which share the field side", names)
        self._within(rows[is_key], "side", "value parameter memory", (side + words)[is_key], buffer.side_words, "words")
        self._within(rows[is_biased], "side", "parameter memory", (side + words)[is_biased], buffer.parameter_words, "words")

    def _axpy(self, kind: type[Instruction]) -> None:
        trace, slices = self.trace, self.config.tile.slices
        rows = self.trace.first_rows_of(kind)
        self._between(kind, rows, "rows", 1, self.config.tile.nibble_rows)
        held = 1 << trace.values(kind, "segments", rows)
        most = min(slices, self.lanes)
        self._require(rows, held <= most, f"must hold a token in at most {most} slices, not {{}}", held)
        planes = np.array([cache.planes for cache in CacheFormat])[trace.values(kind, "cache", rows)]
        self._require(rows, held >= planes, "must hold a token of KV8 in at least 2 slices, not 1")
        tokens = trace.values(kind, "beats", rows) * (slices // np.minimum(held, slices))
        self._codes(rows, kind, "source", tokens)
        self._scales(kind, rows)
        words = 32 * held // planes // self.lanes
        self._rows_at(kind, rows, "address", "result memory", words, self.config.buffer.result_words, True)

    def _quantizer(self, kind: type[Instruction]) -> None:
        trace, buffer = self.trace, self.config.buffer
        rows = self.trace.first_rows_of(kind)
        self._between(kind, rows, "rows", 1, self.config.tile.tokens)
        length = self._between(kind, rows, "length", 1, self.config.temporary_words)
        memory, limit = ("residual memory", buffer.residual_words) if kind is isa.Norm else ("result memory", buffer.result_words)
        for field in ("source", "up") if kind is isa.SwiGlu else ("source",):
            self._rows_at(kind, rows, field, memory, length, limit, False)
        self._codes(rows, kind, "destination", length * self.lanes)
        self._scales(kind, rows)
        if kind in (isa.Norm, isa.Rope):
            words = length + 1 if kind is isa.Norm else length
            end = trace.values(kind, "parameter", rows) + words
            self._within(rows, "parameter", "parameter memory", end, buffer.parameter_words, "words")
        if kind is isa.Rope:
            self._require(rows, length % 2 == 0, "must have an even length")

    def _softmax(self, kind: type[Instruction]) -> None:
        trace, buffer = self.trace, self.config.buffer
        rows = self.trace.first_rows_of(kind)
        self._between(kind, rows, "rows", 1, self.config.tile.tokens)
        words = trace.values(kind, "sink_words", rows) + trace.values(kind, "ring_words", rows)
        self._require(rows, words >= 1, "must have at least one word of scores")
        most = self.config.temporary_words
        self._require(rows, words <= most, f"must have at most {most} words of scores, those of the temporary memory")
        self._rows_at(kind, rows, "source", "result memory", words, buffer.result_words, False)
        end = trace.values(kind, "side", rows) + words
        self._within(rows, "side", "value parameter memory", end, buffer.side_words, "words")
        self._codes(rows, kind, "destination", words * self.lanes)
        self._scales(kind, rows)

    def _kvquant(self, kind: type[Instruction]) -> None:
        trace, buffer = self.trace, self.config.buffer
        rows = self.trace.first_rows_of(kind)
        length, source = trace.values(kind, "length", rows), trace.values(kind, "source", rows)
        elements = length * self.lanes
        self._require(rows, np.isin(elements, _HEADS), "must quantize a head of 32, 64 or 128 elements, not {}", elements)
        self._within(rows, "source", "result memory", source + length, buffer.result_words, "words")
        keys = rows[trace.values(kind, "kind", rows) == CacheKind.KEY]
        length = trace.values(kind, "length", keys)
        self._require(keys, length % 2 == 0, "must have an even length for a key")
        end = trace.values(kind, "parameter", keys) + length
        self._within(keys, "parameter", "parameter memory", end, buffer.parameter_words, "words")

    def _append(self, kind: type[Instruction]) -> None:
        trace, slices = self.trace, self.config.tile.slices
        rows = self.trace.first_rows_of(kind)
        words = 1 << trace.values(kind, "segments", rows)
        most = min(slices, _PACK_WORDS)
        self._require(rows, words <= most, f"must hold a token in at most {most} slices, not {{}}", words)
        words = np.minimum(words, most)
        slot = trace.values(kind, "slot", rows)
        offset, keys = trace.values(kind, "offset", rows), trace.values(kind, "keys", rows)
        block = slot // slices
        group, place = np.divmod(block, KEY_HEADER_BLOCKS)
        header = group * (1 + KEY_HEADER_BLOCKS * words)
        is_key = trace.values(kind, "kind", rows) == CacheKind.KEY
        end = offset + np.where(is_key, header + 1 + (place + 1) * words, slot // (slices // words) + 1)
        self._within(rows, "offset and slot", "a port", end, self.port_beats, "beats")
        self._within(rows, "keys and slot", "a port", keys + header + 1, self.port_beats, "beats")

    def _copy(self, kind: type[Instruction]) -> None:
        trace, buffer = self.trace, self.config.buffer
        rows = self.trace.first_rows_of(kind)
        beats = self._between(kind, rows, "beats", 1, 4095)
        offset, address = trace.values(kind, "offset", rows), trace.values(kind, "address", rows)
        if kind is isa.Load:
            first = offset % _SIDE_ALIGN
            whole = (first == 0) | (first + trace.values(kind, "beats", rows) <= _SIDE_ALIGN)
            self._require(rows, whole, f"must start at a multiple of {_SIDE_ALIGN} units or lie between two of them")
        self._within(rows, "offset and beats", "side memory", offset + beats, self.side_units, "16-byte units")
        end = address + -(-4 * beats // self.lanes)
        if kind is isa.Store:
            self._within(rows, "address", "result memory", end, buffer.result_words, "words")
            return
        is_residual = trace.values(kind, "space", rows) == Space.RESIDUAL
        self._within(rows[is_residual], "address", "residual memory", end[is_residual], buffer.residual_words, "words")
        self._within(rows[~is_residual], "address", "parameter memory", end[~is_residual], buffer.parameter_words, "words")


_RULES: dict[type[Instruction], Callable[[_Rules, type[Instruction]], None]] = {
    isa.Fetch: _Rules._fetch,
    isa.Dot: _Rules._dot,
    isa.Axpy: _Rules._axpy,
    **dict.fromkeys((isa.Norm, isa.Quant, isa.SwiGlu, isa.Rope), _Rules._quantizer),
    isa.Softmax: _Rules._softmax,
    isa.KvQuant: _Rules._kvquant,
    isa.Append: _Rules._append,
    **dict.fromkeys((isa.Load, isa.Store), _Rules._copy),
}
require_rows(_RULES, UNIT_INSTRUCTIONS, what="rules that say what it may ask for", module=__name__)
