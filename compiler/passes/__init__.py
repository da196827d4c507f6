"""Graph to graph: one pass a file."""

from compiler.passes.base import Pass
from compiler.passes.fuse_projections import FuseProjections
from compiler.passes.fuse_residual import FuseResidual
from compiler.passes.quantize import QuantizeGraph

__all__ = ["FuseProjections", "FuseResidual", "Pass", "QuantizeGraph"]
