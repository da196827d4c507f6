"""Pass: linear layers that read the same value and feed the same operator become one matrix."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from compiler.graph import Graph, Node
from compiler.graph.ops import Attention, Linear, SwiGlu
from compiler.passes.base import Pass

__all__ = ["FuseProjections"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FuseProjections(Pass):
    """Query, key and value become `qkv`; gate and up become `gateup`: longer streams, one pass over the activations."""

    name: ClassVar[str] = "fuse_projections"

    def apply(self, graph: Graph) -> Graph:
        """Return the graph with fused projections."""
        replaced: dict[str, Node] = {}
        gone: set[str] = set()
        for node in graph.nodes:
            if not isinstance(node.op, Attention | SwiGlu) or node.op.fused:
                continue
            parts = [graph.node(argument) for argument in node.inputs]
            linears = [part.op for part in parts if isinstance(part.op, Linear)]
            if len(linears) < len(parts) or len({part.inputs for part in parts}) > 1:
                continue
            prefix = node.name.rsplit(".", 1)[0]
            name = f"{prefix}.{'qkv' if isinstance(node.op, Attention) else 'gateup'}"
            fused = Linear(
                weights=tuple(weight for op in linears for weight in op.weights),
                rows=sum(op.rows for op in linears),
                inputs=linears[0].inputs,
                bias=any(op.bias for op in linears),
            )
            gone |= {part.name for part in parts}
            replaced[name] = Node(name=name, section=node.section, op=fused, inputs=parts[0].inputs)
            replaced[node.name] = dataclasses.replace(node, op=dataclasses.replace(node.op, fused=True), inputs=(name,))
        nodes: list[Node] = []
        for node in graph.nodes:
            if node.name in replaced:
                nodes += [replaced[argument] for argument in replaced[node.name].inputs]
            if node.name not in gone:
                nodes.append(replaced.get(node.name, node))
        return graph.rebuilt(nodes=nodes)
