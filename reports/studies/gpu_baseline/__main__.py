"""Measures the GPU that is there and writes one JSON file: what it is, what was asked, and what each thing took."""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from hwsim.errors import LamforgeError, SpecError
from hwsim.whole_files import whole_file
from reports.studies.gpu_baseline.clock import Clock
from reports.studies.gpu_baseline.host import gpu, host
from reports.studies.gpu_baseline.network import steps
from reports.studies.gpu_baseline.operators import MEASUREMENTS

__all__ = ["main", "measure"]

_REFUSED = 2


def measure(settings: dict[str, Any], device: str) -> dict[str, Any]:
    """Return every measurement by name, and what ran it."""
    if device == "cuda" and not torch.cuda.is_available():
        raise SpecError("Device must be cpu where there is no CUDA device, not 'cuda'")
    place = torch.device(device)
    chosen = {name: settings[name] for name in ("repeats", "warm", "limit_s", "footprint_bytes")}
    clock = Clock(device=place, **chosen)
    torch.manual_seed(1)
    began = time.monotonic()
    with torch.no_grad():
        _heated(clock)
        found: dict[str, Any] = {"gpu": gpu(place), "host": host(), "dtype": str(clock.dtype).removeprefix("torch.")}
        for name, way in (*MEASUREMENTS.items(), ("network", steps)):
            found[name] = rows = list(way(clock, settings))
            clock.empty()
            sys.stderr.write(f"[{time.monotonic() - began:6.1f} s] {name}: {len(rows)} measurements\n")
            sys.stderr.flush()
    return found | {"settings": settings, "seconds": round(time.monotonic() - began, 1)}


def _heated(clock: Clock) -> None:
    """Keep a GPU busy until its clocks are up and its link is awake."""
    until = time.monotonic() + clock.limit_s
    while clock.device.type == "cuda" and time.monotonic() < until:
        x = torch.randn((4096, 4096), device=clock.device, dtype=clock.dtype)
        (x @ x).cpu()


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the file and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reports.studies.gpu_baseline")
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    given = parser.parse_args(arguments)
    try:
        file = given.settings or resources.files("reports.studies.gpu_baseline") / "settings.json"
        document = measure(json.loads(file.read_text(encoding="utf-8")), given.device)
        with whole_file(given.output) as part:
            part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Settings must be a readable JSON file, but: {error}\n")
        return _REFUSED
    except LamforgeError as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    sys.stdout.write(f"{given.output}: {document['seconds']} s on {document['gpu']['name']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
