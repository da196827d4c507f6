"""What a decode program of every candidate holds, counted as the compiler does: beats, bytes, instructions, words on chip."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from compiler.lower.base import SEGMENT
from compiler.lower.heads import MOST_PIECES
from compiler.lower.host import CHUNKS, MOST_ROWS
from compiler.lower.linear import MOST_INNER
from compiler.schedule.placement import OVERLAPS
from compiler.target.step import LOAD_LIMIT
from hwsim.arch.config import SLICE_BITS
from hwsim.arch.formats import CacheSizes
from hwsim.arch.formats.cache import BEAT_TOKENS, HEAD_DIMS
from hwsim.arch.isa import SIDE_UNIT, Dot, Norm
from hwsim.arch.program import INSTRUCTION_BYTES
from hwsim.arch.stream_sizes import SIZES, WEIGHT_HEADER_BLOCKS, CacheFormat, Format, StreamSizes
from lamforge.explore.candidates import Candidates

__all__ = ["Attention", "HeadNorms", "Matrix", "Sizes", "ceil_div", "sizes_of"]

_ENTRY_BYTES = 4
"""Bytes of the header entry that an append writes besides its words."""
_FIELD_WORDS = 1 << Norm.field("length").width
_FIELD_STRIDE = 1 << Dot.field("stride").width
"""Where the fields of instructions for the words of a row and from one row to the next end."""


def ceil_div(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """Return a / b rounded up."""
    return -(-a // b)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """A streamed matrix of every candidate; arrays [candidates].

    Attributes:
        blocks: row blocks.
        body: beats of a row block without its share of a header.
        block_cycles: cycles in which a body is multiplied.
        beats: beats of the whole stream.
    """

    blocks: np.ndarray
    body: np.ndarray
    block_cycles: np.ndarray
    beats: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HeadNorms:
    """What compiler/lower/head_norms.py adds to a layer, zero where heads are not normalized; arrays [candidates].

    Attributes:
        identity: the product that makes fixed values of codes, of one group.
        most: heads that one NORM takes. groups: such groups of one row.
        parameter_words: of the gains and constants. raw_words: of a row of queries and keys before their normalization.
        result_words: of a row of those after it, where they do not lie where the projection would put them.
        zero_beats: side beats of zeros for a row. pieces: pieces of the projection. again_beats: beats that two of them share.
    """

    identity: Matrix
    most: np.ndarray
    groups: np.ndarray
    parameter_words: np.ndarray
    raw_words: np.ndarray
    result_words: np.ndarray
    zero_beats: np.ndarray
    pieces: np.ndarray
    again_beats: np.ndarray

    @classmethod
    def of(cls, c: Candidates, slices: np.ndarray, qkv: Matrix) -> HeadNorms:
        """Return what the normalization adds to candidates whose projection is `qkv`."""
        has, lanes, heads = c.has_head_norms, c.lanes, c.heads + c.kv_heads
        rows, most = heads * c.head_dim, np.minimum(c.tokens, c.nibble_tokens)
        blocks, unit = ceil_div(rows, slices), np.maximum(WEIGHT_HEADER_BLOCKS, lanes // slices)
        begin = rows // slices // unit * unit

        def pieces(count: np.ndarray) -> np.ndarray:
            return ceil_div(count, unit * ceil_div(count, unit * MOST_PIECES))

        def beats(count: np.ndarray) -> np.ndarray:
            return ceil_div(count, WEIGHT_HEADER_BLOCKS) + count * qkv.body

        identity = _matrix(np.full_like(has, Format.W4), slices, c.head_dim, c.head_dim)
        head_words, apart = c.head_dim // lanes, np.maximum(c.head_dim // lanes, slices // lanes)
        return cls(
            identity=Matrix(**{name: has * part for name, part in vars(identity).items()}),
            most=has * most,
            groups=has * (ceil_div(c.heads, most) + ceil_div(c.kv_heads, most)),
            parameter_words=has * 2 * (head_words + 1),
            raw_words=has * (blocks * slices // lanes),
            result_words=has * np.where(apart > head_words, heads * apart, 0),
            zero_beats=has * (blocks * slices // 4),
            pieces=has * (pieces(blocks) + pieces(qkv.blocks - begin)),
            again_beats=has * (beats(blocks) - beats(begin)),
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Attention:
    """The attention of one token of every candidate; arrays [candidates].

    Attributes:
        words: 128-bit words of a cached head. head_words: vector words of a head.
        key_body: beats of a row block of keys without its share of a header.
        has_sinks: whether sinks are read apart from the ring.
        sink_blocks, sink_key_beats, sink_value_beats: row blocks and beats of a head's sinks.
        ring_blocks, ring_key_beats, ring_value_beats: the same of the ring at the position that is run.
        score_words: vector words of a row of scores.
        queries: query heads of a group, which share one pass over the keys. group_size: query heads of a KV head.
        parts: groups of one token and KV head. groups: groups of a layer.
        overlap: groups in flight.
    """

    words: np.ndarray
    key_body: np.ndarray
    head_words: np.ndarray
    has_sinks: np.ndarray
    sink_blocks: np.ndarray
    sink_key_beats: np.ndarray
    sink_value_beats: np.ndarray
    ring_blocks: np.ndarray
    ring_key_beats: np.ndarray
    ring_value_beats: np.ndarray
    score_words: np.ndarray
    queries: np.ndarray
    group_size: np.ndarray
    parts: np.ndarray
    groups: np.ndarray
    overlap: np.ndarray

    def head(self, count: int) -> Attention:
        """Return the attention of the first `count` candidates."""
        return Attention(**{name: part[:count] for name, part in vars(self).items()})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sizes:
    """The decode programs of candidates, counted; arrays [candidates] of int64.

    Attributes:
        slices: slices of the engine.
        qkv, o, gateup, down, head: the matrices.
        piece_blocks: row blocks of a piece of `qkv`. key_pieces, value_pieces, query_pieces: its pieces by what they hold.
        attention: sizes of the attention. norms: what the normalization of heads adds.
        final_rows, passes: rows that the head takes at once, and how often it runs.
        chunk_blocks, chunks: row blocks of a chunk of the head, and chunks of a pass.
        load_beats: side beats of the parameters that a layer loads. first_load_beats: of those loaded before the layers.
        input_beats: side beats of a row of the input. rotation_beats: of a row of the rotation.
        program: instruction words.
        stream_bytes, side_read_bytes, side_write_bytes: as `Timeline` counts them.
        lacking: by memory, how much it lacks; zero or negative where it is enough. Units are those of the memory: bytes
            behind each port (`channel`), words, segments, entries, instructions (`program`).
        stream_beats: beats of all streams of the run.
        fits: whether the compiler takes the candidate.
    """

    slices: np.ndarray
    qkv: Matrix
    o: Matrix
    gateup: Matrix
    down: Matrix
    head: Matrix
    piece_blocks: np.ndarray
    key_pieces: np.ndarray
    value_pieces: np.ndarray
    query_pieces: np.ndarray
    attention: Attention
    norms: HeadNorms
    final_rows: np.ndarray
    passes: np.ndarray
    chunk_blocks: np.ndarray
    chunks: np.ndarray
    load_beats: np.ndarray
    first_load_beats: np.ndarray
    input_beats: np.ndarray
    rotation_beats: np.ndarray
    program: np.ndarray
    stream_bytes: np.ndarray
    side_read_bytes: np.ndarray
    side_write_bytes: np.ndarray
    lacking: dict[str, np.ndarray]
    stream_beats: np.ndarray
    fits: np.ndarray


def _by_format(formats: np.ndarray, value: Callable[[StreamSizes], np.ndarray | int]) -> np.ndarray:
    """Return a value of `StreamSizes` by the candidates' formats."""
    return np.choose(formats, [value(SIZES[format]) for format in Format])


