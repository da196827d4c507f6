"""Balanced keys: channels of the keys are rescaled and shifted to suit the few bits of the cache, queries rescaled inversely.

A key's 64 or so channels share one step, set by the widest of them. Two rewritings leave attention as it is:

- Dividing the two channels that rotary embedding turns as a pair, and multiplying the query's by the same.
- Taking a constant from every key, which moves all scores of a query alike, so softmax does not see it. That is exact
  for channels that do not turn and nearly so for those that turn little within the window; the shift is a bias.

Where heads are normalized, the gains of queries and keys take the factors, which all heads of a layer then share, and
nothing is taken from keys: a bias would come before the normalization.

What to divide and shift by is fitted for each key head to the attention outputs on the calibration text: the best of a
few shares and numbers of shifted pairs first, then by gradient descent through the rounding.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch

from models.attention.base import block_segments
from models.compress.calibrate import rounded_cache
from models.compress.layer import Layer
from models.compress.method import Context, Transform
from models.matrices import KEY_NORM, QUERY_NORM
from models.recipes.options import BalanceKeysOptions

__all__ = ["BalanceKeys"]

# Shares of a channel's excess width that are taken away, and numbers of the slowest pairs that are shifted, to start from.
_SHARES = (0.0, 0.3, 0.5, 0.7)
_SHIFTED = (0, 4, 8, 10, 12, 14, 16)
# The width of a channel is this quantile of its magnitudes.
_QUANTILE = 0.99
# Calibration sequences used for the fit: more would take time and hardly change it.
_SEQUENCES = 4
# Learning rates of the logarithm of a factor, and of a shift in standard deviations of keys; both fall by _DECAY each step.
_RATE = 0.02
_DECAY = 0.96


@dataclasses.dataclass(frozen=True, kw_only=True)
class BalanceKeys(BalanceKeysOptions, Transform):
    """Fits keys to the cache."""

    parts: ClassVar[tuple[str, ...]] = ("qkv",)

    @property
    def adds_bias(self) -> bool:
        return self.shift and not self.biased_only

    def applied(self, layer: Layer, part: str, inputs: torch.Tensor | None, context: Context) -> Layer:
        assert inputs is not None
        config, qkv = layer.config, layer.linears[part]
        if self.biased_only and qkv.bias is None:
            return layer
        flat = qkv.outputs(inputs[: _SEQUENCES * context.sequence])
        sequences = [_Sequence(layer.heads(each), context) for each in flat.split(context.sequence)]
        fit, is_shifted = _Fit(sequences, is_shared=config.has_head_norms), self.shift and not config.has_head_norms
        factor, shift = fit.searched(_SHIFTED if is_shifted else _SHIFTED[:1])
        factor, shift = fit.descended(factor, shift, self.steps, is_shifted=is_shifted)
        if config.has_head_norms:
            layer = layer.with_gain(QUERY_NORM, layer.gains[QUERY_NORM] * factor[0])
            return layer.with_gain(KEY_NORM, layer.gains[KEY_NORM] / factor[0])
        queries, values = factor.repeat_interleave(config.group, dim=0).flatten(), torch.ones(config.kv_heads * config.head_dim)
        scale = torch.cat([queries, 1 / factor.flatten(), values])
        if is_shifted:
            none = torch.zeros(config.heads * config.head_dim)
            qkv = qkv.with_bias_less(torch.cat([none, shift.flatten(), torch.zeros_like(values)]))
        return layer.with_linears(qkv=qkv.with_rows_times(scale))


class _Sequence:
    """One calibration sequence: keys and values, queries as each segment of the pattern rotates them, and what they read."""

    def __init__(self, heads: Sequence[torch.Tensor], context: Context) -> None:
        """Take queries, keys and values, unrotated, [heads, tokens, head_dim]."""
        q, k, v = heads
        self.keys, self._values = k, v
        self._bits = context.cache.bits
        self._rotate, self._positions = context.geometry.rotate, torch.arange(k.shape[1])
        self._segments = block_segments(context.pattern, 0, k.shape[1])
        # Query heads of one key head follow each other: [kv_heads, group * tokens, head_dim].
        self._queries = [self._rotate(q, each.query_positions).reshape(len(k), -1, k.shape[2]) for each in self._segments]
        self._exact = self._attended(self._queries, self._rotate(k, self._positions))
        energy = self._exact.square().sum((1, 2))
        self._energy = torch.where(energy > 0, energy, 1.0)

    def error(self, factor: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Return the squared error, relative, of what the queries of each key head read once keys are fitted and rounded."""
        keys = rounded_cache(self._rotate((self.keys - shift[:, None]) / factor[:, None], self._positions), self._bits)
        found = self._attended([queries * factor[:, None] for queries in self._queries], keys)
        return (found - self._exact).square().sum((1, 2)) / self._energy

    def _attended(self, queries: list[torch.Tensor], keys: torch.Tensor) -> torch.Tensor:
        tokens, scores = keys.shape[1], []
        for segment, rotated in zip(self._segments, queries, strict=True):
            products = rotated @ keys[:, segment.start : segment.stop].transpose(1, 2) / math.sqrt(keys.shape[2])
            if segment.bias is not None:
                products = (products.view(len(keys), -1, tokens, products.shape[2]) + segment.bias).view(products.shape)
            scores.append(products)
        values = torch.cat([self._values[:, segment.start : segment.stop] for segment in self._segments], dim=1)
        return torch.softmax(torch.cat(scores, dim=2), dim=2) @ values


