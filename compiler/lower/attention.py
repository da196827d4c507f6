"""Lowering of attention: it takes its projection in pieces, keeps the cache, and has several heads in flight."""

import itertools

from compiler.graph.ops import Attention
from compiler.lower.base import Arrival, Lowering, Piece
from compiler.lower.heads import HeadGroup, Heads
from compiler.target.memory import OnChip, Run, SideTable
from compiler.target.step import SCRATCH, Step, add, loads, scalar
from hwsim.arch.formats import CacheLayout
from hwsim.arch.isa import REGISTER_POSITION, SIDE_UNIT, CacheFormat, Function, Space
from hwsim.errors import ScheduleError

__all__ = ["AttentionLowering"]

_TABLE = "rotation"


class AttentionLowering(Lowering):
    """Rotary attention over sinks and a recent window, its keys and values in the cache behind the ports."""

    arrival = Arrival.PIECES
    memory = "result"
    op: Attention

    def check(self) -> None:
        unit = 2 * self.engine.vector.lanes
        if self.op.head_dim % unit:
            raise ScheduleError(
                f"Head dimension of {self.name} must be a multiple of {unit}, two vector words, not {self.op.head_dim}"
            )

    def caches(self, format: CacheFormat) -> tuple[int, CacheLayout]:
        return self.op.kv_heads, CacheLayout.of(self.engine, format, self.op.head_dim, self.op.sinks, self.op.window)

    def side_tables(self, *, tokens: int, sequences: int, positions: int) -> tuple[SideTable, ...]:
        """Return the buffer of rotations, one row a position."""
        return (SideTable(name=_TABLE, row_units=self.op.head_dim * 4 // SIDE_UNIT, rows=positions),)

    def claim(self, run: Run, chip: OnChip) -> None:
        """Take places for every group in flight, and for the rotations."""
        self._heads = Heads(run, chip, self.name, self.op, self.argument(0, "result"), self.place)

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
        return self._heads.ring_extent() + (self._heads.position_values(0) if run.positions == 1 else [])

    def receive(self, run: Run, rows: range) -> list[Step | Piece]:
        """Return the pieces; a head of a first token is appended as soon as its key and value are there."""
        heads = self._heads
        # Where a run has one position, it is set once; later positions change the registers in every layer.
        parts: list[Step | Piece] = [*heads.position_values(0)] if run.positions > 1 else []
        # A head is appended behind the ones before it.
        complete = list(itertools.accumulate(map(heads.complete, range(self.op.kv_heads)), max))
        appends: list[Step] = []
        for index, piece in enumerate(heads.pieces):
            # Behind the product after the one that completed them, so that a full queue of theirs holds no product up.
            parts += [piece, *appends]
            ready = [head for head, last in enumerate(complete) if last == index]
            appends = [step for head in ready for row in run.first_rows for step in heads.append(row, head)]
        return parts + appends

    def steps(self, run: Run, rows: range) -> list[Step]:
        """Return the steps of every (token, KV head).

        While a group is scored, queries of later ones are prepared, the one before is weighed, and the oldest of those
        in flight is mixed: each unit of the engine works on a head of its own. The key and value of a sequence's next
        token follow as soon as the token before needs its head's cache no more.
        """
        groups = self._heads.groups()
        flow = _Flow(self._heads, groups)
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
    """The groups in flight, those that are to come, and the steps that took them there."""

    def __init__(self, heads: Heads, groups: list[HeadGroup]):
        self.heads = heads
        self._unscored = list(groups)
        self.run = run = heads.run
        self.steps: list[Step] = []
        self.in_flight: list[HeadGroup] = []
        self._weighed = 0
        self._known = 0
        self._appended = {(row, head) for row in run.first_rows for head in range(heads.attention.kv_heads)}

    def prepare(self, group: HeadGroup) -> None:
        """Rotate and quantize the group's queries."""
        position = self.run.position_of(group.token)
        # The position before last had the same registers, which its groups read until they are weighed.
        if position > self._known and all(self.run.position_of(other.token) > position - 2 for other in self._unscored):
            self._know(position)
        self.steps += self.heads.prepare(group)

    def score(self, group: HeadGroup) -> None:
        """Score the group; weigh the one before, and mix the oldest when as many are in flight as there is room for."""
        while (group.token, group.kv_head) not in self._appended:
            self.mix()
        self.steps += self.heads.score(group)
        self._unscored.remove(group)
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
        self.steps += self.heads.position_values(position)
        self._known = position

    def _weigh(self, count: int) -> None:
        """Weigh the first `count` groups in flight that are not."""
        while self._weighed < count:
            self.steps += self.heads.weigh(self.in_flight[self._weighed])
            self._weighed += 1
