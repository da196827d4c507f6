"""Sets `h200-operators` and `h200-steps`: an H200 as `python -m reports.gpu_baseline` found it.

The rates in `hwsim/specs/devices/gpus/h200.yaml` come from the operators that are marked as fitted; of whole steps of networks
none was used.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from typing import Any

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.decoder import GpuDecoder
from hwsim.offload.devices import GPUS, HOSTS
from hwsim.offload.operators import GpuRates, Shape, attention, product
from hwsim.offload.span import repeated, serial
from hwsim.units import Bytes, Operations, Seconds, maximum
from models.networks import network
from reports.validation.row import Row, ValidationSet

__all__ = ["GPU_MEASURED_OPERATORS", "GPU_MEASURED_STEPS", "measured"]

_GPU = "h200"
_HOST = "h200-vm"
_FILE = f"reports/gpu_baseline/results/{_GPU}.json"
_WAY = "cudnn"
"""Kernels of attention that the measured steps use: the faster ones."""

# What the host takes to call attention of a prompt, which is not in a graph: all there is at 2048 tokens.
_CALL = Seconds(143e-6)
_PREFILL_FITTED = (2048, 32768)
_PRODUCTS_FITTED = (1, 16384)
_LEAST_COPY = 1 << 20
"""Bytes below which a copy is its latency."""

Measured = Mapping[str, Any]


@functools.cache
def measured() -> dict[str, Any]:
    """Return the result file; raise SpecError where it is not one."""
    try:
        text = (resources.files("reports.gpu_baseline") / "results" / f"{_GPU}.json").read_text(encoding="utf-8")
        return dict(json.loads(text))
    except (OSError, ValueError) as error:
        raise SpecError(f"Measurements must be a readable JSON file, but {_FILE}: {error}") from None


def _operators() -> tuple[Row, ...]:
    gpu = GPUS.load(_GPU).rates()
    found = measured()
    return tuple(row for kind, rows in _KINDS.items() for row in rows(gpu, found[kind]))


def _products(gpu: GpuRates, rows: list[Measured]) -> Iterator[Row]:
    for each in rows:
        shape = Shape(rows=each["rows"], columns=each["columns"], inner=each["inner"])
        case = f"product {each['rows']} x {each['columns']} x {each['inner']}"
        yield _row("h200-operators", case, each, product(gpu, shape).time, each["rows"] in _PRODUCTS_FITTED)


def _decode(gpu: GpuRates, rows: list[Measured]) -> Iterator[Row]:
    for each in rows:
        if each["way"] == _WAY:
            time = _attention(gpu, each, queries=1, keys=each["keys"], batch=each["batch"])
            case = f"attention of {each['batch']} x {each['heads']}/{each['kv_heads']} heads over {each['keys']} keys"
            yield _row("h200-operators", case, each, time, each["batch"] == 1)


def _prefill(gpu: GpuRates, rows: list[Measured]) -> Iterator[Row]:
    for each in rows:
        if each["way"] == _WAY:
            time = maximum(_CALL, _attention(gpu, each, queries=each["tokens"], keys=each["tokens"] / 2, batch=1))
            case = f"attention of a prompt, {each['heads']}/{each['kv_heads']} heads, {each['tokens']} tokens"
            yield _row("h200-operators", case, each, time, each["tokens"] in _PREFILL_FITTED)


def _attention(gpu: GpuRates, each: Measured, *, queries: float, keys: float, batch: int) -> Seconds:
    dim = measured()["settings"]["head_dim"]
    operations = Operations(4.0 * queries * keys * batch * each["heads"] * dim)
    return attention(gpu, operations=operations, cached=Bytes(4.0 * keys * batch * each["kv_heads"] * dim)).time


def _copies(gpu: GpuRates, rows: list[Measured]) -> Iterator[Row]:
    host = HOSTS.load(_HOST)
    assert host.gpu_link_rate is not None
    for each in rows:
        if each["is_pinned"] and each["bytes"] >= _LEAST_COPY:
            time = Bytes(float(each["bytes"])) / host.gpu_link_rate.value + _COPY_LATENCY
            case = f"copy of {each['bytes']} pinned bytes {each['way']}"
            yield _row("h200-operators", case, each, time, each["bytes"] in (_LEAST_COPY, rows[-1]["bytes"]))


_COPY_LATENCY = Seconds(11e-6)
_KINDS: dict[str, Callable[[GpuRates, list[Measured]], Iterator[Row]]] = {
    "product": _products,
    "decode_attention": _decode,
    "prefill_attention": _prefill,
    "host_copy": _copies,
}


def _steps() -> tuple[Row, ...]:
    gpu = GPUS.load(_GPU).rates()
    rows = []
    for each in measured()["network"]:
        if each["seconds"] is None:
            continue
        sizes, tokens, batch = network(each["network"]), each["tokens"], each["batch"]
        work = Workload(network=sizes, prompt=tokens, generated=1, batch=batch)
        decoder = GpuDecoder(gpu=gpu, work=work)
        layer = decoder.layer(1, tokens) if each["phase"] == "decode" else decoder.prompt()
        time = serial(repeated(layer, sizes.layers), decoder.head()).time
        case = f"{sizes.name}, {each['phase']}, batch {batch}, {tokens} tokens"
        rows.append(_row("h200-steps", case, each, time, fitted=False))
    return tuple(rows)


def _row(name: str, case: str, each: Measured, ours: Seconds, fitted: bool) -> Row:
    return Row(
        set=name,
        case=case,
        unit="ms",
        published=each["seconds"] * 1e3,
        ours=float(ours.to("ms")),
        fitted=fitted,
        source=f"{_FILE}: PyTorch {measured()['host']['torch']}",
    )


GPU_MEASURED_OPERATORS = ValidationSet(name="h200-operators", title="Operators measured on an H200", rows=_operators)
GPU_MEASURED_STEPS = ValidationSet(name="h200-steps", title="Steps and prompts of whole networks measured on an H200", rows=_steps)
