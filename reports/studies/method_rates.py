"""How fast every compression method is, on one layer of a model."""

from __future__ import annotations

import dataclasses
import time

import torch

from hwsim.arch.isa import CacheFormat
from models.attention import parse
from models.checkpoint import Checkpoint
from models.compress import METHODS
from models.compress.distill import Distill
from models.compress.layer import Layer, Linear
from models.compress.method import Context, Method, Pruning, Quantizer, Transform
from models.compress.methods import name_of
from models.compress.rtn import Rtn
from models.matrices import HEAD
from models.reference.llama import Llama

__all__ = ["MethodRate", "method_rates"]

_PATTERN = "lambda:4+252"
_SEQUENCES, _LENGTH = 4, 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodRate:
    """How fast a method is with its default options: parameters of the matrices it works on, by wall-clock time."""

    method: str
    parameters_per_s: float


def method_rates(checkpoint: Checkpoint) -> tuple[MethodRate, ...]:
    """Return the rate of every method on the first layer of a checkpoint, stored blocks set aside where a method needs none.

    Inputs are random; what they say does not change the work. `distill` has no rate: its work was done elsewhere.
    """
    layer = Layer.of(checkpoint, 0)
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn((_SEQUENCES * _LENGTH, checkpoint.config.hidden), generator=random)
    context = Context(
        geometry=Llama(checkpoint, is_resident=False).geometry,
        pattern=parse(_PATTERN),
        cache=CacheFormat.KV4,
        sequence=_LENGTH,
        quantizers=dict.fromkeys((*layer.linears, HEAD), Rtn()),
    )
    return tuple(_rate(kind(), layer, inputs, context) for kind in METHODS.values() if kind is not Distill)


def _rate(method: Method, layer: Layer, inputs: torch.Tensor, context: Context) -> MethodRate:
    linear = layer.linears["gateup"]
    plain, hessian = Linear(weight=linear.weight), inputs.T @ inputs
    parameters = linear.weight.numel()
    with torch.no_grad():
        began = time.perf_counter()
        if isinstance(method, Transform):
            part = method.parts[0]
            parameters = layer.linears[part].weight.numel()
            method.applied(layer, part, inputs, context)
        elif isinstance(method, Pruning):
            method.pruned(linear.weight, hessian)
        elif isinstance(method, Quantizer):
            method.quantized(linear if name_of(method) == "keep" else plain, hessian, None)
        return MethodRate(method=name_of(method), parameters_per_s=parameters / (time.perf_counter() - began))
