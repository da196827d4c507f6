"""Pass: a sum of a linear layer and the residual stream becomes a linear layer that adds into it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from compiler.graph import Graph, Node
from compiler.graph.ops import Add, Linear
from compiler.passes.base import Pass

__all__ = ["FuseResidual"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FuseResidual(Pass):
    """The engine adds matrix results to the residual memory as they drain, so no sum is left."""

    name: ClassVar[str] = "fuse_residual"

    def apply(self, graph: Graph) -> Graph:
        """Return the graph without sums."""
        renamed: dict[str, str] = {}
        fused: dict[str, Node] = {}
        for node in graph.nodes:
            if not isinstance(node.op, Add):
                continue
            product = graph.node(node.inputs[0])
            if isinstance(product.op, Linear) and not product.op.residual and len(graph.readers(product.name)) == 1:
                renamed[node.name] = product.name
                residual = renamed.get(node.inputs[1], node.inputs[1])
                op = dataclasses.replace(product.op, residual=True)
                fused[product.name] = dataclasses.replace(product, op=op, inputs=(*product.inputs, residual))
        nodes = []
        for node in graph.nodes:
            if node.name in renamed:
                continue
            node = fused.get(node.name, node)
            nodes.append(dataclasses.replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs)))
        return graph.rebuilt(nodes=nodes)
