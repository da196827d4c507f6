"""What a graph of each form must satisfy; checked after every pass."""

from __future__ import annotations

from compiler.graph.graph import Graph, Node
from compiler.graph.ops import Attention, Form, Linear, Op, Quantize, RmsNorm, SwiGlu
from hwsim.errors import GraphError

__all__ = ["check"]


def check(graph: Graph, after: str) -> None:
    """Raise GraphError when a node breaks a rule of the graph's form; `after` names the pass that made it."""
    for node in graph.nodes:
        if node.section not in graph.repeats:
            raise GraphError(f"After {after}, node {node.name} must lie in one of {', '.join(graph.repeats)}, not {node.section!r}")
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
