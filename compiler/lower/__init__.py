"""From nodes to steps: one lowering for each operator of the quantized form."""

from compiler.graph import Form, Graph
from compiler.graph.ops import Attention, Input, Linear, NormedAttention, Op, Output, Quantize, RmsNorm, SwiGlu
from compiler.lower.attention import AttentionLowering
from compiler.lower.base import Lowering
from compiler.lower.codes import QuantizeLowering, RmsNormLowering, SwiGluLowering
from compiler.lower.head_norms import NormedAttentionLowering
from compiler.lower.host import InputLowering, OutputLowering
from compiler.lower.linear import LinearLowering
from hwsim.arch.config import EngineConfig
from hwsim.errors import GraphError

__all__ = ["LOWERINGS", "Lowering", "lowered", "lowering_of"]

LOWERINGS: dict[type[Op], type[Lowering]] = {
    Attention: AttentionLowering,
    Input: InputLowering,
    Linear: LinearLowering,
    NormedAttention: NormedAttentionLowering,
    Output: OutputLowering,
    Quantize: QuantizeLowering,
    RmsNorm: RmsNormLowering,
    SwiGlu: SwiGluLowering,
}


def lowering_of(op: type[Op]) -> type[Lowering]:
    """Return the lowering of an operator; raise GraphError where there is none."""
    if op not in LOWERINGS:
        raise GraphError(
            f"Operator {op.__name__} of compiler/graph/ops.py must have a lowering in LOWERINGS of compiler/lower/__init__.py,"
            f" which has {', '.join(known.__name__ for known in LOWERINGS)}"
        )
    return LOWERINGS[op]


def lowered(graph: Graph, engine: EngineConfig) -> tuple[Lowering, ...]:
    """Return the lowerings of a graph's nodes in its order, each linked to its neighbours; raise GraphError."""
    made: dict[str, Lowering] = {}
    for node in graph.nodes:
        made[node.name] = lowering_of(type(node.op))(node, tuple(made[name] for name in node.inputs), engine)
    return tuple(made.values())


# An operator that the table lacks is found when the compiler is imported, not when a model has it.
for _op in Op.__subclasses__():
    if Form.QUANTIZED in _op.forms:
        lowering_of(_op)
