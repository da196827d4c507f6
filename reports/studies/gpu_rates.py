"""Rates of a GPU from its measured operators, and the errors of its measured steps, to which none is fitted."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.devices import GPUS, Gpu
from hwsim.offload.gpu_time import GpuDecoder, GpuRates, Shape
from hwsim.offload.span import repeated, serial
from hwsim.units import Seconds
from models.zoo import network
from reports.studies.gpu_baseline.baseline import Baseline, read_baseline

__all__ = ["FEW_ROWS", "MANY_ROWS", "PREFILL_FITTED", "WAY", "Fit", "Step", "fit", "fitted", "steps"]

WAY = "cudnn"
"""Kernels of attention: those of the measured steps."""
FEW_ROWS, MANY_ROWS = (1, 64), (16384,)
"""Rows of products that rates come from: few read weights, many compute."""
PREFILL_FITTED = 32768
"""Tokens of the prompts that the rate of their attention comes from."""
_SMALL_COLUMNS = 4096
"""Of the rows that the launch comes from."""

Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A step, or a prompt, of a network: measured and as the model has it."""

    case: str
    measured: Seconds
    ours: Seconds

    @property
    def error(self) -> float:
        """How far ours is above the measured time, as a fraction of it."""
        return float(self.ours / self.measured) - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """Rates of a GPU, and the measured steps of networks beside what they give.

    Attributes:
        gpu: name of the GPU whose datasheet was taken.
        rates: what its operators reach.
        steps: none of which was used.
    """

    gpu: str
    rates: GpuRates
    steps: tuple[Step, ...]

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the datasheet's peaks that are reached, as fields of a GPU's file."""
        names = ("product_share", "memory_share", "attention_share", "prompt_attention_share")
        return {name: getattr(self.rates, name) for name in names}

    @property
    def times_us(self) -> dict[str, float]:
        """Times beside moving and computing, in microseconds, as fields of a GPU's file."""
        names = ("launch", "product_launch", "attention_launch")
        return {name: float(getattr(self.rates, name).to("us")) for name in names}


def fit(file: Path, *, gpu: str = "h200") -> Fit:
    """Fit the rates of a GPU to its measured operators, and compare them with its measured steps.

    file: what `lamforge.gpu.measure` found, as a JSON file.
    gpu: name of a shipped GPU, or path of a YAML file, whose datasheet the rates are shares of.

    Raises:
        SpecError: the measurements cannot be read or lack a kind of rows, or there is no such GPU.
    """
    found = read_baseline(file)
    rates = fitted(GPUS.load(gpu), found)
    return Fit(gpu=gpu, rates=rates, steps=tuple(steps(rates, found)))


def fitted(gpu: Gpu, found: Baseline) -> GpuRates:
    """Return what a GPU reaches, from its measured operators.

    Raises:
        SpecError: a kind of rows is missing.
    """
    few = _some([row for row in found.product if row.rows in FEW_ROWS], "products of few rows")
    many = _some([row for row in found.product if row.rows in MANY_ROWS], "products of many rows")
    single = [row for row in found.decode_attention if row.way == WAY and row.batch == 1]
    long = [row for row in found.prefill_attention if row.way == WAY and row.tokens == PREFILL_FITTED]
    small = [row.took.measured_s for row in found.pointwise if row.rows == 1 and row.columns == _SMALL_COLUMNS]
    dim = found.settings.head_dim
    computing = np.median([2.0 * row.rows * row.columns * row.inner / row.took.measured_s for row in many])
    prompts = _some(long, f"attention of prompts of {PREFILL_FITTED} tokens")
    attending = np.median([2.0 * row.heads * dim * row.tokens**2 / row.took.measured_s for row in prompts])
    read = [float(Shape(rows=row.rows, columns=row.columns, inner=row.inner).bytes.value) for row in few]
    weights, product_launch = _line(read, [row.took.measured_s for row in few])
    sizes = [4.0 * row.keys * row.kv_heads * dim for row in _some(single, "attention of single queries")]
    cached, attention_launch = _line(sizes, [row.took.measured_s for row in single])
    peak, memory = float(gpu.fp16_rate.value.value), float(gpu.memory_rate.value.value)
    return dataclasses.replace(
        gpu.rates(),
        product_share=float(computing) / peak,
        memory_share=weights / memory,
        attention_share=cached / memory,
        prompt_attention_share=float(attending) / peak,
        launch=Seconds(float(np.mean(_some(small, f"operators on one row of {_SMALL_COLUMNS}")))),
        product_launch=Seconds(product_launch),
        attention_launch=Seconds(attention_launch),
    )


def steps(rates: GpuRates, found: Baseline) -> Iterator[Step]:
    """Yield every step and prompt that was measured, beside ours."""
    for row in found.network:
        if row.took.seconds is None:
            continue
        sizes = network(row.network)
        work = Workload(network=sizes, prompt=row.tokens, generated=1, batch=row.batch)
        decoder = GpuDecoder(gpu=rates, work=work)
        layer = decoder.layer(1, row.tokens) if row.phase == "decode" else decoder.prompt()
        yield Step(
            case=f"{sizes.name}, {row.phase}, batch {row.batch}, {row.tokens} tokens",
            measured=Seconds(row.took.seconds),
            ours=serial(repeated(layer, sizes.layers), decoder.head()).time,
        )


def _some(rows: Sequence[Row], what: str) -> Sequence[Row]:
    if not rows:
        raise SpecError(f"Measurements must have {what} to fit rates to, but have none")
    return rows


def _line(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return (bytes per second, seconds beside them) of the line with the least relative errors."""
    times = np.array(seconds)
    table = np.stack([np.array(sizes), np.ones(len(times))], axis=1) / times[:, None]
    slope, beside = np.linalg.lstsq(table, np.ones(len(times)), rcond=None)[0]
    return 1 / float(slope), max(0.0, float(beside))
