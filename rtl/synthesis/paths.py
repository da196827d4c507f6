"""The longest paths of a circuit from register to register, through the borders of its modules."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hwsim.errors import MachineError
from rtl.synthesis.cell_arcs import arcs_of, begins_of, ends_of
from rtl.synthesis.delays import Delays
from rtl.synthesis.mapped import Cell, Mapped, Pins

__all__ = ["Cost", "ModulePath", "ModulePaths", "PortBit", "paths_of"]

_FIELD_BITS = 20
_BY_LEVELS, _BY_DELAY = range(2)
_ORDERS = (_BY_LEVELS, _BY_DELAY)
"""What the longest path is the longest by."""

PortBit = tuple[str, int]
"""A bit of a module's port: its name and the number in it."""


class Cost(NamedTuple):
    """What a path is made of: levels of look-up tables, cells of carry chains, wires, and the delay of its cells in picoseconds."""

    levels: int
    carries: int
    nets: int
    delay_ps: int

    def packed(self, order: int) -> int:
        """Return the cost as one number: these add as costs do, and the longer of two paths has the larger one."""
        first, second = (self.levels, self.delay_ps) if order == _BY_LEVELS else (self.delay_ps, self.levels)
        return (((first << _FIELD_BITS | second) << _FIELD_BITS) | self.nets) << _FIELD_BITS | self.carries

    @classmethod
    def of(cls, packed: int, order: int) -> "Cost":
        """Return the cost that a number stands for."""
        mask = (1 << _FIELD_BITS) - 1
        first, second, nets, carries = (packed >> _FIELD_BITS * place & mask for place in (3, 2, 1, 0))
        levels, delay_ps = (first, second) if order == _BY_LEVELS else (second, first)
        return cls(levels, carries, nets, delay_ps)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ModulePath:
    """A path that has both ends below a module, and leaves it nowhere.

    Attributes:
        start, end: registers or memories, as paths below the module; a bit in brackets, a pin that is no data after a colon.
        cost: what it is made of.
    """

    start: str
    end: str
    cost: Cost


class _Place(NamedTuple):
    """A register or memory by its name, or a bit of a child's port behind which there is one."""

    name: str
    child: int | None
    bit: PortBit | None


class _Step(NamedTuple):
    """A way from one bit to another, and its cost by each order."""

    bit: int
    costs: tuple[int, int]


class _Reached(NamedTuple):
    """The longest path to a bit from a register, or from it to one: its cost, the bit it goes on from, and the last place."""

    cost: int
    bit: int | None
    place: _Place | None


