"""Set `gpu-operators`: half-precision products on an A100, against what LLMCompass measured."""

import dataclasses
from collections.abc import Iterator

from hwsim.offload.devices import GPUS
from hwsim.offload.operators import Shape, product
from hwsim.units import Seconds
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["GPU_OPERATORS"]

_SOURCE = "LLMCompass @2e015fd, measured data of its A100"

# The products that the shares of `a100-sxm-80` come from, and the launch of a host that launches every product: nothing else is
# in the smallest one.
_LAUNCH = Seconds(28.5e-6)
_FITTED = {(16384, 12288), (64, 12288), (8192, 64)}

# Size, ms of size x 12288 x 12288, TFLOP/s of 8192 x size x size.
_MEASURED = (
    (64, 0.190, 2.27),
    (128, 0.200, 8.66),
    (256, 0.319, 30.1),
    (512, 0.612, 91.2),
    (1024, 1.199, 185),
    (2048, 2.359, 244),
    (4096, 4.458, 269),
    (8192, 8.62, 278),
    (16384, 17.03, 293),
    (32768, 35.44, 288),
)


def _rows() -> Iterator[Row]:
    gpu = dataclasses.replace(GPUS.load("a100-sxm-80").rates(), launch=_LAUNCH, product_launch=_LAUNCH)
    cases = [(Shape(rows=rows, columns=12288, inner=12288), ms, "ms") for rows, ms, _ in _MEASURED]
    cases += [(Shape(rows=8192, columns=size, inner=size), rate, "TFLOP/s") for size, _, rate in _MEASURED]
    for shape, published, unit in cases:
        time, fitted = product(gpu, shape).time, (shape.rows, shape.columns) in _FITTED
        ours = float(time.to("ms") if unit == "ms" else (shape.operations / time).to("TFLOP/s"))
        case = f"{shape.rows} x {shape.columns} x {shape.inner}"
        yield Row(case=case, unit=unit, published=published, ours=ours, fitted=fitted, source=_SOURCE)


GPU_OPERATORS = ValidationSet(name="gpu-operators", title="Products on an A100, measured one by one", compute=_rows)