def _matrix(formats: np.ndarray, slices: np.ndarray, rows: np.ndarray, inputs: np.ndarray) -> Matrix:
    blocks = ceil_div(rows, slices)
    body = _by_format(formats, lambda sizes: sizes.body_words(inputs))
    # Words that are no data, those of scales, take a cycle each.
    extra = _by_format(formats, lambda sizes: (sizes.word_cycles - 1) * (inputs // sizes.group) * sizes.group_words)
    beats = ceil_div(blocks, WEIGHT_HEADER_BLOCKS) + blocks * body
    return Matrix(blocks=blocks, body=body, block_cycles=body + extra, beats=beats)


def _rows_of(formats: np.ndarray, candidates: Candidates) -> np.ndarray:
    """Return the rows of `TileConfig.rows_of`."""
    few = np.minimum(candidates.tokens, candidates.nibble_tokens)
    return np.where(np.isin(formats, [format for format in Format if format.has_two_bit_codes]), candidates.tokens, few)


def _row_words(width: np.ndarray, slices: np.ndarray, lanes: np.ndarray) -> np.ndarray:
    """Return the words of `Lowering.row_words`."""
    block = np.maximum(slices, lanes)
    return ceil_div(width, block) * block // lanes


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Cache:
    """The sizes of `CacheSizes` by the candidates' cache formats."""

    words: np.ndarray
    head_beats: np.ndarray
    sink_slots: np.ndarray
    ring_slots: np.ndarray
    sink_tokens: np.ndarray
    sink_key_beats: np.ndarray
    sink_value_beats: np.ndarray
    ring_key_beats: np.ndarray
    ring_value_beats: np.ndarray
    read_slots: np.ndarray


def _cache(c: Candidates, slices: np.ndarray) -> _Cache:
    align = np.maximum(slices, c.lanes)
    # The ring holds what came before the first position with a full window, and that position itself.
    position = np.maximum(np.minimum(c.sinks + c.window, c.positions - 1), 0)
    read = ceil_div(np.clip(position + 1 - c.sinks, 0, c.window), align) * align
    found = []
    for format in CacheFormat:
        sizes = CacheSizes(slices=slices, lanes=c.lanes, head_dim=c.head_dim, sinks=c.sinks, window=c.window, format=format)
        found.append(
            _Cache(
                words=sizes.words,
                head_beats=sizes.key_beats + sizes.value_beats,
                sink_slots=sizes.sink_slots,
                ring_slots=sizes.ring_slots,
                sink_tokens=sizes.sink_tokens,
                sink_key_beats=np.where(c.sinks > 0, sizes.key_run_beats(sizes.sink_slots), 0),
                sink_value_beats=sizes.value_offset(sizes.sink_tokens),
                ring_key_beats=sizes.key_run_beats(read),
                ring_value_beats=sizes.value_offset(read),
                read_slots=read,
            )
        )
    chosen = {
        field.name: np.choose(c.cache_format, [getattr(each, field.name) for each in found]) for field in dataclasses.fields(_Cache)
    }
    return _Cache(**chosen)


def _loads(beats: np.ndarray) -> np.ndarray:
    """Return the LOAD instructions that `compiler.target.step.loads` takes for side beats."""
    return ceil_div(beats, LOAD_LIMIT)


def sizes_of(c: Candidates) -> Sizes:
    """Return the sizes of candidates, whose arrays all have the shape [candidates].

    Sources: matrices and pieces, compiler/lower; places on chip, compiler/schedule/placement.py; memories off chip,
    compiler/schedule/memory_map.py; the program, compiler/schedule/order.py.
    """
    slices, lanes, batch = c.ports * c.port_bits // SLICE_BITS, c.lanes, c.batch
    query_rows, key_rows = c.heads * c.head_dim, c.kv_heads * c.head_dim
    qkv = _matrix(c.layer_format, slices, query_rows + 2 * key_rows, c.hidden)
    o = _matrix(c.layer_format, slices, c.hidden, query_rows)
    gateup = _matrix(c.layer_format, slices, 2 * c.ffn, c.hidden)
    down = _matrix(c.layer_format, slices, c.hidden, c.ffn)
    head = _matrix(c.head_format, slices, c.vocab, c.hidden)
    norms = HeadNorms.of(c, slices, qkv)
    cache = _cache(c, slices)

    step = np.maximum(WEIGHT_HEADER_BLOCKS, lanes // slices)
    step = step * ceil_div(qkv.blocks, step * MOST_PIECES)
    pieces = ceil_div(qkv.blocks, step)
    query_pieces = query_rows // (step * slices)
    value_start = (query_rows + key_rows) // (step * slices)

    # Places on chip, of a run of one row for each sequence.
    group_size = c.heads // c.kv_heads
    queries = np.minimum(group_size, np.minimum(c.tokens, c.nibble_tokens))
    layer_rows, head_rows = _rows_of(c.layer_format, c), _rows_of(c.head_format, c)
    final_rows = np.minimum(np.minimum(batch, c.tokens), head_rows)
    norm_words = c.hidden // lanes + 1
    parameters, ahead = 2 * norm_words + norms.parameter_words, norm_words
    score_words = (cache.sink_slots + cache.ring_slots) // lanes
    chip = _Chip(c, slices, parameters, score_words, queries, norms)
    overlap, lacking = chip.overlap(batch, batch, final_rows), chip.lacking(batch, batch, final_rows)
    left = (c.result_words - chip.used("result", batch, batch, overlap)) // (CHUNKS * final_rows)
    chunk_rows = np.maximum(np.minimum(left * lanes, MOST_ROWS) // chip.chunk_unit, 1) * chip.chunk_unit
    chunk_blocks = chunk_rows // slices
    chunks = ceil_div(head.blocks, chunk_blocks)
    passes = ceil_div(batch, final_rows)
    overlap = np.maximum(overlap, min(OVERLAPS))

    # Behind the ports, for the caches of all sequences.
    layer_beats = qkv.beats + o.beats + gateup.beats + down.beats
    total = (layer_beats + norms.identity.beats) * c.layers + head.beats + batch * c.layers * c.kv_heads * cache.head_beats
    lacking["channel"] = total * (c.port_bits // 8) - c.channel_bytes

    # Instructions, in the order of the program.
    parts = ceil_div(group_size, queries)
    groups = batch * c.kv_heads * parts
    has_sinks = c.sinks > 0
    load_beats, first_load_beats = parameters * lanes // 4, (parameters - ahead) * lanes // 4
    input_beats, rotation_beats = c.hidden // 4, c.head_dim // 4
    group_steps = np.where(has_sinks, 6, 3) + 1 + np.where(cache.sink_value_beats > 0, 3, 2)

    def steps(rows: np.ndarray, positions: np.ndarray | int) -> np.ndarray:
        """Return the steps up to the end of the layer: loads, registers, barrier and loop, then the layer."""
        registers = np.where((batch > 1) & (positions > 1), 4, 1) + 2 + 12 + np.where(np.equal(positions, 1), 6, 0)
        loads = rows * _loads(input_beats) + positions * np.where(has_sinks, 7, 3) + _loads(first_load_beats)
        later = np.where(np.equal(positions, 1), 0, 6 + (positions - 1) * np.where(has_sinks, 8, 7))
        attention = 4 * c.kv_heads * rows + rows * c.kv_heads * parts * group_steps + later
        # Zeros are loaded in front of the layers and in each; a group of heads is a NORM, a fetch and a product.
        loads = loads + 2 * _loads(rows * norms.zero_beats) + 3 * rows * norms.groups
        projected = np.where(c.has_head_norms > 0, norms.pieces, pieces)
        return loads + registers + 2 + 1 + 2 * projected + _loads(load_beats) + attention + 1 + 2 + 1 + 2 + 1 + 2 + 3

    def prefill(rows: np.ndarray) -> np.ndarray:
        """Return the instructions of a prefill run of so many rows, one of several sequences or the only one."""
        return steps(rows, rows) + 1 + np.where((batch > 1) & (rows == 1), 3, 0)

    program = steps(batch, 1) + passes * (1 + 2 * chunks) + batch * chunks + 1
    longest = prefill(layer_rows)
    if (longest > c.program_words).any():
        # Fewer rows may be all that the memories on chip take.
        longest = prefill(chip.most_rows(layer_rows))
    lacking["program"] = np.maximum(program, longest) - c.program_words
    lacking["batch"] = batch - layer_rows

    group_beats = cache.sink_key_beats + cache.ring_key_beats + cache.sink_value_beats + cache.ring_value_beats
    normed_beats = norms.again_beats + batch * norms.groups * norms.identity.beats
    stream_beats = c.layers * (layer_beats + normed_beats + groups * group_beats) + passes * head.beats
    reads = program + batch * input_beats + np.where(has_sinks, 2, 1) * rotation_beats + first_load_beats + c.layers * load_beats
    reads = reads + (c.layers + 1) * batch * norms.zero_beats
    chunk_beats = (chunks - 1) * ceil_div(chunk_blocks * slices, 4) + ceil_div(
        (head.blocks - (chunks - 1) * chunk_blocks) * slices, 4
    )
    written = c.layers * batch * c.kv_heads * 2 * (cache.words * SIDE_UNIT + _ENTRY_BYTES) + batch * chunk_beats * SIDE_UNIT

    fits = _is_possible(c, slices, cache.words) & np.logical_and.reduce([short <= 0 for short in lacking.values()])
    return Sizes(
        slices=slices,
        qkv=qkv,
        o=o,
        gateup=gateup,
        down=down,
        head=head,
        piece_blocks=step,
        key_pieces=value_start - query_pieces,
        value_pieces=pieces - value_start,
        query_pieces=query_pieces,
        attention=Attention(
            words=cache.words,
            key_body=cache.words,
            head_words=c.head_dim // lanes,
            has_sinks=has_sinks,
            sink_blocks=np.where(has_sinks, cache.sink_slots // slices, 0),
            sink_key_beats=cache.sink_key_beats,
            sink_value_beats=cache.sink_value_beats,
            ring_blocks=cache.read_slots // slices,
            ring_key_beats=cache.ring_key_beats,
            ring_value_beats=cache.ring_value_beats,
            score_words=(cache.sink_tokens + cache.read_slots) // lanes,
            queries=queries,
            group_size=group_size,
            parts=parts,
            groups=groups,
            overlap=overlap,
        ),
        norms=norms,
        final_rows=final_rows,
        passes=passes,
        chunk_blocks=chunk_blocks,
        chunks=chunks,
        load_beats=load_beats,
        first_load_beats=first_load_beats,
        input_beats=input_beats,
        rotation_beats=rotation_beats,
        program=program,
        stream_bytes=stream_beats * slices * (SLICE_BITS // 8),
        side_read_bytes=reads * INSTRUCTION_BYTES,
        side_write_bytes=written,
        lacking=lacking,
        stream_beats=stream_beats,
        fits=fits,
    )


class _Chip:
    """What runs need of the memories on chip, as `OnChip` gives it out for `place_nodes`.

    Rows are the token rows of a run, final rows those of the head at once, and overlap the groups of heads in flight.
    """

    def __init__(
        self,
        c: Candidates,
        slices: np.ndarray,
        parameters: np.ndarray,
        score_words: np.ndarray,
        queries: np.ndarray,
        norms: HeadNorms,
    ):
        self.candidates, lanes, query_rows = c, c.lanes, c.heads * c.head_dim
        widths = (query_rows + 2 * c.kv_heads * c.head_dim, query_rows, 2 * c.ffn)
        none = np.zeros_like(c.batch)
        self._fixed = {
            "activation": ceil_div(c.hidden, SEGMENT) + ceil_div(query_rows, SEGMENT) + ceil_div(c.ffn, SEGMENT),
            "parameter": parameters,
        }
        self._row = {
            "result": sum((_row_words(width, slices, lanes) for width in widths), none) + norms.result_words,
            "residual": _row_words(c.hidden, slices, lanes) + norms.raw_words,
            "scale": none + 3,
        }
        self._position = {"parameter": 2 * (c.head_dim // lanes)}
        self._group = {
            "activation": (2 + c.has_head_norms) * ceil_div(c.head_dim, SEGMENT) + ceil_div(score_words * lanes, SEGMENT),
            "result": queries * score_words,
            "side": score_words,
            "scale": 3 * queries + norms.most,
        }
        self._limits = {
            "activation": c.activation_segments,
            "result": c.result_words,
            "residual": c.residual_words,
            "parameter": c.parameter_words,
            "side": c.side_words,
            "scale": c.scales,
        }
        self.chunk_unit = 4 * np.maximum(slices, lanes)
        """Matrix rows of the smallest chunk of the head."""

    def used(self, memory: str, rows: np.ndarray, sequences: np.ndarray | int, overlap: np.ndarray | int) -> np.ndarray:
        """Return what a run takes of a memory, the chunks of the head left out."""
        shares = ((self._fixed, 1), (self._row, rows), (self._position, rows // sequences), (self._group, overlap))
        return sum((each[memory] * count for each, count in shares if memory in each), np.zeros_like(rows))

    def lacking(
        self, rows: np.ndarray, sequences: np.ndarray | int, final_rows: np.ndarray, overlap: int = min(OVERLAPS)
    ) -> dict[str, np.ndarray]:
        """Return by memory how much is missing; zero or negative where there is enough."""
        short = {memory: self.used(memory, rows, sequences, overlap) - limit for memory, limit in self._limits.items()}
        # Two chunks of the head lie in what is left of the result memory.
        short["result"] = short["result"] + CHUNKS * final_rows * (self.chunk_unit // self.candidates.lanes)
        return short

    def overlap(self, rows: np.ndarray, sequences: np.ndarray | int, final_rows: np.ndarray) -> np.ndarray:
        """Return the groups in flight, the most that fit; 0 where none do."""
        found = np.zeros_like(rows)
        for overlap in sorted(OVERLAPS):
            short = self.lacking(rows, sequences, final_rows, overlap)
            found = np.where(np.logical_and.reduce([each <= 0 for each in short.values()]), overlap, found)
        return found

    def most_rows(self, limit: np.ndarray) -> np.ndarray:
        """Return the rows of a prefill run of one sequence, as many as fit up to `limit`, and one where not even two do."""
        one = np.ones_like(limit)
        found = one
        for rows in range(2, int(limit.max(initial=1)) + 1):
            found = np.where((rows <= limit) & (self.overlap(rows * one, 1, one) > 0), rows, found)
        return found


def _is_possible(c: Candidates, slices: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return whether the engine can run the shapes at all: the refusals of lowering and of the layout of the cache."""
    fits = (c.head_dim % (2 * c.lanes) == 0) & np.isin(c.head_dim, HEAD_DIMS) & (words <= slices) & (words <= c.lanes)
    fits &= (slices // np.maximum(words, 1) <= BEAT_TOKENS) & (c.ffn % c.lanes == 0) & (c.batch >= 1)
    fits &= np.maximum(np.maximum(c.hidden, c.ffn), c.heads * c.head_dim) // c.lanes < _FIELD_WORDS
    fits &= _row_words(2 * c.ffn, slices, c.lanes) < _FIELD_STRIDE
    fits &= _row_words((c.heads + 2 * c.kv_heads) * c.head_dim, slices, c.lanes) < _FIELD_STRIDE
    for format, inputs in (
        (c.layer_format, c.hidden),
        (c.layer_format, c.heads * c.head_dim),
        (c.layer_format, c.ffn),
        (c.head_format, c.hidden),
    ):
        fits &= (inputs % _by_format(format, lambda sizes: sizes.group) == 0) & (inputs // 32 <= MOST_INNER)
    return fits
