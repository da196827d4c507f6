"""Lowering of the gated activation: a SWIGLU of result rows that hold gate and up side by side."""

from __future__ import annotations

from compiler.lower.base import CodesLowering
from compiler.target.run import Run
from compiler.target.step import Step
from hwsim.arch.isa import SwiGlu
from hwsim.errors import ScheduleError

__all__ = ["SwiGluLowering"]


class SwiGluLowering(CodesLowering):
    """The codes of silu(gate) x up."""

    def check(self) -> None:
        """Refuse features that are not whole words."""
        lanes = self.engine.vector.lanes
        if self.width % lanes:
            raise ScheduleError(
                f"Features of {self.name} must be a multiple of {lanes} vector lanes ({self.width % lanes} too many),"
                f" not {self.width}"
            )

    def steps(self, run: Run, rows: range) -> list[Step]:
        """Return the SWIGLU."""
        source = self.argument(0, "result")
        product = SwiGlu(
            rows=len(rows),
            source=source.start,
            up=source.start + self.width // run.lanes,
            stride=source.stride,
            length=self.width // run.lanes,
            destination=self.place.start,
            scale=self.place.scale,
        )
        return [Step(instruction=product, node=self.name, reads=(source.region,), writes=(self.place.region,))]