class _Fit:
    """Factors and shifts for some sequences, for each key head, or the same for all where `is_shared`."""

    def __init__(self, sequences: list[_Sequence], *, is_shared: bool = False) -> None:
        self._sequences = sequences
        self._is_shared = is_shared
        self._keys = torch.cat([each.keys for each in sequences], dim=1)

    def searched(self, shifted: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the best of a few factors and shifts for each key head, [kv_heads, head_dim] each."""
        best: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        for factor, shift in self._tried(shifted):
            error = sum(self._error(each, factor, shift) for each in self._sequences[::2])
            assert isinstance(error, torch.Tensor)
            if best is None:
                best = error, factor, shift
            else:
                is_better = error < best[0]
                mixed = [torch.where(is_better[:, None], new, old) for new, old in zip((factor, shift), best[1:], strict=True)]
                best = torch.minimum(error, best[0]), mixed[0], mixed[1]
        assert best is not None
        return best[1:]

    def descended(
        self, factor: torch.Tensor, shift: torch.Tensor, steps: int, *, is_shifted: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return factors and shifts after gradient descent on the error of the attention outputs."""
        with torch.enable_grad():
            half = factor[:, : factor.shape[1] // 2].log().requires_grad_()
            moved = shift.clone().requires_grad_(is_shifted)
            unit = float(self._keys.std())
            groups = [{"params": [half], "lr": _RATE}, *([{"params": [moved], "lr": _RATE * unit}] if is_shifted else [])]
            optimizer = torch.optim.Adam(groups)
            for step in range(steps):
                shown = self._sequences[step % len(self._sequences)]
                optimizer.zero_grad()
                self._error(shown, torch.cat([half, half], dim=1).exp(), moved).sum().backward()
                optimizer.step()
                for group in optimizer.param_groups:
                    group["lr"] *= _DECAY
        fitted = torch.cat([half, half], dim=1).detach().exp(), moved.detach()
        return self._better((factor, shift), fitted)

    def _better(
        self, old: tuple[torch.Tensor, torch.Tensor], new: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return of two factors and shifts those with less error over all sequences, for each key head."""
        before, after = (torch.stack([self._error(one, *each) for one in self._sequences]).sum(0) for each in (old, new))
        is_better = (after < before)[:, None]
        return torch.where(is_better, new[0], old[0]), torch.where(is_better, new[1], old[1])

    def _error(self, sequence: _Sequence, factor: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Return the error of each key head, or of all together where they share."""
        error = sequence.error(factor, shift)
        return error.sum(0, keepdim=True) if self._is_shared else error

    def _tried(self, shifted: tuple[int, ...]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        pairs = self._keys.shape[2] // 2
        mean = self._keys.mean(dim=1)
        for count in shifted:
            slowest = torch.arange(pairs) >= pairs - count
            shift = torch.where(torch.cat([slowest, slowest]), mean, 0.0)
            keys = self._keys - shift[:, None]
            for share in _SHARES:
                yield _spread(keys.flatten(0, 1)[None] if self._is_shared else keys, share), shift


def _spread(keys: torch.Tensor, share: float) -> torch.Tensor:
    """Return what narrows wide channels by a share, [kv_heads, head_dim], of geometric mean 1 in each head.

    keys: unrotated, [kv_heads, tokens, head_dim].
    """
    first, second = keys.double().chunk(2, dim=-1)
    magnitudes = (first.square() + second.square()).sort(dim=1).values
    width = magnitudes[:, int(_QUANTILE * (magnitudes.shape[1] - 1))].sqrt()
    floor = width.amax(dim=1, keepdim=True) * 1e-3
    logarithm = torch.where(floor > 0, torch.maximum(width, floor), 1.0).log()
    factor = ((logarithm - logarithm.mean(dim=1, keepdim=True)) * share).exp().float()
    return torch.cat([factor, factor], dim=1)
