"""Lowering of attention whose query heads and key heads are normalized first, each by itself, with the instructions there are.

Queries and keys are projected onto zeros of the residual memory, which NORM reads: it makes codes of a head. A product with
an identity makes fixed values of them again, in the result memory, from where they go on as heads that need no normalization do.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from compiler.graph.ops import NormedAttention
from compiler.lower.attention import AttentionLowering
from compiler.lower.base import SEGMENT, Lowering, Piece, Place
from compiler.lower.codes import norm_parameters
from compiler.lower.heads import Heads
from compiler.target.memory import OnChip, Run, SideTable
from compiler.target.step import WEIGHTS, Step, loads
from hwsim.arch.formats import WEIGHT_FORMATS, PackedMatrix, pack
from hwsim.arch.isa import SIDE_UNIT, Dot, Fetch, Format, Norm, Space
from hwsim.arch.numerics import NORM_SHIFT

if TYPE_CHECKING:
    from models.integer import IntegerModel

__all__ = ["NormedAttentionLowering"]

_ZEROS = "zeros"
_IDENTITY = Format.W4
"""Format of the identity, whose groups are the shortest: a head of 32 has one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Group:
    """Heads first .. first + count - 1 of a token that one NORM takes, counted over queries, then keys."""

    token: int
    first: int
    count: int
    codes: Place


