"""The typed graph: operators, nodes, and the rules of each stage."""

from compiler.graph.graph import Graph, Node, Stage
from compiler.graph.spec import check

__all__ = ["Graph", "Node", "Stage", "check"]
