"""Knows how to smooth activation outliers: inputs are divided by factors, the weights that read them multiplied.

The 8-bit step of an activation vector is set by its largest element. Dividing strong inputs narrows it and leaves the
outputs as they are, but magnifies what rounding did to them, and spreads the weights. So how far to go is searched for:
the outputs on the calibration text are compared with activations and weights rounded.

Ref: Xiao et al., SmoothQuant, arXiv 2211.10438. Where weights are stored in 4-bit blocks, whole blocks share a factor,
so that their codes stay.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch.nn import functional

from models.checkpoint.blocks import BLOCK
from models.compress.layer import Layer, Linear
from models.compress.method import Context, Quantizer, Transform, check_share
from models.compress.rounded import rounded_activations
from models.matrices import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD

__all__ = ["Smooth"]

_NORMS = {"qkv": ATTENTION_NORM, "gateup": FFN_NORM, HEAD: FINAL_NORM}
_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
# Tokens on which outputs are compared.
_TOKENS = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class Smooth(Transform):
    """Divides strong inputs of a matrix.

    Attributes:
        share: exponent of an input's largest magnitude in its factor; None searches for the best.
    """

    parts: ClassVar[tuple[str, ...]] = ("qkv", "gateup", "down", HEAD)

    share: float | None = None

    def __post_init__(self) -> None:
        if self.share is not None:
            check_share("share", self.share)

    def applied(self, layer: Layer, part: str, inputs: torch.Tensor | None, context: Context) -> Layer:
        assert inputs is not None
        linear = layer.linears[part]
        if part == "down":
            gate, up = layer.linears["gateup"].outputs(inputs).split(layer.config.ffn, dim=1)
            inputs = functional.silu(gate).mul_(up)
        factor = self._factor(linear, inputs, context.quantizers[part])
        smoothed = layer.with_linears(**{part: linear.with_columns_times(factor)})
        if part == "down":
            rows = torch.cat([torch.ones_like(factor), 1 / factor])
            return smoothed.with_linears(gateup=layer.linears["gateup"].with_rows_times(rows))
        name = _NORMS[part]
        return smoothed.with_gain(name, layer.gains[name] / factor)

    def _factor(self, linear: Linear, inputs: torch.Tensor, quantizer: Quantizer) -> torch.Tensor:
        """Return what to divide the inputs by, [inputs]."""
        shares = _SHARES if self.share is None else (self.share,)
        if linear.blocks is not None:
            groups: tuple[int, ...] = (BLOCK,)
        else:
            groups = (BLOCK, 1) if inputs.shape[1] % BLOCK == 0 else (1,)
        tried = [_powers(inputs, group, share) for group in groups for share in shares]
        if len(tried) == 1:
            return tried[0]
        shown = inputs[:: -(-len(inputs) // _TOKENS)]
        exact = functional.linear(shown, linear.weight)

        def error(factor: torch.Tensor) -> float:
            matrix = quantizer.quantized(linear.with_columns_times(factor), None, None)
            found = functional.linear(rounded_activations(shown / factor), torch.from_numpy(matrix.dequantize()).float())
            return float((found - exact).square().sum(dtype=torch.float64))

        return min(tried, key=error)


def _powers(inputs: torch.Tensor, group: int, share: float) -> torch.Tensor:
    """Return the largest magnitude of each group of inputs to a power, of geometric mean 1, [inputs]."""
    top = inputs.abs().amax(0).view(-1, group).amax(1)
    logarithm = top.clamp(min=float(top.max()) * 1e-4 or 1.0).log()
    return ((logarithm - logarithm.mean()) * share).exp().repeat_interleave(group)
