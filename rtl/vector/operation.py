"""The operation of the vector unit: the fields of all kinds of instructions in one form."""

from collections.abc import Callable

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.fields import Instruction
from hwsim.arch.isa import CacheFormat, CacheKind, KvQuant, Norm, Quant, Rope, Softmax, SwiGlu
from rtl.arithmetic import sum_is
from rtl.interfaces import COMMAND, field, is_kind

__all__ = ["LENGTH_BITS", "OPERATION", "ROW_BITS", "Decoder", "Length"]

ROW_BITS = Norm.field("rows").width
LENGTH_BITS = 12
"""Bits of a row's words, at most 2048."""

_KINDS: tuple[type[Instruction], ...] = (Norm, Quant, SwiGlu, Rope, Softmax, KvQuant)
_OWN: dict[type[Instruction], tuple[str, ...]] = {
    Norm: ("shift",),
    SwiGlu: ("up",),
    Rope: ("mantissa", "exponent"),
    Softmax: ("sink_words", "sinks", "ring"),
    KvQuant: ("entry",),
}
"""Fields that one kind alone has."""

OPERATION = data.StructLayout(
    {
        **dict.fromkeys(("norm", "swiglu", "softmax", "cache", "value", "wide", "rope", "rotated", "null"), 1),
        "rows": ROW_BITS,
        "source": 14,
        "up": 14,
        "stride": 12,
        "length": LENGTH_BITS,
        "destination": 11,
        "scale": 6,
        "parameter": 12,
        "shift": 5,
        "mantissa": 16,
        "exponent": 8,
        "sink_words": 8,
        "sinks": 32,
        "ring": 32,
        "entry": 3,
    }
)
"""`wide`: 8-bit cache codes; `rotated`: ROPE or a key; `null`: no rows, one empty word; `parameter`: gains, rotation or
value parameters."""


def _pick(
    command: data.View, name: str, default: Value | int | None = None, *, told: Callable[[Value], Value] = Value.cast
) -> Value:
    """Return field `name`, or what is told of it, of whichever kind the command is.

    Kinds that keep it in the same place share the wires.
    """
    places: dict[tuple[int, int], list[type[Instruction]]] = {}
    for kind in _KINDS:
        if any(declared.name == name for declared in kind.layout):
            declared = kind.field(name)
            places.setdefault((declared.offset, declared.width), []).append(kind)
    first, *others = places.values()
    chosen = told(field(command, first[0], name))
    for kinds in others:
        chosen = Mux(_any(command, kinds), told(field(command, kinds[0], name)), chosen)
    return chosen if default is None else Mux(_any(command, [k for kinds in places.values() for k in kinds]), chosen, default)


def _any(command: data.View, kinds: list[type[Instruction]]) -> Value:
    match = is_kind(command, kinds[0])
    for kind in kinds[1:]:
        match = match | is_kind(command, kind)
    return match


def _is_null(command: data.View) -> Value:
    return _pick(command, "rows", 0, told=lambda rows: rows == 0)


class Length(wiring.Component):
    """Says whether the length of an operation is 0 and whether it is 1, without waiting for sums: a module, so that it is quick."""

    command: In(COMMAND)
    empty: Out(1)
    single: Out(1)

    def elaborate(self, platform):
        m = Module()
        command = self.command
        ring = Softmax.field("ring_words")
        register = command.operand[ring.register][:LENGTH_BITS]
        immediate = command.word[ring.offset : ring.offset + ring.width]
        sink_words = field(command, Softmax, "sink_words")
        # Three numbers as two of the same sum.
        sums = register ^ immediate ^ sink_words
        carries = (register & immediate) | (register & sink_words) | (immediate & sink_words)
        for number, said in enumerate((self.empty, self.single)):
            in_row = _pick(command, "length", told=lambda length, number=number: length == number)
            in_scores = sum_is(sums, Cat(Const(0, 1), carries)[:LENGTH_BITS], number)
            m.d.comb += said.eq(Mux(_is_null(command), number == 1, Mux(is_kind(command, Softmax), in_scores, in_row)))
        return m


class Decoder(wiring.Component):
    """Says what operation a command asks for, combinationally.

    It is a module, because synthesis would share its adders with those of addresses, which then wait for what is known last.
    """

    command: In(COMMAND)
    operation: Out(OPERATION)

    def elaborate(self, platform):
        m = Module()
        command, operation = self.command, self.operation
        softmax, rope, cache = is_kind(command, Softmax), is_kind(command, Rope), is_kind(command, KvQuant)
        value = cache & (field(command, KvQuant, "kind") == CacheKind.VALUE)
        null = _is_null(command)
        score_words = field(command, Softmax, "sink_words") + field(command, Softmax, "ring_words")
        values = {
            "norm": is_kind(command, Norm) & ~null,
            "swiglu": is_kind(command, SwiGlu),
            "softmax": softmax & ~null,
            "cache": cache,
            "value": value,
            "wide": cache & (field(command, KvQuant, "cache") == CacheFormat.KV8),
            "rope": rope,
            "rotated": rope | (cache & ~value),
            "null": null,
            "rows": _pick(command, "rows", 1),
            **{name: _pick(command, name) for name in ("source", "stride", "destination", "scale")},
            **{name: field(command, kind, name) for kind, names in _OWN.items() for name in names},
            "length": Mux(null, 1, Mux(softmax, score_words[:LENGTH_BITS], _pick(command, "length"))),
            "parameter": Mux(softmax, field(command, Softmax, "side"), _pick(command, "parameter")),
        }
        m.d.comb += [getattr(operation, name).eq(source) for name, source in values.items()]
        return m
