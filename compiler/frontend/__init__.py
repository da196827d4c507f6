"""From a model's geometry to a float graph."""

from compiler.frontend.llama import llama_graph

__all__ = ["llama_graph"]
