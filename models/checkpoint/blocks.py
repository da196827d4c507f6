"""The 4-bit blocks that some checkpoints store, as integers, for methods that keep the stored grid."""

from dataclasses import dataclass

import numpy
import torch

__all__ = ["BLOCK", "AffineBlocks", "from_q4_1"]

# Inputs that share a scale and a minimum.
BLOCK = 32

_Q4_1_BYTES = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class AffineBlocks:
    """A linear weight, [outputs, inputs], as `codes * scales + minima` with one pair per BLOCK inputs of a row.

    codes: uint8 [outputs, inputs], 0 to 15.
    scales, minima: float32 [outputs, inputs / BLOCK], exactly representable in 16 bits.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    minima: torch.Tensor

    def dequantized(self) -> torch.Tensor:
        """Return the weight as float32 [outputs, inputs]."""
        codes = self.codes.float().view(*self.scales.shape, BLOCK)
        return (codes * self.scales[..., None] + self.minima[..., None]).view(self.codes.shape)

    def rows(self, order: torch.Tensor) -> "AffineBlocks":
        """Return the same weight with its rows in another order."""
        return AffineBlocks(codes=self.codes[order], scales=self.scales[order], minima=self.minima[order])


def from_q4_1(stored: numpy.ndarray) -> AffineBlocks:
    """Return the integers of Q4_1 data.

    stored: uint8 [outputs, bytes per row]; 20 bytes a block: scale and minimum as float16, then 16 bytes of
        which the low halves are inputs 0 to 15 and the high halves inputs 16 to 31. Ref: GGUF, GGML_TYPE_Q4_1.
    """
    blocks = stored.reshape(len(stored), -1, _Q4_1_BYTES)
    halves = numpy.ascontiguousarray(blocks[..., :4]).view(numpy.float16).astype(numpy.float32)
    packed = blocks[..., 4:]
    codes = numpy.concatenate([packed & 15, packed >> 4], axis=-1).reshape(len(stored), -1)
    return AffineBlocks(
        codes=torch.from_numpy(codes),
        scales=torch.from_numpy(halves[..., 0].copy()),
        minima=torch.from_numpy(halves[..., 1].copy()),
    )
