"""The typed graph: operators, nodes, and the rules of each form."""

from compiler.graph.graph import FINAL, LAYERS, Graph, Node, check
from compiler.graph.ops import Form

__all__ = ["FINAL", "LAYERS", "Form", "Graph", "Node", "check"]
