"""Quantities that must not be mixed up: bytes, seconds, operations, energy, money, and the rates between them.

A quantity holds a float or an array of floats in its base unit. Adding two kinds, or comparing them, is refused by the type
checker and fails when run; dividing bytes by seconds gives a rate, dividing bytes by a rate gives seconds. Texts always say their
unit, decimal (GB = 10^9 bytes) or binary (GiB = 2^30 bytes), bytes or bits.
"""

from __future__ import annotations

import functools
import re
from typing import Any, ClassVar, Generic, Self, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError, shown
from hwsim.reader import spelled

__all__ = [
    "Bytes",
    "BytesPerSecond",
    "Dollars",
    "Hertz",
    "Joules",
    "Operations",
    "OperationsPerSecond",
    "Quantity",
    "Seconds",
    "Value",
    "Watts",
    "maximum",
    "minimum",
]

Value = float | npt.NDArray[np.float64]
"""What a quantity holds: one number, or one for every point of a grid."""

Kind = TypeVar("Kind", bound="Quantity")
Whole = TypeVar("Whole", bound="Quantity")
Pace = TypeVar("Pace", bound="Quantity")

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_SMALL = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
_TEXT = re.compile(r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(\S+)\s*")


class Quantity:
    """A value in the base unit of its kind."""

    __slots__ = ("value",)
    # Left operands that are arrays must leave multiplication to us.
    __array_ufunc__ = None

    unit: ClassVar[str]
    spellings: ClassVar[dict[str, float]]
    """Every unit that texts may use, in base units."""

    def __init__(self, value: Value) -> None:
        self.value = value

    @classmethod
    def of(cls, text: str, subject: str = "Quantity") -> Self:
        """Return the quantity in a text such as `1555 GB/s`.

        subject: what the text is, for refusals.

        Raises:
            SpecError: it has no unit, one of another kind, or is not a finite number.
        """
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is None or found[2] not in cls.spellings:
            raise SpecError(f"{subject} must be {cls._says()}, not {shown(text)}")
        try:
            number = float(found[1])
        except ValueError:
            raise SpecError(f"{subject} must be a number and a unit, not {shown(text)}") from None
        if not np.isfinite(number):
            raise SpecError(f"{subject} must be finite, not {shown(text)}")
        return cls(number * cls.spellings[found[2]])

    @classmethod
    def _says(cls) -> str:
        return f"a number and a unit ({', '.join(list(cls.spellings)[:6])}, ...)"

    @classmethod
    def _positive(cls, text: Any, subject: str) -> Self:
        amount = cls.of(text, subject)
        if not amount.value > 0:
            raise SpecError(f"{subject} must be above 0, not {shown(text)}")
        return amount

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        """Let files give a quantity above 0."""
        from pydantic_core import core_schema

        return spelled(cls._positive, core_schema.str_schema(), f"{cls._says()}, above 0")

    def to(self, spelling: str) -> Value:
        """Return the plain number in a unit of this kind."""
        return self.value / self.spellings[spelling]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __add__(self, other: Self) -> Self:
        return type(self)(self.value + self._same(other))

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.value - self._same(other))

    def __lt__(self, other: Self) -> Any:
        return self.value < self._same(other)

    def __le__(self, other: Self) -> Any:
        return self.value <= self._same(other)

    def __gt__(self, other: Self) -> Any:
        return self.value > self._same(other)

    def __ge__(self, other: Self) -> Any:
        return self.value >= self._same(other)

    def __eq__(self, other: object) -> Any:
        return self.value == other.value if type(other) is type(self) else NotImplemented

    def _same(self, other: object) -> Value:
        if type(other) is not type(self):
            raise TypeError(f"{type(self).__name__} cannot be taken together with {type(other).__name__}")
        return other.value

    def __rmul__(self, other: Value) -> Self:
        return cast(Self, self._times(other))

    def _times(self, other: object) -> Any:
        if isinstance(other, Quantity):
            kind = _PRODUCTS.get((type(self), type(other))) or _PRODUCTS.get((type(other), type(self)))
            if kind is None:
                raise TypeError(f"{type(self).__name__} cannot be multiplied by {type(other).__name__}")
            return kind(self.value * other.value)
        return type(self)(self.value * cast(Value, other))

    def _over(self, other: object) -> Any:
        if not isinstance(other, Quantity):
            return type(self)(self.value / cast(Value, other))
        if type(other) is type(self):
            return self.value / other.value
        for (first, second), product in _PRODUCTS.items():
            if product is type(self) and type(other) in (first, second):
                kind = second if type(other) is first else first
                return kind(self.value / other.value)
        raise TypeError(f"{type(self).__name__} cannot be divided by {type(other).__name__}")


