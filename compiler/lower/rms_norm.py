"""Lowering of root-mean-square normalization: a NORM of residual rows, with gains and constants as parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compiler.graph.ops import RmsNorm
from compiler.lower.base import CodesLowering
from compiler.target.run import Run
from compiler.target.step import Step
from hwsim.arch.isa import Norm
from hwsim.arch.numerics import NORM_SHIFT

if TYPE_CHECKING:
    from models.integer import IntegerModel

__all__ = ["RmsNormLowering"]


class RmsNormLowering(CodesLowering):
    """The codes of normalized rows; they share the place of earlier ones that are used up."""

    op: RmsNorm

    def parameter_words(self) -> int:
        """Return the words of the gains and a word of constants."""
        return self.op.features // self.engine.vector.lanes + 1

    def parameters(self, model: IntegerModel, layer: int) -> np.ndarray:
        """Return the gains, then epsilon and the scale 1 / hidden."""
        # The constants of a model come with PyTorch, without which shapes are compiled.
        from models.integer.constants import epsilon, inverse_hidden

        lanes, gain = self.engine.vector.lanes, model.gains[self.name.format(layer)]
        mantissa, exponent = inverse_hidden(model.config, gain)
        words = np.zeros(self.parameter_words() * lanes, np.int32)
        words[: self.op.features] = gain.values
        words[-lanes] = epsilon(model.config)
        words[-lanes + 1] = mantissa | (exponent & 0xFF) << 16
        return words

    def steps(self, run: Run, rows: range) -> list[Step]:
        """Return the NORM, whose first row of codes is that of `rows`."""
        source = self.argument(0, "residual")
        norm = Norm(
            rows=len(rows),
            source=source.start + rows.start * source.stride,
            stride=source.stride,
            length=self.op.features // run.lanes,
            destination=self.place.start,
            scale=self.place.scale,
            parameter=self.parameter_start,
            shift=NORM_SHIFT,
        )
        reads = (source.region, self.parameter_region)
        return [Step(instruction=norm, node=self.name, reads=reads, writes=(self.place.region,))]
