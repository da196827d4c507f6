"""Conditions between axes, such as `engine.fetch.fifo_beats >= 2 * engine.fetch.burst_beats`: read, and evaluated over arrays."""

from __future__ import annotations

import ast
import dataclasses
import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.errors import SpecError, shown
from lamforge.explore.axes import Place, place_of

__all__ = ["Columns", "Condition"]

Columns = Mapping[str, np.ndarray]
"""Arrays that broadcast to [points], by path."""

_MOST_LETTERS = 500
_MOST_DEPTH = 40
_SMALL = 1 << 26
"""Whole numbers below it have sums and products that float64 holds exactly; for larger ones Python's own are taken."""
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_NAME = "Study condition name"
_ALLOWED = "names by path, numbers, texts, + - * /, comparisons, and, or, not"


@dataclasses.dataclass(frozen=True)
class _Result:
    """Values of a part of a condition, and where it has none, since it would divide by zero."""

    values: np.ndarray
    undefined: np.ndarray


@dataclasses.dataclass(frozen=True)
class Condition:
    """What must hold between the values of a point."""

    text: str

    def __post_init__(self) -> None:
        if _kind(self._tree) != "condition":
            raise SpecError(f"Study condition must compare something, not be {shown(self.text)}")

    @functools.cached_property
    def _tree(self) -> ast.expr:
        try:
            if len(self.text) > _MOST_LETTERS:
                raise ValueError
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise SpecError(
                f"Study condition must be an expression of {_ALLOWED}, of at most {_MOST_LETTERS} letters, not {shown(self.text)}"
            ) from None

    @property
    def places(self) -> tuple[Place, ...]:
        """The paths that it names, in alphabetical order."""
        found = {place.path: place for place in _named(self._tree)}
        return tuple(found[path] for path in sorted(found))

    def holds(self, columns: Columns) -> np.ndarray:
        """Return where the condition holds, as an array that broadcasts to [points]; raise SpecError where it divides by zero."""
        try:
            with np.errstate(over="raise", invalid="raise"):
                found = _evaluated(self._tree, columns)
        except (OverflowError, FloatingPointError):
            raise SpecError(
                f"Study condition must be of numbers that can be calculated with, not as large as in {shown(self.text)}"
            ) from None
        if np.any(found.undefined):
            raise SpecError(f"Study condition must not divide by zero, as {shown(self.text)} does for a point of the study")
        return found.values


def _named(node: ast.AST) -> Iterator[Place]:
    if isinstance(node, ast.Attribute | ast.Name):
        yield place_of(ast.unparse(node), _NAME)
        return
    for inner in ast.iter_child_nodes(node):
        yield from _named(inner)


def _kind(node: ast.expr, depth: int = 0) -> str:
    """Return whether a part is a `number`, a `text` or a `condition`; raise SpecError for what is none."""
    if depth > _MOST_DEPTH:
        raise SpecError(f"Study condition must be nested at most {_MOST_DEPTH} deep, not deeper")
    inner = depth + 1
    match node:
        case ast.Constant(value=str()):
            return "text"
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return "number"
        case ast.Attribute() | ast.Name():
            if "(" in ast.unparse(node) or "[" in ast.unparse(node):
                raise _refused(node)
            return "text" if place_of(ast.unparse(node), _NAME).is_text else "number"
        case ast.BinOp() if type(node.op) in _OPERATIONS:
            _require({_kind(node.left, inner), _kind(node.right, inner)} == {"number"}, node, "numbers")
            return "number"
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            _require(_kind(node.operand, inner) == "number", node, "a number")
            return "number"
        case ast.UnaryOp(op=ast.Not()):
            _require(_kind(node.operand, inner) == "condition", node, "a comparison")
            return "condition"
        case ast.BoolOp():
            _require({_kind(part, inner) for part in node.values} == {"condition"}, node, "comparisons")
            return "condition"
        case ast.Compare() if all(type(each) in _COMPARISONS for each in node.ops):
            kinds = {_kind(part, inner) for part in (node.left, *node.comparators)}
            _require(kinds in ({"number"}, {"text"}), node, "numbers with numbers or texts with texts")
            return "condition"
        case _:
            raise _refused(node)


def _require(is_right: bool, node: ast.expr, what: str) -> None:
    if not is_right:
        raise SpecError(f"Study condition must join {what} in {shown(ast.unparse(node))}")


def _refused(node: ast.expr) -> SpecError:
    return SpecError(f"Study condition must be of {_ALLOWED}, not {shown(ast.unparse(node))}")


def _evaluated(node: ast.expr, columns: Columns) -> _Result:
    """Return the values of a part as Python would give them point by point, what a point does not reach left undefined."""
    never = np.array(False)
    match node:
        case ast.Constant():
            return _Result(_exact(np.array(node.value)), never)
        case ast.Attribute() | ast.Name():
            return _Result(_exact(columns[place_of(ast.unparse(node), _NAME).path]), never)
        case ast.UnaryOp():
            found = _evaluated(node.operand, columns)
            if isinstance(node.op, ast.Not):
                return _Result(~found.values, found.undefined)
            return _Result(_exact(-found.values) if isinstance(node.op, ast.USub) else found.values, found.undefined)
        case ast.BinOp():
            left, right = _evaluated(node.left, columns), _evaluated(node.right, columns)
            undefined, divisor = left.undefined | right.undefined, right.values
            if isinstance(node.op, ast.Div):
                is_zero = np.asarray(divisor == 0, dtype=bool)
                undefined, divisor = undefined | is_zero, np.where(is_zero, 1, divisor)
            return _Result(_exact(_OPERATIONS[type(node.op)](left.values, divisor)), undefined)
        case ast.BoolOp():
            return _joined([_evaluated(part, columns) for part in node.values], isinstance(node.op, ast.And))
        case ast.Compare():
            parts = [_evaluated(part, columns) for part in (node.left, *node.comparators)]
            links = []
            for index, each in enumerate(node.ops):
                left, right = parts[index : index + 2]
                undefined = left.undefined | right.undefined
                values = np.asarray(_COMPARISONS[type(each)](left.values, right.values), dtype=bool)
                links.append(_Result(values, undefined))
            return _joined(links, True)
        case _:
            raise _refused(node)


def _joined(parts: list[_Result], is_and: bool) -> _Result:
    """Return parts joined by `and` or `or`: what the parts before decide is not asked of those that follow."""
    values, undefined = parts[0].values, parts[0].undefined
    for part in parts[1:]:
        is_asked = values if is_and else ~values
        undefined = undefined | (is_asked & part.undefined)
        values = values & part.values if is_and else values | part.values
    return _Result(values, undefined)


def _exact(found: np.ndarray) -> np.ndarray:
    """Return large whole numbers as Python's own, of which no operation loses a digit."""
    # Of an array of one Python number an operation returns a number.
    values = np.asarray(found)
    if values.dtype.kind in "iu" and values.size and np.abs(values).max() >= _SMALL:
        return values.astype(object)
    return values