def _spelled(prefixes: dict[str, float], unit: str, scale: float = 1.0) -> dict[str, float]:
    return {f"{prefix}{unit}": factor * scale for prefix, factor in prefixes.items()}


class _Scaled(Quantity):
    """What is multiplied by numbers alone."""

    __slots__ = ()

    def __mul__(self, other: Value) -> Self:
        return cast(Self, self._times(other))


class _Amount(_Scaled, Generic[Pace]):
    """What comes at a rate of the kind `Pace`."""

    __slots__ = ()

    @overload
    def __truediv__(self, other: Pace) -> Seconds: ...
    @overload
    def __truediv__(self, other: Seconds) -> Pace: ...
    @overload
    def __truediv__(self, other: Self) -> Value: ...
    @overload
    def __truediv__(self, other: Value) -> Self: ...
    def __truediv__(self, other: object) -> Any:
        return self._over(other)


class _Rate(Quantity, Generic[Whole]):
    """What makes an amount of the kind `Whole` in a time."""

    __slots__ = ()

    @overload
    def __mul__(self, other: Seconds) -> Whole: ...
    @overload
    def __mul__(self, other: Value) -> Self: ...
    def __mul__(self, other: object) -> Any:
        return self._times(other)

    @overload
    def __truediv__(self, other: Self) -> Value: ...
    @overload
    def __truediv__(self, other: Value) -> Self: ...
    def __truediv__(self, other: object) -> Any:
        return self._over(other)


class Seconds(Quantity):
    """A time."""

    __slots__ = ()
    unit = "s"
    spellings: ClassVar[dict[str, float]] = _spelled(_SMALL, "s")

    @overload
    def __mul__(self, other: _Rate[Whole]) -> Whole: ...
    @overload
    def __mul__(self, other: Value) -> Self: ...
    def __mul__(self, other: object) -> Any:
        return self._times(other)

    @overload
    def __truediv__(self, other: Self) -> Value: ...
    @overload
    def __truediv__(self, other: Value) -> Self: ...
    def __truediv__(self, other: object) -> Any:
        return self._over(other)


class Bytes(_Amount["BytesPerSecond"]):
    """An amount of data."""

    __slots__ = ()
    unit = "B"
    spellings: ClassVar[dict[str, float]] = (
        _spelled(_DECIMAL, "B") | _spelled(_BINARY, "B") | _spelled(_DECIMAL, "bit", 1 / 8) | _spelled(_BINARY, "bit", 1 / 8)
    )


class BytesPerSecond(_Rate[Bytes]):
    """A rate of data."""

    __slots__ = ()
    unit = "B/s"
    spellings: ClassVar[dict[str, float]] = {f"{unit}/s": scale for unit, scale in Bytes.spellings.items()}


class Operations(_Amount["OperationsPerSecond"]):
    """Arithmetic operations; a multiply-accumulate is two."""

    __slots__ = ()
    unit = "FLOP"
    spellings: ClassVar[dict[str, float]] = _spelled(_DECIMAL, "FLOP") | _spelled(_DECIMAL, "OP")


class OperationsPerSecond(_Rate[Operations]):
    """A rate of arithmetic."""

    __slots__ = ()
    unit = "FLOP/s"
    spellings: ClassVar[dict[str, float]] = {f"{unit}/s": scale for unit, scale in Operations.spellings.items()}


class Joules(_Amount["Watts"]):
    """An energy."""

    __slots__ = ()
    unit = "J"
    spellings: ClassVar[dict[str, float]] = _spelled(_SMALL | _DECIMAL, "J")


class Watts(_Rate[Joules]):
    """A power."""

    __slots__ = ()
    unit = "W"
    spellings: ClassVar[dict[str, float]] = _spelled(_SMALL | _DECIMAL, "W")


class Hertz(_Scaled):
    """A frequency."""

    __slots__ = ()
    unit = "Hz"
    spellings: ClassVar[dict[str, float]] = _spelled(_DECIMAL, "Hz")


class Dollars(_Scaled):
    """A price, in dollars of the United States."""

    __slots__ = ()
    unit = "USD"
    spellings: ClassVar[dict[str, float]] = _spelled(_DECIMAL, "USD")


_PRODUCTS: dict[tuple[type[Quantity], type[Quantity]], type[Quantity]] = {
    (BytesPerSecond, Seconds): Bytes,
    (OperationsPerSecond, Seconds): Operations,
    (Watts, Seconds): Joules,
}


def maximum(first: Kind, *others: Kind) -> Kind:
    """Return the largest of quantities of one kind, point by point."""
    return type(first)(functools.reduce(np.maximum, map(first._same, others), first.value))


def minimum(first: Kind, *others: Kind) -> Kind:
    """Return the smallest of quantities of one kind, point by point."""
    return type(first)(functools.reduce(np.minimum, map(first._same, others), first.value))
