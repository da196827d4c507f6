"""Takes over what a training has made of a model: its matrices, already in integers, and its gains."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from hwsim.errors import SpecError
from models.checkpoint import Checkpoint
from models.compress.layer import Layer, Linear
from models.compress.method import Quantizer
from models.distill import shipped
from models.distill.result import Result, read_result
from models.distill.weight import Stored
from models.matrices import NORMS, layer_part
from models.recipes.options import DistillOptions

__all__ = ["Distill", "quantized", "taught", "training_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill(DistillOptions, Quantizer):
    """Takes over the result of `lamforge distill`, whose teacher the checkpoint must be; at all layers or none."""

    is_alone: ClassVar[bool] = True

    def quantized(self, linear: Linear, hessian: torch.Tensor | None, kept: torch.Tensor | None) -> QuantizedMatrix:
        if linear.trained is None:
            raise AssertionError("a recipe with distill must be given its training")
        return linear.trained


def training_of(quantizers: Mapping[str, Quantizer], checkpoint: Checkpoint) -> Result | None:
    """Return the training that a recipe takes over, None when it takes none.

    quantizers: by the names of the matrices.

    SpecError when not all layers take the same, it is of another teacher or format, or it cannot be read.
    """
    of_layers = (quantizer for name, quantizer in quantizers.items() if "." in name)
    steps = {method if isinstance(method, Distill) else None for method in of_layers}
    chosen = next((method for method in steps if method is not None), None)
    if chosen is None:
        return None
    if len(steps) > 1:
        raise SpecError("Method distill must be at all of layers.* with one result, and no other method may be at them")
    result = read_result(shipped.locate(chosen.result))
    if checkpoint.digest != result.source_digest:
        raise SpecError(
            f"Checkpoint must be the teacher with digest {result.source_digest[:12]}, not one with digest {checkpoint.digest[:12]}"
        )
    if result.settings.format != chosen.format.name.lower():
        raise SpecError(f"Format of method distill must be {result.settings.format}, as trained, not {chosen.format.name.lower()}")
    return result


def taught(layer: Layer, index: int, result: Result) -> Layer:
    """Return a layer of the teacher as it was trained."""
    linears = {}
    for part, linear in layer.linears.items():
        stored = result.matrices[layer_part(index, part)]
        trained = quantized(stored)
        linears[part] = Linear(weight=torch.from_numpy(trained.dequantize()).float(), bias=linear.bias, trained=trained)
    gains = {name: torch.from_numpy(result.gains[layer_part(index, name)]) for name in NORMS}
    return Layer(config=layer.config, linears=linears, gains=gains)


def quantized(stored: Stored) -> QuantizedMatrix:
    """Return a trained matrix in its weight format; the values are the same to the last bit."""
    fraction, exponent = np.frexp(stored.row.astype(np.float64))
    mantissa = fraction * 65536
    if not bool((mantissa == np.floor(mantissa)).all()) or not bool(((exponent - 16 >= -128) & (exponent - 16 <= 127)).all()):
        raise SpecError("Row scales of a trained matrix must have 16-bit mantissas and 8-bit exponents, but some do not")
    return QuantizedMatrix(
        format=Format.W2 if stored.kept is None else Format.W2S,
        codes=stored.codes,
        kept=stored.kept,
        scale=stored.scale,
        offset=stored.zero.astype(np.int8),
        mantissa=mantissa.astype(np.int64),
        exponent=exponent.astype(np.int64) - 16,
    )
