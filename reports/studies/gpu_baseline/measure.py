"""Measurement of the GPU that is there: what it and its machine say of themselves, what was asked, and what each thing took."""

import dataclasses
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch

from hwsim.plain import Settings
from lamforge.flow.verb import SILENT, Listener, verb
from models.distill.machine import place_of
from reports.studies.gpu_baseline import operators
from reports.studies.gpu_baseline.baseline import Baseline, BaselineSettings, MeasuredGpu, MeasuredHost, read_settings
from reports.studies.gpu_baseline.clock import Clock
from reports.studies.gpu_baseline.network import steps

__all__ = ["MeasureRequest", "measure", "run"]

_ASKED = ("driver_version", "pcie.link.gen.current", "pcie.link.gen.max", "pcie.link.width.current", "clocks.max.sm", "power.limit")
Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureRequest:
    """What to measure.

    Attributes:
        settings: values that replace those of `settings.json`, by name.
        device: `cuda`, or `cpu` to try the measurement itself.
    """

    settings: Settings = dataclasses.field(default_factory=dict)
    device: str = "cuda"


def run(request: MeasureRequest, listener: Listener = SILENT) -> Baseline:
    """Measure launches, copies, products, attention, and whole steps of networks, in a minute and a quarter on an H200.

    Raises:
        SpecError: there is no such device, or a setting is wrong.
    """
    asked, place = read_settings(request.settings), place_of(request.device)
    clock = Clock(
        device=place, repeats=asked.repeats, warm=asked.warm, limit_s=asked.limit_s, footprint_bytes=asked.footprint_bytes
    )
    torch.manual_seed(1)
    began = time.monotonic()

    def rows(name: str, way: Callable[[Clock, BaselineSettings], Iterator[Row]]) -> tuple[Row, ...]:
        found = tuple(way(clock, asked))
        clock.empty()
        listener.say(f"{name}: {len(found)} measurements")
        return found

    with torch.no_grad():
        # A GPU is kept busy until its clocks are up and its link is awake.
        while place.type == "cuda" and time.monotonic() < began + clock.limit_s:
            x = torch.randn((4096, 4096), device=place, dtype=clock.dtype)
            (x @ x).cpu()
        return Baseline(
            gpu=_gpu(place),
            host=_host(),
            dtype=str(clock.dtype).removeprefix("torch."),
            launch=rows("launch", operators.launch),
            copy=rows("copy", operators.copy),
            pointwise=rows("pointwise", operators.pointwise),
            product=rows("product", operators.product),
            decode_attention=rows("decode_attention", operators.decode_attention),
            prefill_attention=rows("prefill_attention", operators.prefill_attention),
            host_copy=rows("host_copy", operators.host_copy),
            gather=rows("gather", operators.gather),
            network=rows("network", steps),
            settings=asked,
            seconds=round(time.monotonic() - began, 1),
        )


measure = verb("gpu.measure", MeasureRequest, run)


def _gpu(device: torch.device) -> MeasuredGpu:
    """Return what a GPU is, and what its driver says of it."""
    if device.type != "cuda":
        return MeasuredGpu(name="CPU")
    found = torch.cuda.get_device_properties(device)
    return MeasuredGpu(
        name=found.name,
        multiprocessors=found.multi_processor_count,
        memory_bytes=found.total_memory,
        cache_bytes=found.L2_cache_size,
        driver=_driver(str(found.uuid)),
    )


def _host() -> MeasuredHost:
    """Return processor, memory and versions."""
    file = Path("/proc/cpuinfo")
    first = file.read_text(encoding="utf-8").partition("\n\n")[0] if file.is_file() else ""
    described = dict(line.partition(":")[::2] for line in first.splitlines())
    fields = {name.strip(): value.strip() for name, value in described.items()}
    return MeasuredHost(
        cpu=fields.get("model name", platform.processor() or platform.machine()),
        is_virtual="hypervisor" in fields.get("flags", "").split(),
        cpus=os.cpu_count(),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version() if torch.cuda.is_available() else None,
    )


def _driver(uuid: str) -> dict[str, str]:
    """Return what nvidia-smi tells; nothing where there is none."""
    command = ["nvidia-smi", f"--id=GPU-{uuid}", f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(_ASKED, (value.strip() for value in answer.strip().split(",")), strict=False))
