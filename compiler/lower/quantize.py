"""Lowering of quantization: a QUANT of result rows to 8-bit codes."""

from __future__ import annotations

from compiler.lower.base import CodesLowering
from compiler.target.run import Run
from compiler.target.step import Step
from hwsim.arch.isa import Quant

__all__ = ["QuantizeLowering"]


class QuantizeLowering(CodesLowering):
    """The codes of result rows."""

    def steps(self, run: Run, rows: range) -> list[Step]:
        """Return the QUANT."""
        source = self.argument(0, "result")
        quant = Quant(
            rows=len(rows),
            source=source.start,
            stride=source.stride,
            length=self.width // run.lanes,
            destination=self.place.start,
            scale=self.place.scale,
        )
        return [Step(instruction=quant, node=self.name, reads=(source.region,), writes=(self.place.region,))]
