"""The operations random programs are made of: products, attention, vector instructions and copies."""

from typing import NamedTuple

import numpy as np

from hwsim.arch.config import LANES_PER_SLICE
from hwsim.arch.isa import (
    Append,
    Axpy,
    CacheFormat,
    CacheKind,
    Destination,
    Dot,
    Fetch,
    Format,
    Function,
    KvQuant,
    Load,
    Norm,
    Quant,
    Rope,
    Scalar,
    Softmax,
    Space,
    Store,
    SwiGlu,
)
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS
from testbenches.random_state import HEADS, SIDE_UNITS, STORE_UNIT, ProgramState, Use
from testbenches.random_streams import row_stream

__all__ = ["LOOP_REGISTERS", "Operations"]

LOOP_REGISTERS = ((8, 9), (10, 11))
"""Registers that change from turn to turn, by loop depth."""


class _Rows(NamedTuple):
    """Rows of words that an instruction reads, as its fields say where they lie."""

    source: int
    stride: int
    length: int
    rows: int

    @property
    def span(self) -> int:
        return (self.rows - 1) * self.stride + self.length

    def read(self, memory: str) -> Use:
        return Use(memory, self.source, self.source + self.span, False)


def _coded(segment: int, segments: int, scale: int, rows: int, *, is_written: bool = False) -> list[Use]:
    """Return the use of rows of codes and their scales."""
    return [Use("A", segment, segment + segments, is_written), Use("S", scale, scale + rows, is_written)]


