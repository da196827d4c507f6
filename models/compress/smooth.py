"""Smoothing of activation outliers: inputs are divided by factors, and the weights that read them multiplied.

The 8-bit step of an activation vector is set by its largest element. Dividing strong inputs narrows it and leaves the
outputs as they are, but magnifies what rounding did to them, and spreads the weights. So how far to go is searched for:
the outputs on the calibration text are compared with activations and weights rounded.

Ref: Xiao et al., SmoothQuant, arXiv 2211.10438. Where weights are stored in 4-bit blocks, whole blocks share a factor,
so that their codes stay.

Powers of magnitudes are only the starting point: what rounding adds to the outputs is, in expectation, the mean square of the
tokens' steps times the energy of weights and factors, which is convex in the logarithms of the factors. Descent finds
factors for each input that powers do not reach.
"""

import dataclasses
from typing import ClassVar

import torch
from torch.nn import functional

from hwsim.arch.isa import Format
from models.checkpoint.base import BLOCK
from models.compress.calibrate import rounded_activations
from models.compress.layer import Layer, Linear
from models.compress.method import Context, Quantizer, Transform
from models.matrices import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD
from models.recipes.options import SmoothOptions

__all__ = ["Smooth"]

_NORMS = {"qkv": ATTENTION_NORM, "gateup": FFN_NORM, HEAD: FINAL_NORM}
_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
# Number of tokens on which outputs are compared.
_TOKENS = 512
# Number of tokens for gradient descent, and its rate for the logarithm of a factor; the rate falls by _DECAY each step.
_DESCENT_TOKENS = 1024
_RATE = 0.05
_DECAY = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Smooth(SmoothOptions, Transform):
    """Divides strong inputs of a matrix."""

    parts: ClassVar[tuple[str, ...]] = ("qkv", "gateup", "down", HEAD)

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
        if linear.blocks is not None and quantizer.format is Format.W4:
            groups: tuple[int, ...] = (BLOCK,)
        else:
            groups = (BLOCK, 1) if inputs.shape[1] % BLOCK == 0 else (1,)
        tried = [_powers(inputs, group, share) for group in groups for share in shares]
        shown = inputs[:: -(-len(inputs) // (_DESCENT_TOKENS if self.steps else _TOKENS))]
        exact = functional.linear(shown, linear.weight)

        def errors(factor: torch.Tensor) -> torch.Tensor:
            matrix = quantizer.quantized(linear.with_columns_times(factor), None, None)
            found = functional.linear(rounded_activations(shown / factor), torch.from_numpy(matrix.dequantize()).float())
            return (found - exact).square().sum(1, dtype=torch.float64)

        best = tried[0] if len(tried) == 1 else min(tried, key=lambda factor: float(errors(factor).sum()))
        if self.steps == 0:
            return best
        energy = exact.square().sum(1)
        share = torch.where(energy > 0, 1 / energy, 0.0)
        fitted = _descended(best, shown, linear.weight, share, groups[-1], self.steps)
        return min(best, fitted, key=lambda factor: float((errors(factor) * share).sum()))


def _descended(
    factor: torch.Tensor, inputs: torch.Tensor, weight: torch.Tensor, share: torch.Tensor, group: int, steps: int
) -> torch.Tensor:
    """Return factors, [inputs], one for each group, that lessen what rounding adds to the outputs.

    share: what a token's error counts, [tokens].
    """
    logarithm = factor.view(-1, group)[:, 0].log()
    magnitude = inputs.abs().view(-1, len(logarithm), group).amax(2)
    energy = weight.square().sum(0).view(-1, group).sum(1)
    optimizer = torch.optim.Adam([logarithm], lr=_RATE)
    for _ in range(steps):
        # Each token's step is set by one input; the gradient is its share of the squares less its share of the energy.
        step, at = (magnitude / logarithm.exp()).max(1)
        squares = torch.zeros_like(logarithm).index_add_(0, at, step.square() * share)
        energies = energy * (2 * logarithm).exp()
        logarithm.grad = energies / energies.sum() - squares / squares.sum()
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= _DECAY
    return (logarithm - logarithm.mean()).exp().repeat_interleave(group)


def _powers(inputs: torch.Tensor, group: int, share: float) -> torch.Tensor:
    """Return the largest magnitude of each group of inputs to a power, of geometric mean 1, [inputs]."""
    top = inputs.abs().amax(0).view(-1, group).amax(1)
    logarithm = top.clamp(min=float(top.max()) * 1e-4 or 1.0).log()
    return ((logarithm - logarithm.mean()) * share).exp().repeat_interleave(group)
