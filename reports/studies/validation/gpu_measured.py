"""Sets `h200-operators` and `h200-steps`: an H200 as `lamforge gpu measure` found it.

The rates in `hwsim/specs/devices/gpus/h200.yaml` come from the operators that are marked as fitted (`lamforge gpu fit`);
of whole steps of networks none was used. Not among the rows: FlashAttention's, which networks do not run on, what only moves
values within the GPU, and copies from memory that is not pinned, whose rates no model takes.
"""

import functools
from collections.abc import Iterator

from hwsim.offload.devices import GPUS, HOSTS
from hwsim.offload.operators import GpuRates, Shape, attention, product
from hwsim.units import Bytes, Operations, Seconds, maximum
from reports.studies.gpu_baseline import result
from reports.studies.gpu_baseline.baseline import Baseline, DecodeAttention, PrefillAttention
from reports.studies.gpu_rates import FEW_ROWS, MANY_ROWS, PREFILL_FITTED, WAY, steps
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["GPU_MEASURED_OPERATORS", "GPU_MEASURED_STEPS"]

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


@functools.cache
def _found() -> Baseline:
    """Return what was measured, read once."""
    return result(_GPU)


def _operators() -> Iterator[Row]:
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


def _steps() -> Iterator[Row]:
    return (_row(step.case, float(step.measured.to("ms")), step.ours) for step in steps(GPUS.load(_GPU).rates(), _found()))


def _row(case: str, measured_ms: float, ours: Seconds, fitted: bool = False) -> Row:
    source = f"{_FILE}: PyTorch {_found().host.torch}"
    return Row(case=case, unit="ms", published=measured_ms, ours=float(ours.to("ms")), fitted=fitted, source=source)


GPU_MEASURED_OPERATORS = ValidationSet(name="h200-operators", title="Operators measured on an H200", compute=_operators)
_TITLE = "Steps and prompts of whole networks measured on an H200"
GPU_MEASURED_STEPS = ValidationSet(name="h200-steps", title=_TITLE, compute=_steps)
