"""What a graph of each form must satisfy; checked after every pass."""

from __future__ import annotations

from collections.abc import Callable

from compiler.graph.graph import Graph, Node
from compiler.graph.ops import Attention, Form, Linear, Quantize, RmsNorm, SwiGlu
from hwsim.errors import GraphError

__all__ = ["check"]

Rule = Callable[[Graph, Node], str | None]


def _operator(graph: Graph, node: Node) -> str | None:
    return None if graph.form in node.op.forms else f"operator {type(node.op).__name__} is not one of this form"


def _arity(graph: Graph, node: Node) -> str | None:
    arity = node.op.arity
    return None if arity in (-1, len(node.inputs)) else f"it takes {arity} arguments, not {len(node.inputs)}"


def _shapes(graph: Graph, node: Node) -> str | None:
    try:
        graph.width(node.name)
    except GraphError as error:
        return str(error)
    return None


def _float_only(graph: Graph, node: Node) -> str | None:
    quantized = getattr(node.op, "quantized", False) or getattr(node.op, "format", None) is not None
    return "it is quantized" if quantized else None


def _codes(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, Quantize) or bool(getattr(node.op, "quantized", False)) and not isinstance(node.op, Attention)


def _quantized(graph: Graph, node: Node) -> str | None:
    op = node.op
    if isinstance(op, Linear):
        if op.format is None:
            return "it has no weight format"
        if not _codes(graph, graph.node(node.inputs[0])):
            return f"it reads {node.inputs[0]}, which is not 8-bit codes"
    if isinstance(op, RmsNorm | SwiGlu | Attention) and not op.quantized:
        return "it is not quantized"
    if isinstance(op, Attention | SwiGlu) and not op.fused:
        return "it must read one fused projection"
    return None


_RULES: dict[Form, tuple[Rule, ...]] = {
    Form.FLOAT: (_operator, _arity, _shapes, _float_only),
    Form.QUANTIZED: (_operator, _arity, _shapes, _quantized),
}


def check(graph: Graph, after: str) -> None:
    """Raise GraphError when a node breaks a rule of the graph's form; `after` names the pass that made it."""
    for node in graph.nodes:
        if node.section not in graph.repeats:
            raise GraphError(f"After {after}, node {node.name} must lie in one of {', '.join(graph.repeats)}, not {node.section!r}")
        for rule in _RULES[graph.form]:
            broken = rule(graph, node)
            if broken:
                raise GraphError(f"After {after}, node {node.name} must obey the {graph.form.value} rules: {broken}")