class Operations(ProgramState):
    """Each operation adds a few instructions with random operands."""

    def _shape(self) -> tuple[Format, int, int]:
        format_ = Format(self._pick(0, 3))
        inner = self._pick(1, min(20, 2 * self.segments))
        blocks = 0 if self._chance(0.1) else self._pick(1, max(1, min(9, 64 * self.lanes // self.slices)))
        return format_, inner + -inner % (format_.sizes.group // LANES_PER_SLICE), blocks

    def _weights(self) -> None:
        """One to three products whose streams are fetched in pieces that need not end where a product ends."""
        shapes = [self._shape() for _ in range(self._pick(1, 3))]
        streams = [row_stream(self.rng, *shape, self.slices) for shape in shapes]
        whole = np.concatenate(streams, axis=1)
        if whole.shape[1] + 64 > self._room():
            return
        fetched = consumed = 0
        open_pieces: list[int] = []
        for shape, stream in zip(shapes, streams, strict=True):
            needed = consumed + stream.shape[1]
            while fetched < needed or (fetched < whole.shape[1] and len(open_pieces) < 2 and self._chance(0.4)):
                rest = whole.shape[1] - fetched
                beats = self._pick(1, rest) if self._chance(0.7) else rest
                # Pieces may queue behind one that waits for this product's pops, but not so many that control stops.
                fifo, waiting = self.config.fetch.fifo_beats, sum(open_pieces)
                if fetched < needed and (waiting > fifo or (len(open_pieces) >= 2 and waiting + beats > fifo)):
                    beats = rest
                self._fetch(self._place(whole[:, fetched : fetched + beats]), beats)
                open_pieces.append(beats)
                fetched += beats
            self._dot(*shape)
            consumed = needed
            while open_pieces and fetched - sum(open_pieces[1:]) <= consumed:
                open_pieces.pop(0)
        self.order.drained()

    def _fetch(self, offset: int, beats: int) -> None:
        self._emit(Fetch, [Use("ports", offset, offset + beats, False)], offset=offset, beats=beats)

    def _dot(self, format_: Format, inner: int, blocks: int) -> None:
        """Emit a product with a random destination."""
        destination = Destination(self._pick(0, 2))
        words = -(-blocks * self.slices // self.lanes)
        limit = self.residual if destination == Destination.RESIDUAL else self.result
        if destination != Destination.RESULT and words > min(limit, self.constants):
            destination, limit = Destination.RESULT, self.result
        rows = self._pick(1, min(self.config.tile.rows_of(format_), limit // max(1, words)))
        stride = words + self._pick(0, min(2, (limit - rows * words) // rows))
        address = self._pick(0, limit - (rows - 1) * stride - words)
        side = self._pick(0, self.constants - words) if destination == Destination.BIASED else 0
        source, scale = self._activations(-(-inner // 2), rows)
        uses = _coded(source, -(-inner // 2), scale, rows)
        span = (address, address + (rows - 1) * stride + words)
        if destination == Destination.RESIDUAL:
            uses += [Use("X", *span, True), *self._residual_ports("X", read=True, written=True)]
        else:
            uses.append(Use("Y", *span, True))
            if words:
                self.results.append((address, words, rows, stride))
        if destination == Destination.BIASED:
            uses.append(Use("P", side, side + words, False))
        self._emit(
            Dot,
            uses,
            format=format_,
            rows=rows,
            source=source,
            inner=inner,
            blocks=blocks,
            scale=scale,
            destination=destination,
            address=address,
            stride=stride,
            side=side,
        )

    def _activations(self, segments: int, rows: int) -> tuple[int, int]:
        """Return a source segment and a scale entry, mostly of codes that were written."""
        source, scale = self._pick(0, self.segments - segments), self._pick(0, self.scales - rows)
        if self.codes and self._chance(0.8):
            start, _, entry = self.codes[-self._pick(1, min(4, len(self.codes)))]
            source, scale = min(start, self.segments - segments), min(entry, self.scales - rows)
        return source, scale

    def _keys(self, blocks: int, register: int = 0, second: int = 0) -> tuple[int, int, int, int, int] | None:
        """Emit scores over the first `blocks` row blocks of the cache, which registers hold in a growing loop."""
        words = -(-blocks * self.slices // self.lanes)
        if words > min(self.result, self.side_words):
            return None
        rows = self._pick(1, min(self.config.tile.rows_of(self.cache.keys), self.result // words))
        address, side = self._pick(0, self.result - rows * words), self._pick(0, self.side_words - words)
        source, scale = self._activations(-(-self.parts // 2), rows)
        beats = self._key_run(blocks)
        cache = Use("ports", self.keys, self.keys + self.key_beats, False)
        uses = [
            *_coded(source, -(-self.parts // 2), scale, rows),
            cache,
            Use("Y", address, address + rows * words, True),
            Use("H", side, side + words, True),
        ]
        fields = {
            "format": self.cache.keys,
            "rows": rows,
            "source": source,
            "inner": self.parts,
            "scale": scale,
            "address": address,
            "stride": words,
            "side": side,
            "destination": Destination.RESULT,
        }
        if register:
            self.order.add(Fetch, {"offset": self.keys, "beats": 0}, (0, second, 0), [cache])
            self.order.add(Dot, {**fields, "blocks": 0}, (register, 0, 0), uses)
        else:
            self._emit(Fetch, [cache], offset=self.keys, beats=beats)
            self._emit(Dot, uses, blocks=blocks, **fields)
        self.results.append((address, words, rows, words))
        self.order.drained()
        return address, words, rows, side, scale

    def _scores(self) -> None:
        found = self._keys(self._pick(1, 2 * self.pairs))
        if found is not None:
            self.scores.append(found)

    def _growing(self) -> None:
        """Scores over a cache that grows from turn to turn, from nothing: block and beat counts out of registers."""
        if self.depth > 1:
            return
        self.order.barrier()
        blocks, beats = LOOP_REGISTERS[self.depth]
        for register in (blocks, beats):
            self.order.control(Scalar(function=Function.ADD, target=register))
        start = self.order.open_loop()
        self.depth += 1
        self._keys(2 * self.pairs, blocks, beats)
        self.order.barrier()
        for register, step in ((blocks, KEY_HEADER_BLOCKS), (beats, self._key_run(KEY_HEADER_BLOCKS))):
            self.order.control(Scalar(function=Function.ADD, target=register, immediate=step, registers=(register, 0, 0)))
        self.depth -= 1
        self.order.close_loop(start, self.pairs + 1)

    def _attention(self) -> None:
        """Softmax of scores, then the weighted sum of values, with stretches of either left out."""
        if not self.scores:
            self._scores()
        if not self.scores:
            return
        source, words, rows, side, _ = self.scores[-1]
        sink_words = self._pick(0, words)
        ring_words = words - sink_words
        segments = -(-words * self.lanes // 64)
        if segments > self.segments:
            return
        destination, scale = self._pick(0, self.segments - segments), self._pick(0, self.scales - rows)
        self._emit(
            Softmax,
            [
                Use("Y", source, source + rows * words, False),
                Use("H", side, side + words, False),
                *_coded(destination, segments, scale, rows, is_written=True),
            ],
            rows=rows,
            source=source,
            stride=words,
            destination=destination,
            scale=scale,
            side=side,
            sink_words=sink_words,
            sinks=self._pick(0, sink_words * self.lanes),
            ring_words=ring_words,
            ring=self._pick(0, ring_words * self.lanes),
        )
        for _ in range(self._pick(0, 2)):
            # No other instruction writes activations in between, so the coefficients are not negative.
            self._values(destination, rows, scale, words * self.lanes)

    def _values(self, source: int, rows: int, scale: int, tokens: int) -> None:
        beats = self._pick(0, min(self.value_beats, tokens * self.held // self.slices))
        words = 32 * self.parts // self.lanes
        if rows * words > self.result:
            return
        stride = words + self._pick(0, min(2, self.result // rows - words))
        address = self._pick(0, self.result - (rows - 1) * stride - words)
        cache = Use("ports", self.values, self.values + self.value_beats, False)
        self._emit(Fetch, [cache], offset=self.values, beats=beats)
        segments = -(-tokens // 64)
        self._emit(
            Axpy,
            [*_coded(source, segments, scale, rows), cache, Use("Y", address, address + (rows - 1) * stride + words, True)],
            rows=rows,
            source=source,
            beats=beats,
            segments=self.held.bit_length() - 1,
            scale=scale,
            address=address,
            stride=stride,
            cache=self.cache,
        )
        self.results.append((address, words, rows, stride))
        self.order.drained()

    def _codes_at(self, source: _Rows) -> tuple[dict[str, int], list[Use]]:
        """Return the fields that place the codes of rows, and the use of those places."""
        segments = -(-source.length * self.lanes // 64)
        destination, scale = self._pick(0, self.segments - segments), self._pick(0, self.scales - source.rows)
        self.codes.append((destination, segments, scale))
        uses = _coded(destination, segments, scale, source.rows, is_written=True)
        return {"destination": destination, "scale": scale}, uses

    def _source(self, most: int, multiple: int = 1) -> _Rows:
        """Return rows of result words, mostly at places that hold results."""
        most = min(most, self.segments * 64 // self.lanes, 40) // multiple * multiple
        rows, length = self._pick(1, self.tokens), multiple * self._pick(1, most // multiple)
        stride = self._pick(0, 6)
        source = self._pick(0, self.result - length - (rows - 1) * stride)
        if self.results and self._chance(0.9):
            start, words, count, apart = self.results[-self._pick(1, min(3, len(self.results)))]
            length = max(multiple, min(length, words) // multiple * multiple)
            rows = min(rows, count)
            if start + (rows - 1) * apart + length <= self.result:
                source, stride = start, apart
            else:
                source = min(source, self.result - length - (rows - 1) * stride)
        return _Rows(source, stride, length, rows)

    def _norm(self) -> None:
        rows = self._pick(1, self.tokens)
        length = self._pick(1, min(self.constants, self.residual // rows, self.segments * 64 // self.lanes))
        source = _Rows(self._pick(0, self.residual - rows * length), length, length, rows)
        codes, uses = self._codes_at(source)
        parameter = self.constants - length
        uses += [source.read("X"), Use("P", parameter, self.constants + 1, False), *self._residual_ports("X", read=True)]
        self._emit(Norm, uses, **source._asdict(), **codes, parameter=parameter, shift=self._pick(12, 20))

    def _quant(self) -> None:
        source = self._source(40)
        codes, uses = self._codes_at(source)
        self._emit(Quant, [*uses, source.read("Y")], **source._asdict(), **codes)

    def _swiglu(self) -> None:
        gate = self._source(40)
        up = gate._replace(source=self._pick(0, self.result - gate.span)) if self._chance(0.5) else gate
        codes, uses = self._codes_at(gate)
        self._emit(SwiGlu, [*uses, gate.read("Y"), up.read("Y")], **gate._asdict(), **codes, up=up.source)

    def _rope(self) -> None:
        source = self._source(self.parameters - self.constants - 2, 2)
        codes, uses = self._codes_at(source)
        parameter = self._pick(self.constants + 1, self.parameters - source.length)
        uses += [source.read("Y"), Use("P", parameter, parameter + source.length, False)]
        factor = {"mantissa": self._pick(32768, 65535), "exponent": self._pick(-22, -14)}
        self._emit(Rope, uses, **source._asdict(), **codes, **factor, parameter=parameter)

    def _kvquant(self) -> None:
        cache, size = self.cache, 32 * self.parts
        if self._chance(0.2):
            # The packed head may differ in size from the cache's: an append takes as many words as a head of the cache has.
            cache = CacheFormat(self._pick(0, 1))
            size = int(self.rng.choice([size for size in HEADS if size >= self.lanes]))
        length = size // self.lanes
        kind = CacheKind(self._pick(0, 1))
        if length % 2 or length > self.parameters - self.constants - 1:
            kind = CacheKind.VALUE
        start = self.results[-1][0] if self.results and self._chance(0.9) else self._pick(0, self.result)
        source, entry = min(start, self.result - length), self._pick(0, 7)
        uses = [Use("Y", source, source + length, False), Use("K", entry, entry + 1, True)]
        parameter = 0
        if kind == CacheKind.KEY:
            parameter = self._pick(self.constants + 1, self.parameters - length)
            uses.append(Use("P", parameter, parameter + length, False))
        self._emit(KvQuant, uses, kind=kind, source=source, length=length, parameter=parameter, entry=entry, cache=cache)
        self.packed[entry] = kind

    def _append(self) -> None:
        if not self.packed:
            self._kvquant()
        entry = int(self.rng.choice(list(self.packed)))
        kind = self.packed[entry]
        uses = [
            Use("K", entry, entry + 1, False),
            Use("ports", self.keys, self.keys + self.key_beats, True),
            Use("ports", self.values, self.values + self.value_beats, True),
        ]
        self._emit(
            Append,
            uses,
            kind=kind,
            entry=entry,
            segments=self.held.bit_length() - 1,
            offset=self.keys if kind == CacheKind.KEY else self.values,
            keys=self.keys,
            slot=self._pick(0, self.slots - 1),
        )

    def _load(self) -> None:
        """Load part of the residual memory again, from any KiB of its image."""
        chunk = 256 // self.lanes
        first = self._pick(0, max(0, self.residual // chunk - 1))
        address = self._pick(0, self.residual - min(chunk, self.residual))
        words = self._pick(1, min(chunk, self.residual - address))
        beats = max(1, words * self.lanes // 4 - self._pick(0, 2))
        uses = [Use("X", address, address + words, True), *self._residual_ports("X", written=True)]
        self._emit(Load, uses, space=Space.RESIDUAL, address=address, beats=beats, offset=512 + 64 * first)

    def _store(self) -> None:
        source, _, length, _ = self._source(40)
        beats = max(1, length * self.lanes // 4 - self._pick(0, 2))
        offset = STORE_UNIT + 64 * self._pick(0, (SIDE_UNITS - STORE_UNIT - 400) // 64)
        self._emit(Store, [Use("Y", source, source + length, False)], address=source, beats=beats, offset=offset)
