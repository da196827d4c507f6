"""Pass: weights take their formats, and every linear layer reads 8-bit codes."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from compiler.graph import FINAL, Form, Graph, Node
from compiler.graph.ops import Attention, Linear, Quantize, RmsNorm, SwiGlu
from compiler.passes.base import Pass
from hwsim.arch.isa import Format

__all__ = ["QuantizeGraph"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeGraph(Pass):
    """`layers` is the format of the layers' weights, `head` that of what follows them; attention output gets a quantizer."""

    layers: Format
    head: Format
    name: ClassVar[str] = "quantize"

    def apply(self, graph: Graph) -> Graph:
        """Return the quantized graph."""
        nodes: list[Node] = []
        codes: dict[str, str] = {}
        for node in graph.nodes:
            op = node.op
            if isinstance(op, Linear):
                format = self.head if node.section == FINAL else self.layers
                inputs = (codes.get(node.inputs[0], node.inputs[0]), *node.inputs[1:])
                nodes.append(dataclasses.replace(node, op=dataclasses.replace(op, format=format), inputs=inputs))
            elif isinstance(op, RmsNorm | SwiGlu):
                nodes.append(dataclasses.replace(node, op=dataclasses.replace(op, quantized=True)))
            elif isinstance(op, Attention):
                nodes.append(dataclasses.replace(node, op=dataclasses.replace(op, quantized=True)))
                codes[node.name] = f"{node.name}_codes"
                nodes.append(Node(name=codes[node.name], section=node.section, op=Quantize(), inputs=(node.name,)))
            else:
                nodes.append(node)
        return graph.rebuilt(nodes=nodes, form=Form.QUANTIZED)
