"""A circuit among its laws: what its environment may do, what it must then do, and the state that the laws speak of."""

from __future__ import annotations

import itertools

from amaranth import ClockDomain, Const, Elaboratable, Module, Signal, Value
from amaranth.hdl import Assert, Assume, Fragment, MemoryInstance
from amaranth.lib import wiring

__all__ = ["Laws", "Probe"]


class _Elaborated(Elaboratable):
    """A fragment that can be added as a submodule."""

    def __init__(self, fragment: Fragment):
        self.fragment = fragment

    def elaborate(self, platform: object) -> Fragment:
        return self.fragment


class Probe:
    """Reaches the registers and memories of an elaborated circuit by their names.

    Names are paths: `level`, or `masks_fetch.write_index` in a submodule. An unknown name is a KeyError that lists the known ones.
    """

    def __init__(self, fragment: Fragment):
        self.signals: dict[str, Signal] = {}
        self.memories: dict[str, MemoryInstance] = {}
        self.addresses: list = []
        self._collect(fragment, "")

    def _collect(self, fragment: Fragment, path: str) -> None:
        for statements in fragment.statements.values():
            for signal in statements._lhs_signals():
                self.signals.setdefault(path + signal.name, signal)
        for number, (child, name, _) in enumerate(fragment.subfragments):
            label = path + (name or str(number))
            if isinstance(child, MemoryInstance):
                self.memories[label] = child
            self._collect(child, label + ".")

    def __getitem__(self, name: str) -> Signal:
        """Return a register or wire of the circuit."""
        if name not in self.signals:
            raise KeyError(f"{name} must be one of {', '.join(sorted(self.signals))}")
        return self.signals[name]

    def is_in(self, machine: str, name: str) -> Value:
        """Return whether a state machine, as `run_state`, is in a state; states are numbered in the order of their names."""
        state = self[machine]
        decoder = state.decoder
        assert callable(decoder)
        return state == next(number for number in itertools.count() if decoder(number) == f"{name}/{number}")

    def word(self, memory: str, address: Value) -> Signal:
        """Return what a memory holds at an address in this cycle."""
        if memory not in self.memories:
            raise KeyError(f"{memory} must be one of {', '.join(sorted(self.memories))}")
        instance = self.memories[memory]
        width, depth = Value.cast(instance._write_ports[0]._data).shape().width, instance._data.depth
        where, found = Signal(range(depth)), Signal(width)
        instance.read_port(domain="comb", addr=where, data=found, en=Const(1), transparent_for=())
        self.addresses.append(where.eq(address))
        return found


class Laws(Elaboratable):
    """A circuit, the assumptions on its inputs and the laws on what it does; what the prover takes.

    The circuit's inputs are free unless `drive` ties them. Reset is left out: a proof starts at the reset values.
    """

    def __init__(self, circuit: wiring.Component):
        self.circuit, self.m = circuit, Module()
        self.m.domains.sync = self._domain = ClockDomain(reset_less=True)
        fragment = Fragment.get(circuit, None)
        self.state = Probe(fragment)
        self.m.submodules.circuit = _Elaborated(fragment)
        self.names: list[str] = []
        self.started = Signal(name="started")
        """One in every cycle but the first: there is a past."""
        self.m.d.sync += self.started.eq(1)
        self._pasts = 0
        self._invariants: list[tuple[str, Value]] = []
        self.has_invariants = True
        """Whether the invariants are laws too."""
        self._inputs: dict[str, Value] = {}
        for path, member, value in circuit.signature.flatten(circuit):
            if member.flow is wiring.In:
                self._inputs["__".join(map(str, path))] = Value.cast(value)

    def input(self, name: str) -> Value:
        """Return an input of the circuit that is not tied."""
        return self._inputs[name]

    def drive(self, name: str, value: Value) -> None:
        """Tie an input of the circuit to a value."""
        self.m.d.comb += self._inputs.pop(name).eq(value)

    def free(self, name: str, width: int = 1) -> Signal:
        """Return a signal that has any value in any cycle."""
        self._inputs[name] = signal = Signal(width, name=name)
        return signal

    def constant(self, name: str, width: int) -> Signal:
        """Return a signal that has any value, the same in every cycle."""
        signal = self.free(name, width)
        self.assume(~self.started | (signal == self.past(signal)))
        return signal

    def past(self, value: Value) -> Signal:
        """Return the value of the cycle before."""
        self._pasts += 1
        register = Signal(Value.cast(value).shape(), name=f"past_{self._pasts}")
        self.m.d.sync += register.eq(value)
        return register

    def counter(self, name: str, width: int, up: Value, down: Value) -> Signal:
        """Return a register that counts what went up minus what went down in the cycles before."""
        register = Signal(width, name=name)
        self.m.d.sync += register.eq(register + up - down)
        return register

    def assume(self, condition: Value) -> None:
        """State what the environment keeps to."""
        self.m.d.comb += Assume(condition)

    def law(self, name: str, condition: Value) -> None:
        """State what must be one in every cycle."""
        self._assert(name, condition)

    def _assert(self, name: str, condition: Value) -> None:
        signal = Signal(name=f"law_{name}")
        self.names.append(name)
        self.m.d.comb += [signal.eq(condition), Assert(signal)]

    def implies(self, name: str, condition: Value, consequence: Value) -> None:
        """State a law that holds in the cycles of a condition."""
        self.law(name, ~_bit(condition) | _bit(consequence))

    def invariant(self, name: str, condition: Value, consequence: Value | None = None) -> None:
        """State what an induction needs to know of the circuit's state; a bounded proof leaves it out."""
        self._invariants.append((name, condition if consequence is None else ~_bit(condition) | _bit(consequence)))

    def held(self, name: str, valid: Value, ready: Value, payload: Value) -> None:
        """State the handshake: what is offered and not taken is offered again, with the same payload."""
        waits = self.past(_bit(valid) & ~_bit(ready))
        self.implies(f"{name}_stays_valid", waits, valid)
        self.implies(f"{name}_stays_the_same", waits, payload == self.past(payload))

    def ports(self) -> list:
        """Return the inputs of the whole."""
        return [self._domain.clk, *self._inputs.values()]

    def elaborate(self, platform: object) -> Module:
        self.m.d.comb += self.state.addresses
        if self.has_invariants:
            for name, condition in self._invariants:
                self._assert(name, condition)
        return self.m


def _bit(value: Value) -> Value:
    return Value.cast(value).bool()
