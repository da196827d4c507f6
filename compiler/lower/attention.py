"""Lowering of attention: it takes its projection in pieces, keeps the cache, and has several heads in flight."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.graph.ops import Attention
from compiler.lower.base import SEGMENT, Arrival, Lowering, Product
from compiler.lower.heads import HeadGroup, Heads
from compiler.lower.projection import pieces_of
from compiler.lower.slots import ring_extent, token_values
from compiler.target.memory_map import SIDE_UNIT, SideTable
from compiler.target.on_chip import OnChip
from compiler.target.registers import SCRATCH, add, scalar
from compiler.target.run import Rows, Run
from compiler.target.step import Step, loads
from hwsim.arch.formats import CacheLayout
from hwsim.arch.isa import REGISTER_POSITION, CacheFormat, Function, Space
from hwsim.errors import ScheduleError

__all__ = ["AttentionLowering"]

_TABLE = "rotation"


class AttentionLowering(Lowering):
    """Rotary attention over sinks and a recent window, its keys and values in the cache behind the ports."""

    arrival = Arrival.PIECES
    op: Attention

    def check(self) -> None:
        """Refuse heads that are not whole words in both halves."""
        unit = 2 * self.engine.vector.lanes
        if self.op.head_dim % unit:
            raise ScheduleError(
                f"Head dimension of {self.name} must be a multiple of {unit}, two vector words, not {self.op.head_dim}"
            )

    def caches(self, format: CacheFormat) -> tuple[int, CacheLayout]:
        """Return the KV heads and the layout of one's cache."""
        return self.op.kv_heads, CacheLayout.of(self.engine, format, self.op.head_dim, self.op.sinks, self.op.window)

    def side_table(self, *, tokens: int, sequences: int, positions: int) -> SideTable:
        """Return the buffer of rotations, one row a position."""
        return SideTable(name=_TABLE, row_units=self.op.head_dim * 4 // SIDE_UNIT, rows=positions)

    def settle(self, run: Run, chip: OnChip, before: Sequence[Lowering]) -> None:
        """Take a place for the results."""
        self.place = self.new_place("result", run, chip)

    def claim(self, run: Run, chip: OnChip) -> None:
        """Take regions for every group in flight, and for the rotations."""
        op, cache, user = self.op, run.memory.cache, f"Node {self.name}"
        source = self.argument(0, "result")
        queries = min(op.heads // op.kv_heads, run.engine.tile.rows_of(cache.format.keys))
        score_words = (cache.sink_slots + cache.ring_slots) // run.lanes
        flights = range(run.overlap)

        def rows(segments: int) -> tuple[tuple[int, int], ...]:
            return tuple((chip.take("activation", segments, user), chip.take("scale", queries, user)) for _ in flights)

        head_segments = -(-op.head_dim // SEGMENT)
        self._heads = Heads(
            run=run,
            node=self.name,
            attention=op,
            source=source,
            result=self.place,
            pieces=pieces_of(op, run.engine, source),
            queries=queries,
            rotation=chip.take("parameter", 2 * run.positions * op.head_dim // run.lanes, user),
            scores=tuple(chip.take("result", queries * score_words, user) for _ in flights),
            score_stride=score_words,
            value_parameters=tuple(chip.take("side", score_words, user) for _ in flights),
            ring_queries=rows(head_segments),
            sink_queries=rows(head_segments),
            coefficients=rows(-(-score_words * run.lanes // SEGMENT)),
        )

    def loads(self, run: Run) -> list[Step]:
        """Return the loads of each position's rotations: its own and, for the sinks, one that stays within the window."""
        op, memory = self.op, run.memory
        words = op.head_dim // run.lanes
        steps: list[Step] = []
        for position in range(run.positions):
            for kind in range(2 if op.sinks else 1):
                steps.append(add(SCRATCH, REGISTER_POSITION, position))
                if kind:
                    steps.append(scalar(Function.MIN, SCRATCH, SCRATCH, op.sinks + op.window - 1))
                steps.append(scalar(Function.MUL, SCRATCH, SCRATCH, memory.row_units[_TABLE]))
                steps += loads(
                    Space.PARAMETER,
                    self._heads.rotation + (2 * position + kind) * words,
                    run.lanes,
                    op.head_dim // 4,
                    memory.units(_TABLE),
                    register=SCRATCH,
                    node=self.name,
                    writes=("rotation",),
                )
        return steps

    def settings(self, run: Run) -> list[Step]:
        """Return the steps that set the extent of the ring and, where it is the only one, the position's registers."""
        return ring_extent(run, self.op) + (token_values(run, self.op, 0) if run.positions == 1 else [])

    def receive(self, product: Product, run: Run, rows: Rows) -> list[Step]:
        """Return the products of the pieces; a head of a first token is appended as soon as its key and value are there."""
        op, heads, done = self.op, self._heads, 0
        # Where a run has one position, it is set once; later positions change the registers in every layer.
        steps = token_values(run, op, 0) if run.positions > 1 else []
        appends: list[Step] = []
        for index, piece in enumerate(heads.pieces):
            # Behind the product after the one that completed them, so that a full queue of theirs holds no product up.
            steps += product(piece) + appends
            appends = []
            missing = heads.pieces[index + 1 :]
            while done < op.kv_heads:
                firsts = [(op.heads + first + done) * op.head_dim for first in (0, op.kv_heads)]
                if any(other.holds(run.slices, first, op.head_dim) for other in missing for first in firsts):
                    break
                for row in run.first_rows:
                    appends += heads.append(row, done)
                done += 1
        return steps + appends

    def steps(self, run: Run, rows: Rows) -> list[Step]:
        """Return the steps of every (token, KV head).

        While a group is scored, queries of later ones are prepared, the one before is weighed, and the oldest of those
        in flight is mixed: each unit of the engine works on a head of its own. The key and value of a sequence's next
        token follow as soon as the token before needs its head's cache no more.
        """
        groups = self._heads.groups()
        flow = _Flow(self._heads)
        # As far ahead as there are places for queries.
        ahead = run.overlap - 1
        for index in range(-ahead, len(groups)):
            if index + ahead < len(groups):
                flow.prepare(groups[index + ahead])
            if index >= 0:
                flow.score(groups[index])
        while flow.in_flight:
            flow.mix()
        return flow.steps


class _Flow:
    """The groups in flight, and the steps that took them there."""

    def __init__(self, heads: Heads):
        self.heads = heads
        self.run = run = heads.run
        self.steps: list[Step] = []
        self.in_flight: list[HeadGroup] = []
        self._weighed = 0
        self._known = 0
        self._appended = {(row, head) for row in run.first_rows for head in range(heads.attention.kv_heads)}

    def prepare(self, group: HeadGroup) -> None:
        """Rotate and quantize the group's queries."""
        self._know(self.run.position_of(group.token))
        self.steps += self.heads.prepare(group)

    def score(self, group: HeadGroup) -> None:
        """Score the group; weigh the one before, and mix the oldest when as many are in flight as there is room for."""
        while (group.token, group.kv_head) not in self._appended:
            self.mix()
        self.steps += self.heads.score(group)
        self.in_flight.append(group)
        self._weigh(len(self.in_flight) - 1)
        if len(self.in_flight) == self.run.overlap:
            self.mix()

    def mix(self) -> None:
        """Mix the oldest group in flight; when it was the last of its token and head, the next token takes its slot."""
        self._weigh(1)
        group = self.in_flight.pop(0)
        self._weighed -= 1
        self.steps += self.heads.mix(group)
        if group.is_last and self.run.position_of(group.token) + 1 < self.run.positions:
            self._know(self.run.position_of(group.token) + 1)
            self.steps += self.heads.append(group.token + 1, group.kv_head)
            self._appended.add((group.token + 1, group.kv_head))

    def _know(self, position: int) -> None:
        """Set the registers of a position, which the position before last had."""
        if position <= self._known:
            return
        self._weigh(sum(self.run.position_of(group.token) <= position - 2 for group in self.in_flight))
        self.steps += token_values(self.run, self.heads.attention, position)
        self._known = position

    def _weigh(self, count: int) -> None:
        """Weigh the first `count` groups in flight that are not."""
        while self._weighed < count:
            self.steps += self.heads.weigh(self.in_flight[self._weighed])
            self._weighed += 1
