"""Sets `gpu-operators`, `h200-operators` and `h200-steps`: an A100 as LLMCompass measured it, an H200 as `lamforge gpu measure`.

The rates in `hwsim/specs/devices/gpus/h200.yaml` come from the operators that are marked as fitted (`lamforge gpu fit`);
of whole steps of networks none was used. Not among the rows: FlashAttention's, which networks do not run on, what only moves
values within the GPU, and copies from memory that is not pinned, whose rates no model takes.
"""

import dataclasses
import functools
from collections.abc import Iterator

from hwsim.offload.devices import GPUS, HOSTS
from hwsim.offload.gpu_time import GpuRates, Shape, attention, product
from hwsim.units import Bytes, Operations, Seconds, maximum
from reports.studies.gpu_baseline import result
from reports.studies.gpu_baseline.baseline import Baseline, DecodeAttention, PrefillAttention
from reports.studies.gpu_rates import FEW_ROWS, MANY_ROWS, PREFILL_FITTED, WAY, steps
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["GPU_MEASURED_OPERATORS", "GPU_MEASURED_STEPS", "GPU_OPERATORS"]

_A100_SOURCE = "LLMCompass @2e015fd, measured data of its A100"

# The products that the shares of `a100-sxm-80` come from, and the launch of a host that launches every product: nothing else is
# in the smallest one.
_A100_LAUNCH = Seconds(28.5e-6)
_A100_FITTED = {(16384, 12288), (64, 12288), (8192, 64)}

# Size, ms of size x 12288 x 12288, TFLOP/s of 8192 x size x size.
_A100_MEASURED = (
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

_GPU = "h200"
_HOST = "h200-vm"
_FILE = f"reports/studies/gpu_baseline/results/{_GPU}.json"

# What the host takes to call attention of a prompt, which is not in a graph: all there is at 2048 tokens.
_CALL = Seconds(143e-6)
_CALL_FITTED = 2048
# From one copy between host and GPU to the next.
_COPY_LATENCY = Seconds(11e-6)
_LEAST_COPY = 1 << 20
"""Bytes below which a copy is its latency."""


def _a100() -> Iterator[Row]:
    gpu = dataclasses.replace(GPUS.load("a100-sxm-80").rates(), launch=_A100_LAUNCH, product_launch=_A100_LAUNCH)
    cases = [(Shape(rows=rows, columns=12288, inner=12288), ms, "ms") for rows, ms, _ in _A100_MEASURED]
    cases += [(Shape(rows=8192, columns=size, inner=size), rate, "TFLOP/s") for size, _, rate in _A100_MEASURED]
    for shape, published, unit in cases:
        time, fitted = product(gpu, shape).time, (shape.rows, shape.columns) in _A100_FITTED
        ours = float(time.to("ms") if unit == "ms" else (shape.operations / time).to("TFLOP/s"))
        case = f"{shape.rows} x {shape.columns} x {shape.inner}"
        yield Row(case=case, unit=unit, published=published, ours=ours, fitted=fitted, source=_A100_SOURCE)


@functools.cache
def _found() -> Baseline:
    """Return what was measured, read once."""
    return result(_GPU)


def _h200_operators() -> Iterator[Row]:
    """Yield products, attention of steps, attention of prompts, and copies."""
    gpu, found, host = GPUS.load(_GPU).rates(), _found(), HOSTS.load(_HOST)
    assert host.gpu_link_rate is not None
    for matrix in found.product:
        shape = Shape(rows=matrix.rows, columns=matrix.columns, inner=matrix.inner)
        case = f"product {shape.rows} x {shape.columns} x {shape.inner}"
        yield _row(case, 1e3 * matrix.took.measured_s, product(gpu, shape).time, shape.rows in FEW_ROWS + MANY_ROWS)
    for step in found.decode_attention:
        if step.way == WAY:
            time = _attention(gpu, step, queries=1, keys=step.keys, batch=step.batch)
            case = f"attention of {step.batch} x {step.heads}/{step.kv_heads} heads over {step.keys} keys"
            yield _row(case, 1e3 * step.took.measured_s, time, step.batch == 1)
    for prompt in found.prefill_attention:
        if prompt.way == WAY:
            time = maximum(_CALL, _attention(gpu, prompt, queries=prompt.tokens, keys=prompt.tokens / 2, batch=1))
            case = f"attention of a prompt, {prompt.heads}/{prompt.kv_heads} heads, {prompt.tokens} tokens"
            yield _row(case, 1e3 * prompt.took.measured_s, time, prompt.tokens in (_CALL_FITTED, PREFILL_FITTED))
    for copy in found.host_copy:
        if copy.is_pinned and copy.bytes >= _LEAST_COPY:
            time = Bytes(float(copy.bytes)) / host.gpu_link_rate.value + _COPY_LATENCY
            case = f"copy of {copy.bytes} pinned bytes {copy.way}"
            yield _row(case, 1e3 * copy.took.measured_s, time, copy.bytes in (_LEAST_COPY, found.host_copy[-1].bytes))


def _attention(gpu: GpuRates, each: DecodeAttention | PrefillAttention, *, queries: float, keys: float, batch: int) -> Seconds:
    dim = _found().settings.head_dim
    operations = Operations(4.0 * queries * keys * batch * each.heads * dim)
    return attention(gpu, operations=operations, cached=Bytes(4.0 * keys * batch * each.kv_heads * dim)).time


def _h200_steps() -> Iterator[Row]:
    return (_row(step.case, float(step.measured.to("ms")), step.ours) for step in steps(GPUS.load(_GPU).rates(), _found()))


def _row(case: str, measured_ms: float, ours: Seconds, fitted: bool = False) -> Row:
    source = f"{_FILE}: PyTorch {_found().host.torch}"
    return Row(case=case, unit="ms", published=measured_ms, ours=float(ours.to("ms")), fitted=fitted, source=source)


GPU_OPERATORS = ValidationSet(name="gpu-operators", title="Products on an A100, measured one by one", compute=_a100)
GPU_MEASURED_OPERATORS = ValidationSet(name="h200-operators", title="Operators measured on an H200", compute=_h200_operators)
_TITLE = "Steps and prompts of whole networks measured on an H200"
GPU_MEASURED_STEPS = ValidationSet(name="h200-steps", title=_TITLE, compute=_h200_steps)
