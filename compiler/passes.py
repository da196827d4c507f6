"""Graph to graph: the passes of the compiler, and their order."""

import abc
import dataclasses
from typing import ClassVar

from compiler.graph import FINAL, Form, Graph, Node
from compiler.graph.ops import Add, Attention, Linear, Quantize, RmsNorm, SwiGlu
from hwsim.arch.isa import Format

__all__ = ["FuseProjections", "FuseResidual", "Pass", "QuantizeGraph", "passes"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pass(abc.ABC):
    """One step of the compiler; never changes its input."""

    name: ClassVar[str]

    @abc.abstractmethod
    def apply(self, graph: Graph) -> Graph:
        """Return the graph after this pass."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FuseProjections(Pass):
    """Query, key and value become `qkv`; gate and up become `gateup`: longer streams, one pass over the activations."""

    name: ClassVar[str] = "fuse_projections"

    def apply(self, graph: Graph) -> Graph:
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class FuseResidual(Pass):
    """The engine adds matrix results to the residual memory as they drain, so no sum is left."""

    name: ClassVar[str] = "fuse_residual"

    def apply(self, graph: Graph) -> Graph:
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeGraph(Pass):
    """`layers` is the format of the layers' weights, `head` that of what follows them; attention output gets a quantizer."""

    layers: Format
    head: Format
    name: ClassVar[str] = "quantize"

    def apply(self, graph: Graph) -> Graph:
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


def passes(*, layers: Format, head: Format) -> tuple[Pass, ...]:
    """Return the passes in order, for the formats of the layers' weights and of what follows them."""
    return (FuseProjections(), FuseResidual(), QuantizeGraph(layers=layers, head=head))
