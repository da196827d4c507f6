"""What a machine says of itself, so that what was measured on it can be traced."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

from reports.studies.gpu_baseline.baseline import MeasuredGpu, MeasuredHost

__all__ = ["gpu", "host"]

_ASKED = ("driver_version", "pcie.link.gen.current", "pcie.link.gen.max", "pcie.link.width.current", "clocks.max.sm", "power.limit")


def gpu(device: torch.device) -> MeasuredGpu:
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


def host() -> MeasuredHost:
    """Return processor, memory and versions."""
    described = dict(line.partition(":")[::2] for line in _text(Path("/proc/cpuinfo")).partition("\n\n")[0].splitlines())
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


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