class _NormedHeads(Heads):
    """Heads of which queries and keys lie normalized in the result memory, `apart` words from one to the next.

    raw: their residual rows before that. normed: their result rows after it.
    """

    def __init__(self, run: Run, chip: OnChip, node: str, attention: NormedAttention, source: Place, result: Place, stream: str):
        self._stream = stream
        slices, lanes = run.slices, run.lanes
        count = attention.heads + attention.kv_heads
        self._rows = count * attention.head_dim
        super().__init__(run, chip, node, attention, source, result)
        # A row block of the identity is a whole one, even where a head is not.
        self.apart = max(self.words, slices // lanes)
        self._blocks = -(-self._rows // slices)
        raw_words, user = self._blocks * slices // lanes, f"Node {node}"
        self.raw = Place(memory="residual", start=chip.take("residual", run.tokens * raw_words, user), stride=raw_words)
        self.normed = source
        if self.apart > self.words:
            normed_words = count * self.apart
            start = chip.take("result", run.tokens * normed_words, user)
            self.normed = Place(memory="result", start=start, stride=normed_words)
        self._most = run.engine.tile.rows_of(_IDENTITY)
        self._codes = [
            Place(
                memory="activation",
                start=chip.take("activation", -(-attention.head_dim // SEGMENT), user),
                scale=chip.take("scale", self._most, user),
            )
            for _ in range(run.overlap)
        ]

    @functools.cached_property
    def raw_pieces(self) -> list[Piece]:
        """The pieces of the projection that hold queries and keys, which are added to zeros of the residual memory."""
        return self._cut(range(self._blocks), self.raw, alone=(self._stream,))

    def _pieces(self) -> tuple[Piece, ...]:
        """Return the pieces of the values; the first one begins at a header, and so may hold the last keys once more."""
        slices = self.run.slices
        blocks = -(-(self._rows + self.attention.kv_heads * self.attention.head_dim) // slices)
        return tuple(self._cut(range(self._rows // slices // self._unit * self._unit, blocks), self.source))

    def groups_to_norm(self) -> list[_Group]:
        """Return the heads of every token as NORM takes them: keys, which are awaited first, then queries."""
        heads, kv_heads = self.attention.heads, self.attention.kv_heads
        parts = [
            (token, first, min(self._most, stop - first))
            for start, stop in ((heads, heads + kv_heads), (0, heads))
            for token in range(self.run.tokens)
            for first in range(start, stop, self._most)
        ]
        return [
            _Group(token=token, first=first, count=count, codes=self._codes[index % len(self._codes)])
            for index, (token, first, count) in enumerate(parts)
        ]

    def norm(self, group: _Group, parameters: int, region: str) -> Step:
        """Return the step that makes codes of a group; it has the residual memory to itself.

        parameters: word of the gains of its kind. region: of the parameters of the node.
        """
        norm = Norm(
            rows=group.count,
            source=self.raw.start + group.token * self.raw.stride + group.first * self.words,
            stride=self.words,
            length=self.words,
            destination=group.codes.start,
            scale=group.codes.scale,
            parameter=parameters,
            shift=NORM_SHIFT,
        )
        size, slices = self.attention.head_dim, self.run.slices
        held = [piece.place.region for piece in self.raw_pieces if piece.holds(slices, group.first * size, group.count * size)]
        return Step(norm, self.node, reads=(*held, region), writes=(group.codes.region, self._stream))

    def restore(self, group: _Group) -> list[Step]:
        """Return the product with the identity that makes fixed values of a group's codes."""
        size = self.attention.head_dim
        blocks = -(-size // self.run.slices)
        beats = WEIGHT_FORMATS[_IDENTITY].stream_words(blocks, size)
        fetch = Fetch(offset=self.run.memory.streams[self.node], beats=beats, registers=(WEIGHTS, 0, 0))
        dot = Dot(
            format=_IDENTITY,
            rows=group.count,
            source=group.codes.start,
            inner=size // 32,
            blocks=blocks,
            scale=group.codes.scale,
            address=self._head_source(group.token, group.first),
            stride=self.apart,
        )
        writes = tuple(f"normed.{head}" for head in range(group.first, group.first + group.count))
        return [Step(fetch, self.node), Step(dot, self.node, reads=(group.codes.region,), writes=writes, consumes=1)]

    def _head_source(self, token: int, head: int) -> int:
        if head >= self.attention.heads + self.attention.kv_heads:
            return super()._head_source(token, head)
        return self.normed.start + token * self.normed.stride + head * self.apart

    def _regions_of(self, first: int, count: int) -> tuple[str, ...]:
        if first >= self.attention.heads + self.attention.kv_heads:
            return super()._regions_of(first, count)
        return tuple(f"normed.{head}" for head in range(first, first + count))


class NormedAttentionLowering(AttentionLowering):
    """Rotary attention whose query heads and key heads are normalized first."""

    op: NormedAttention
    _heads: _NormedHeads
    uses_parameters_early = True

    def stream_beats(self) -> int:
        """Return the beats of the identity, which every layer's weights hold."""
        size = self.op.head_dim
        return WEIGHT_FORMATS[_IDENTITY].stream_words(-(-size // self.engine.tile.slices), size)

    def matrix(self, model: IntegerModel, layer: int) -> PackedMatrix:
        """Return the identity."""
        from models.integer.constants import head_identity

        return pack(head_identity(self.op.head_dim))

    def parameter_words(self) -> int:
        """Return the words of the gains of queries and of keys, and of a word of constants behind each."""
        return 2 * self._kind_words

    @property
    def _kind_words(self) -> int:
        return self.op.head_dim // self.engine.vector.lanes + 1

    def parameters(self, model: IntegerModel, layer: int) -> np.ndarray:
        """Return gains, epsilon and the scale 1 / head_dim of queries, then of keys."""
        from models.matrices import HEAD_NORMS, layer_part

        lanes = self.engine.vector.lanes
        return np.concatenate([norm_parameters(model, layer_part(layer, part), lanes) for part in HEAD_NORMS])

    def side_tables(self, *, tokens: int, sequences: int, positions: int) -> tuple[SideTable, ...]:
        """Return the buffers of rotations, and of zeros, onto which the queries and keys of a run's tokens are projected."""
        rows, slices = (self.op.heads + self.op.kv_heads) * self.op.head_dim, self.engine.tile.slices
        units = -(-rows // slices) * slices * 4 // SIDE_UNIT
        tables = super().side_tables(tokens=tokens, sequences=sequences, positions=positions)
        return (*tables, SideTable(name=_ZEROS, row_units=units, rows=tokens))

    def claim(self, run: Run, chip: OnChip) -> None:
        """Take places for every group in flight, for the rotations, and for the heads that are normalized."""
        held: Lowering = self
        while held.place.memory != "residual":
            held = held.sources[0]
        source = self.argument(0, "result")
        self._heads = _NormedHeads(run, chip, self.name, self.op, source, self.place, held.place.region)

    def loads(self, run: Run) -> list[Step]:
        """Return the loads of each position's rotations, and the zeros of the first layer."""
        return super().loads(run) + self._zeros(run)

    def _zeros(self, run: Run) -> list[Step]:
        """Return the loads that put zeros where the next layer's queries and keys are projected."""
        raw, memory = self._heads.raw, run.memory
        writes = tuple(dict.fromkeys(region for piece in self._heads.raw_pieces for region in (piece.place.region, *piece.alone)))
        beats = run.tokens * memory.row_units[_ZEROS]
        return loads(Space.RESIDUAL, raw.start, run.lanes, beats, memory.units(_ZEROS), node=self.name, writes=writes)

    def receive(self, run: Run, rows: range) -> list[Step | Piece]:
        """Return the pieces, with the normalization of queries and keys behind them, and the appends of the first tokens.

        While the values are projected, the first heads are normalized. The zeros come behind the appends, which hold
        attention up.
        """
        heads = self._heads
        parts: list[Step | Piece] = [*heads.position_values(0)] if run.positions > 1 else []
        parts += heads.raw_pieces
        groups, ahead = heads.groups_to_norm(), run.overlap
        norms = [heads.norm(group, self._gains_of(group.first), self.parameter_region) for group in groups]
        parts += [*norms[:ahead], *heads.pieces]
        for index, group in enumerate(groups):
            parts += [*heads.restore(group), *norms[index + ahead : index + ahead + 1]]
        parts += [step for head in range(self.op.kv_heads) for row in run.first_rows for step in heads.append(row, head)]
        return parts + self._zeros(run)

    def _gains_of(self, head: int) -> int:
        """Return the word of the gains of a query, or of a key, which is counted on."""
        return self.parameter_start + (0 if head < self.op.heads else self._kind_words)
