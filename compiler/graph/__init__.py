"""The typed graph: operators, nodes, and the rules of each form."""

from compiler.graph.graph import FINAL, LAYERS, Graph, Node
from compiler.graph.ops import Form
from compiler.graph.spec import check

__all__ = ["FINAL", "LAYERS", "Form", "Graph", "Node", "check"]
