"""The graph: named nodes in the order in which they run, as text and back, and what must hold of each form after every pass."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterable

from compiler.graph import ops
from compiler.graph.ops import Attention, Form, Linear, Op, Quantize, RmsNorm, SwiGlu
from hwsim.arch.isa import Format
from hwsim.errors import GraphError, shown

__all__ = ["FINAL", "LAYERS", "Graph", "Node", "check"]

LAYERS, FINAL = "layers", "final"
"""Sections of a network: the layer, which is repeated, and what follows the last one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """One operation: its name (`{}` stands for the layer), the section it repeats in, its operator, its arguments by name."""

    name: str
    section: str
    op: ops.Op
    inputs: tuple[str, ...]


class Graph:
    """An immutable graph of one network: sections run in order, each `repeats[section]` times.

    Nodes run in the order given. The first time the layer runs its input is what the `Input` node brings, afterwards
    what the layer before left in its place.
    """

    def __init__(self, *, form: Form, repeats: dict[str, int], nodes: Iterable[Node]):
        self.form = form
        self.repeats = dict(repeats)
        self.nodes = tuple(nodes)
        self._by_name: dict[str, Node] = {}
        self._widths: dict[str, int] = {}
        for node in self.nodes:
            if node.name in self._by_name:
                raise GraphError(f"Node names must be unique, not twice {shown(node.name)}")
            for argument in node.inputs:
                if argument not in self._by_name:
                    raise GraphError(f"Node {node.name} must read nodes before it, not {shown(argument)}")
            self._by_name[node.name] = node

    def node(self, name: str) -> Node:
        """Return a node by name."""
        return self._by_name[name]

    def readers(self, name: str) -> tuple[Node, ...]:
        """Return the nodes that read a node."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def width(self, name: str) -> int:
        """Return the features of a node's value."""
        if name not in self._widths:
            node = self.node(name)
            self._widths[name] = node.op.width(tuple(self.width(argument) for argument in node.inputs))
        return self._widths[name]

    def rebuilt(self, *, nodes: Iterable[Node], form: Form | None = None) -> Graph:
        """Return a graph of these nodes, sorted so that arguments come first, in `form` or in this one's."""
        given = {node.name: node for node in nodes}
        missing = [name for node in given.values() for name in node.inputs if name not in given]
        if missing:
            raise GraphError(f"Graph must have the node {shown(missing[0])}, which another reads")
        names: list[str] = []
        while left := given.keys() - names:
            ready = next((name for name in given if name in left and not left & {*given[name].inputs}), None)
            if ready is None:
                raise GraphError("Graph must not have a cycle")
            names.append(ready)
        return Graph(form=form or self.form, repeats=self.repeats, nodes=[given[name] for name in names])

    def to_text(self) -> str:
        """Return the graph as text, one line a node."""
        lines = [f"graph {self.form.value} " + " ".join(f"{name}*{count}" for name, count in self.repeats.items())]
        for node in self.nodes:
            fields = [f"{f.name}={_show(getattr(node.op, f.name))}" for f in dataclasses.fields(node.op)]
            lines.append(
                f"{node.section} | {node.name} = {type(node.op).__name__}({', '.join(fields)}) <- {' '.join(node.inputs)}".rstrip()
            )
        return "\n".join(lines) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Graph:
        """Return the graph in a text; raise GraphError naming the line."""
        lines = text.splitlines()
        head = lines[0].split()
        nodes = []
        try:
            repeats = {name: int(count) for name, count in (part.split("*") for part in head[2:])}
            form = Form(head[1])
            for line in lines[1:]:
                found = re.fullmatch(r"(\w+) \| (\S+) = (\w+)\((.*)\) <-(.*)", line)
                if found is None:
                    raise ValueError(line)
                section, name, kind, fields, inputs = found.groups()
                call = ast.parse(f"f({fields})", mode="eval").body
                if not isinstance(call, ast.Call):
                    raise ValueError(line)
                values = {k.arg: _read(k.value) for k in call.keywords if k.arg is not None}
                nodes.append(Node(name=name, section=section, op=getattr(ops, kind)(**values), inputs=tuple(inputs.split())))
        except (ValueError, IndexError, AttributeError, TypeError, SyntaxError) as error:
            raise GraphError(f"Graph text must be lines of `section | name = Op(...) <- inputs`, not {error}") from None
        return cls(form=form, repeats=repeats, nodes=nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and (self.form, self.repeats, self.nodes) == (other.form, other.repeats, other.nodes)


def _show(value: object) -> str:
    return f"Format.{value.name}" if isinstance(value, Format) else repr(value)


def _read(value: ast.expr) -> object:
    if isinstance(value, ast.Attribute):
        return Format[value.attr]
    return ast.literal_eval(value)


def check(graph: Graph, after: str) -> None:
    """Raise GraphError when a node breaks a rule of the graph's form; `after` names the pass that made it."""
    for node in graph.nodes:
        if node.section not in graph.repeats:
            raise GraphError(
                f"After {after}, node {node.name} must lie in one of {', '.join(graph.repeats)}, not {shown(node.section)}"
            )
        broken = _broken(graph, node)
        if broken:
            raise GraphError(f"After {after}, node {node.name} must obey the {graph.form.value} rules: {broken}")


def _broken(graph: Graph, node: Node) -> str | None:
    """Return the rule of the graph's form that a node breaks, if any."""
    op = node.op
    if graph.form not in op.forms:
        return f"operator {type(op).__name__} is not one of this form"
    try:
        graph.width(node.name)
    except GraphError as error:
        return str(error)
    is_quantized = bool(getattr(op, "quantized", False))
    if graph.form is Form.FLOAT:
        return "it is quantized" if is_quantized or getattr(op, "format", None) is not None else None
    if isinstance(op, Linear) and op.format is None:
        return "it has no weight format"
    if isinstance(op, Linear) and not _gives_codes(graph.node(node.inputs[0]).op):
        return f"it reads {node.inputs[0]}, which is not 8-bit codes"
    if isinstance(op, RmsNorm | SwiGlu | Attention) and not is_quantized:
        return "it is not quantized"
    if isinstance(op, Attention | SwiGlu) and not op.fused:
        return "it must read one fused projection"
    return None


def _gives_codes(op: Op) -> bool:
    return isinstance(op, Quantize) or bool(getattr(op, "quantized", False)) and not isinstance(op, Attention)
