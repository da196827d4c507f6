"""Lowerings of what gives 8-bit codes: quantization, root-mean-square normalization and the gated activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from compiler.graph.ops import RmsNorm
from compiler.lower.base import SEGMENT, Lowering, Place
from compiler.target.memory import OnChip, Run
from compiler.target.step import Step
from hwsim.arch.isa import Norm, Quant, SwiGlu
from hwsim.arch.numerics import NORM_SHIFT
from hwsim.errors import ScheduleError

if TYPE_CHECKING:
    from models.integer import IntegerModel

__all__ = ["CodesLowering", "QuantizeLowering", "RmsNormLowering", "SwiGluLowering", "norm_parameters"]


class CodesLowering(Lowering):
    """A node whose value is 8-bit codes."""

    def settle(self, run: Run, chip: OnChip, before: Sequence[Lowering]) -> None:
        """Share the place of the same operator's codes of the same width when all their readers have run, or take a new one."""
        for other in before:
            sharers = [node for node in before if node.place == other.place]
            is_alike = type(other) is type(self) and other.width == self.width
            if is_alike and all(reader in before for sharer in sharers for reader in sharer.readers):
                self.place = other.place
                return
        start = chip.take("activation", -(-self.width // SEGMENT), f"Node {self.name}")
        self.place = Place(memory="activation", start=start, scale=chip.take("scale", run.tokens, f"Node {self.name}"))


class QuantizeLowering(CodesLowering):
    """The codes of result rows."""

    def steps(self, run: Run, rows: range) -> list[Step]:
        source = self.argument(0, "result")
        quant = Quant(
            rows=len(rows),
            source=source.start,
            stride=source.stride,
            length=self.width // run.lanes,
            destination=self.place.start,
            scale=self.place.scale,
        )
        return [Step(quant, self.name, reads=(source.region,), writes=(self.place.region,))]


def norm_parameters(model: IntegerModel, name: str, lanes: int) -> np.ndarray:
    """Return what NORM reads for the normalization `name`, int32: words of gains, then epsilon and the scale 1 / inputs."""
    # The constants of a model come with PyTorch, without which shapes are compiled.
    from models.integer.constants import epsilon, inverse_hidden

    gain = model.gains[name]
    inputs = len(gain.values)
    mantissa, exponent = inverse_hidden(model.config, gain, inputs)
    words = np.zeros(inputs + lanes, np.int32)
    words[:inputs] = gain.values
    words[inputs] = epsilon(model.config, inputs)
    words[inputs + 1] = mantissa | (exponent & 0xFF) << 16
    return words


class RmsNormLowering(CodesLowering):
    """The codes of normalized rows; they share the place of earlier ones that are used up."""

    op: RmsNorm

    def parameter_words(self) -> int:
        """Return the words of the gains and a word of constants."""
        return self.op.features // self.engine.vector.lanes + 1

    def parameters(self, model: IntegerModel, layer: int) -> np.ndarray:
        """Return the gains, then epsilon and the scale 1 / hidden."""
        return norm_parameters(model, self.name.format(layer), self.engine.vector.lanes)

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
        return [Step(norm, self.name, reads=reads, writes=(self.place.region,))]


class SwiGluLowering(CodesLowering):
    """The codes of silu(gate) x up."""

    def check(self) -> None:
        lanes = self.engine.vector.lanes
        if self.width % lanes:
            raise ScheduleError(
                f"Features of {self.name} must be a multiple of {lanes} vector lanes ({self.width % lanes} too many),"
                f" not {self.width}"
            )

    def steps(self, run: Run, rows: range) -> list[Step]:
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
        return [Step(product, self.name, reads=(source.region,), writes=(self.place.region,))]
