"""How many cells each wire of a circuit drives, counted through the borders of its modules."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rtl.synthesis.cell_arcs import Use, held_at, is_register_data, use_of
from rtl.synthesis.mapped import Cell, Mapped
from rtl.synthesis.paths import PortBit

__all__ = ["LoadedNet", "loaded_nets"]


class _Loads(NamedTuple):
    """Pins that a net drives, by what they take it for (Use)."""

    clocks: int
    resets: int
    data: int

    def plus(self, other: "_Loads", sign: int = 1) -> "_Loads":
        return _Loads(*(one + sign * another for one, another in zip(self, other, strict=True)))


_NOTHING = _Loads(0, 0, 0)
_MOST_NAMES = 3
"""Names that describe a net without one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LoadedNet:
    """A net.

    Attributes:
        driver: the register, cell or port that drives it, as a path below the top.
        copies: how many such nets there are, in copies of the module that drives it.
        loads: pins that it drives, of all kinds.
        resets: those of them that do no more than reset registers: by their reset pins, or through look-up tables that are constant
            while the net is high, into which mappers fold a reset where an input is left.
        is_clock: whether it clocks anything.
    """

    driver: str
    copies: int
    loads: int
    resets: int
    is_clock: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Border:
    """A net of a module that reaches its ports: the bits of these, the loads inside, and whether it is driven inside."""

    bits: tuple[PortBit, ...]
    loads: _Loads
    is_driven: bool


class _ModuleNets:
    """The nets of a module, with those that submodules connect joined."""

    def __init__(self, mapped: Mapped, children: list["_ModuleNets"]):
        self.mapped, self.children = mapped, children
        self.borders: list[_Border] = []
        self._same: dict[int, int] = {}
        loads: dict[int, _Loads] = collections.defaultdict(lambda: _NOTHING)
        driven = set()
        for instance, child in zip(mapped.children, children, strict=True):
            pins = instance.pins
            for border in child.borders:
                outer = [bit for bit in (pins[port][place] for port, place in border.bits if port in pins) if bit is not None]
                for bit in outer[1:]:
                    self._join(outer[0], bit)
        for instance, child in zip(mapped.children, children, strict=True):
            for border in child.borders:
                net = self.outer(instance.pins, border)
                if net is not None:
                    loads[net] = loads[net].plus(border.loads)
                    if border.is_driven:
                        driven.add(net)
        self._made_of: dict[int, Cell] = {}
        self._names: dict[int, str] = {}
        self._users: dict[int, list[tuple[Cell, str]]] = collections.defaultdict(list)
        for cell in mapped.cells:
            for pin, bits in cell.inputs.items():
                for each in bits:
                    if each is not None:
                        self._users[self.first(each)].append((cell, pin))
            for each in (bit for bits in cell.outputs.values() for bit in bits if bit is not None):
                self._made_of[self.first(each)] = cell
                if each in mapped.names:
                    self._names[self.first(each)] = mapped.names[each]
        ends = (*mapped.outputs.values(), *(bits for instance in mapped.children for bits in instance.pins.values()))
        self._leaving = {self.first(bit) for bits in ends for bit in bits if bit is not None}
        for net, users in self._users.items():
            uses = [Use.RESET if self._resets(cell, pin, 1) else use_of(cell, pin) for cell, pin in users]
            loads[net] = loads[net].plus(_Loads(*(uses.count(each) for each in (Use.CLOCK, Use.RESET, Use.DATA))))
        self.loads: Mapping[int, _Loads] = loads
        ports: dict[int, list[PortBit]] = collections.defaultdict(list)
        for name, pin_bits in (*mapped.inputs.items(), *mapped.outputs.items()):
            for place, pin_bit in enumerate(pin_bits):
                if pin_bit is not None:
                    ports[self.first(pin_bit)].append((name, place))
        self.borders += [
            _Border(bits=tuple(bits), loads=loads.get(bit, _NOTHING), is_driven=bit in driven or bit in self._made_of)
            for bit, bits in ports.items()
        ]

    def first(self, bit: int) -> int:
        """Return the bit that stands for all that are joined with one."""
        while bit in self._same:
            bit = self._same[bit]
        return bit

    def drivers(self, *, is_top: bool) -> set[int]:
        """Return the nets that a cell of the module drives, and those of its inputs where it is the top."""
        inputs = self.mapped.inputs.values() if is_top else ()
        return {*self._made_of, *(self.first(bit) for bits in inputs for bit in bits if bit is not None)}

    def name_of(self, bit: int) -> str:
        """Return the name of a net in our source; where it has none, the names of what it is made of."""
        names = self.mapped.names
        if bit in self._names or bit in names:
            return self._names.get(bit) or names[bit]
        found: dict[str, None] = {}
        seen, waiting = {bit}, [bit]
        for each in waiting:
            inputs = self._made_of[each].inputs.values() if each in self._made_of else ()
            for below in (below for bits in inputs for below in bits if below is not None):
                if below in names:
                    found[names[below]] = None
                elif self.first(below) not in seen:
                    seen.add(self.first(below))
                    waiting.append(self.first(below))
        return f"logic of {', '.join(sorted(found)[:_MOST_NAMES])}" if found else f"net {bit}"

    def outer(self, pins: Mapping[str, tuple[int | None, ...]], border: _Border) -> int | None:
        """Return the net that the border of an instance with these pins is in this module."""
        bits = (pins[port][place] for port, place in border.bits if port in pins)
        return next((self.first(bit) for bit in bits if bit is not None), None)

    def _resets(self, cell: Cell, pin: str, value: int) -> bool:
        """Return whether a pin resets registers alone while it is at a value, by itself or through look-up tables."""
        if use_of(cell, pin) == Use.RESET:
            return True
        held = held_at(cell, pin, value)
        if held is None:
            return False
        nets = [self.first(bit) for bits in cell.outputs.values() for bit in bits if bit is not None]
        return not self._leaving.intersection(nets) and all(
            is_register_data(user, its_pin) or self._resets(user, its_pin, held)
            for net in nets
            for user, its_pin in self._users[net]
        )

    def _join(self, one: int, other: int) -> None:
        if self.first(one) != self.first(other):
            self._same[self.first(one)] = self.first(other)