class ModulePaths:
    """The longest paths to, from, through and inside a module."""

    def __init__(self, mapped: Mapped, children: Sequence["ModulePaths"], delays: Delays):
        """children: of `mapped.children`, in their order."""
        self._mapped, self._children = mapped, children
        self._steps: dict[int, list[_Step]] = collections.defaultdict(list)
        self._begins: dict[int, list[tuple[tuple[int, int], _Place]]] = collections.defaultdict(list)
        self._ends: dict[int, list[tuple[tuple[int, int], _Place]]] = collections.defaultdict(list)
        for cell in mapped.cells:
            self._add_cell(cell, delays)
        for number, (instance, child) in enumerate(zip(mapped.children, children, strict=True)):
            self._add_child(number, instance, child)
        self._order = self._sorted()
        self._inputs, self._outputs = dict(_port_bits(mapped.inputs)), dict(_port_bits(mapped.outputs))
        self._arrivals = tuple(self._arrivals_by(order) for order in _ORDERS)
        self._departures = tuple(self._departures_by(order) for order in _ORDERS)
        self.begins = {port: self._costs(self._arrivals, bit) for port, bit in self._outputs.items() if bit in self._arrivals[0]}
        """What the longest path costs to bits of outputs, from a register inside."""
        self.ends = {port: self._costs(self._departures, bit) for port, bit in self._inputs.items() if bit in self._departures[0]}
        """What the longest path costs from bits of inputs, to a register inside."""
        self.through = dict(self._ways_through())
        """What the longest path costs from a bit of an input to one of an output."""

    def inside(self) -> Iterator[ModulePath]:
        """Yield, of the paths to a register through no module above, the longest by levels and the longest by delay."""
        for order in _ORDERS:
            for bit, ends in self._ends.items():
                if bit in self._arrivals[order]:
                    for costs, place in ends:
                        cost = Cost.of(self._arrivals[order][bit].cost + costs[order], order)
                        yield ModulePath(start=self._start(bit, order), end=self._end(place, order), cost=cost)

    def from_inputs(self) -> Iterator[ModulePath]:
        """Yield the longest paths from inputs of the module to registers and to its outputs."""
        for order in _ORDERS:
            for port, bit in self._inputs.items():
                if bit in self._departures[order]:
                    cost = Cost.of(self._departures[order][bit].cost, order)
                    yield ModulePath(start=_bit_name(port), end=self._end_from(bit, order), cost=cost)
            for (start, end), costs in self.through.items():
                yield ModulePath(start=_bit_name(start), end=_bit_name(end), cost=Cost.of(costs[order], order))

    def to_outputs(self) -> Iterator[ModulePath]:
        """Yield the longest paths from registers to outputs of the module."""
        for order in _ORDERS:
            for port, bit in self._outputs.items():
                if bit in self._arrivals[order]:
                    cost = Cost.of(self._arrivals[order][bit].cost, order)
                    yield ModulePath(start=self._start(bit, order), end=_bit_name(port), cost=cost)

    def _add_cell(self, cell: Cell, delays: Delays) -> None:
        for arc in arcs_of(cell, delays):
            self._steps[arc.start].append(_Step(arc.end, _packed(arc.levels, arc.carries, arc.nets, arc.delay_ps)))
        names = self._mapped.names
        for begin in begins_of(cell, delays):
            place = _Place(names.get(begin.bit, f"{cell.kind} {cell.name}"), None, None)
            self._begins[begin.bit].append((_packed(0, 0, begin.nets, begin.delay_ps), place))
        ends = list(ends_of(cell, delays))
        if ends:
            outputs = [names[bit] for bits in cell.outputs.values() for bit in bits if bit is not None and bit in names]
            name = outputs[0] if outputs else f"{cell.kind} {cell.name}"
            for end in ends:
                place = _Place(name if end.pin == "D" else f"{name}:{end.pin}", None, None)
                self._ends[end.bit].append((_packed(0, 0, end.nets, end.delay_ps), place))

    def _add_child(self, number: int, instance: Cell, child: "ModulePaths") -> None:
        def outer(port: PortBit) -> int | None:
            pins = instance.inputs.get(port[0]) or instance.outputs.get(port[0]) or ()
            return pins[port[1]] if port[1] < len(pins) else None

        for port, costs in child.begins.items():
            if (bit := outer(port)) is not None:
                self._begins[bit].append((costs, _Place(instance.name, number, port)))
        for port, costs in child.ends.items():
            if (bit := outer(port)) is not None:
                self._ends[bit].append((costs, _Place(instance.name, number, port)))
        for (start, end), costs in child.through.items():
            first, last = outer(start), outer(end)
            if first is not None and last is not None:
                self._steps[first].append(_Step(last, costs))

    def _sorted(self) -> list[int]:
        """Return the bits from which ways go on, each after those it depends on."""
        waiting = collections.Counter(step.bit for steps in self._steps.values() for step in steps)
        order = [bit for bit in self._steps if not waiting[bit]]
        for bit in order:
            for step in self._steps.get(bit, ()):
                waiting[step.bit] -= 1
                if not waiting[step.bit]:
                    order.append(step.bit)
        if waiting.total():
            looped = next(bit for bit, count in waiting.items() if count)
            raise MachineError(
                f"Circuit must have a register in every loop, but has none at {self._mapped.names.get(looped, looped)}"
            )
        return order

    def _arrivals_by(self, order: int) -> dict[int, _Reached]:
        found = {}
        for bit, begins in self._begins.items():
            costs, place = max(begins, key=lambda begin: begin[0][order])
            found[bit] = _Reached(costs[order], None, place)
        for bit in self._order:
            if bit in found:
                cost = found[bit].cost
                for step in self._steps.get(bit, ()):
                    total = cost + step.costs[order]
                    if step.bit not in found or total > found[step.bit].cost:
                        found[step.bit] = _Reached(total, bit, None)
        return found

    def _departures_by(self, order: int) -> dict[int, _Reached]:
        found = {}
        for bit, ends in self._ends.items():
            costs, place = max(ends, key=lambda end: end[0][order])
            found[bit] = _Reached(costs[order], None, place)
        for bit in reversed(self._order):
            for step in self._steps.get(bit, ()):
                if step.bit in found:
                    total = found[step.bit].cost + step.costs[order]
                    if bit not in found or total > found[bit].cost:
                        found[bit] = _Reached(total, step.bit, None)
        return found

    def _ways_through(self) -> Iterator[tuple[tuple[PortBit, PortBit], tuple[int, int]]]:
        outputs: dict[int, list[PortBit]] = collections.defaultdict(list)
        for port, bit in self._outputs.items():
            outputs[bit].append(port)
        leads_out = set(outputs)
        for bit in reversed(self._order):
            if any(step.bit in leads_out for step in self._steps.get(bit, ())):
                leads_out.add(bit)
        position = {bit: place for place, bit in enumerate(self._order)}
        for start, first in self._inputs.items():
            if first not in leads_out:
                continue
            cone, stack = {first}, [first]
            while stack:
                for step in self._steps.get(stack.pop(), ()):
                    if step.bit in leads_out and step.bit not in cone:
                        cone.add(step.bit)
                        stack.append(step.bit)
            longest = {first: (0, 0)}
            for bit in sorted(cone, key=lambda bit: position.get(bit, len(position))):
                by_levels, by_delay = longest[bit]
                for step in self._steps.get(bit, ()):
                    if step.bit in cone:
                        old = longest.get(step.bit, (0, 0))
                        longest[step.bit] = (max(old[0], by_levels + step.costs[0]), max(old[1], by_delay + step.costs[1]))
            for bit, costs in longest.items():
                for end in outputs.get(bit, ()):
                    yield (start, end), costs

    def _start(self, bit: int, order: int) -> str:
        reached = self._arrivals[order][bit]
        while reached.bit is not None:
            reached = self._arrivals[order][reached.bit]
        assert reached.place is not None
        name, child, port = reached.place
        if child is None or port is None:
            return name
        inner = self._children[child]
        return f"{name}/{inner._start(inner._outputs[port], order)}"

    def _end(self, place: _Place, order: int) -> str:
        if place.child is None or place.bit is None:
            return place.name
        inner = self._children[place.child]
        return f"{place.name}/{inner._end_from(inner._inputs[place.bit], order)}"

    def _end_from(self, bit: int, order: int) -> str:
        reached = self._departures[order][bit]
        while reached.bit is not None:
            reached = self._departures[order][reached.bit]
        assert reached.place is not None
        return self._end(reached.place, order)

    @staticmethod
    def _costs(reached: tuple[dict[int, _Reached], ...], bit: int) -> tuple[int, int]:
        by_levels, by_delay = (found[bit].cost for found in reached)
        return by_levels, by_delay


def paths_of(mapped: Mapping[str, Mapped], top: str, delays: Delays) -> Mapping[str, ModulePaths]:
    """Return the paths of a module and of those inside it by name, inner ones first.

    Raises:
        MachineError: a cell is unknown, or a loop has no register.
    """
    found: dict[str, ModulePaths] = {}

    def visit(name: str) -> None:
        if name not in found:
            for child in mapped[name].children:
                visit(child.kind)
            found[name] = ModulePaths(mapped[name], [found[child.kind] for child in mapped[name].children], delays)

    visit(top)
    return found


def _packed(levels: int, carries: int, nets: int, delay_ps: int) -> tuple[int, int]:
    cost = Cost(levels, carries, nets, delay_ps)
    return cost.packed(_BY_LEVELS), cost.packed(_BY_DELAY)


def _port_bits(pins: Pins) -> Iterator[tuple[PortBit, int]]:
    for port, bits in pins.items():
        for place, bit in enumerate(bits):
            if bit is not None:
                yield (port, place), bit


def _bit_name(port: PortBit) -> str:
    return f"{port[0]}[{port[1]}]"