def loaded_nets(mapped: Mapping[str, Mapped], top: str) -> Iterator[LoadedNet]:
    """Yield the nets below a module, each where it is driven; those that its inputs drive are named by these."""
    modules: dict[str, _ModuleNets] = {}

    def made(name: str) -> _ModuleNets:
        if name not in modules:
            modules[name] = _ModuleNets(mapped[name], [made(child.kind) for child in mapped[name].children])
        return modules[name]

    outermost = made(top)
    places: dict[tuple[str, tuple[_Loads, ...]], list[str]] = collections.defaultdict(list)

    def walk(name: str, path: str, outside: tuple[_Loads, ...]) -> None:
        """outside: loads of each border of the module that lie outside it."""
        seen = places[name, outside]
        seen.append(path)
        module = modules[name]
        totals = dict(module.loads)
        for border, loads in zip(module.borders, outside, strict=True):
            bit = module.first(_bit_of(module.mapped, border.bits[0]))
            totals[bit] = totals.get(bit, _NOTHING).plus(loads)
        for instance, child in zip(module.mapped.children, module.children, strict=True):
            around = []
            for border in child.borders:
                net = module.outer(instance.pins, border)
                around.append(_NOTHING if net is None or not border.is_driven else totals.get(net, _NOTHING).plus(border.loads, -1))
            walk(instance.kind, f"{path}{instance.name}/", tuple(around))

    walk(top, "", (_NOTHING,) * len(outermost.borders))
    most: dict[tuple[str, int], LoadedNet] = {}
    for (name, outside), paths in places.items():
        module = modules[name]
        added = {
            module.first(_bit_of(module.mapped, border.bits[0])): loads
            for border, loads in zip(module.borders, outside, strict=True)
        }
        for bit in module.drivers(is_top=name == top):
            loads = module.loads.get(bit, _NOTHING).plus(added.get(bit, _NOTHING))
            old = most.get((name, bit))
            if any(loads):
                here = LoadedNet(
                    driver=paths[0] + module.name_of(bit) if old is None or sum(loads) > old.loads else old.driver,
                    copies=len(paths) + (old.copies if old else 0),
                    loads=max(sum(loads), old.loads if old else 0),
                    resets=max(loads.resets, old.resets if old else 0),
                    is_clock=loads.clocks > 0,
                )
                most[name, bit] = here
    yield from most.values()


def _bit_of(mapped: Mapped, port: PortBit) -> int:
    name, place = port
    bit = (mapped.inputs.get(name) or mapped.outputs[name])[place]
    assert bit is not None
    return bit
