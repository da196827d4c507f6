"""Measurement of the GPU that is there: what it is, what was asked, and what each thing took."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from hwsim.plain import Settings
from lamforge.flow.verb import SILENT, Listener, verb
from models.distill.machine import place_of
from reports.studies.gpu_baseline import operators
from reports.studies.gpu_baseline.baseline import Baseline, BaselineSettings
from reports.studies.gpu_baseline.clock import Clock
from reports.studies.gpu_baseline.host import gpu, host
from reports.studies.gpu_baseline.network import steps
from reports.studies.gpu_baseline.reader import read_settings

__all__ = ["MeasureRequest", "measure", "run"]

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
    settings, place = read_settings(request.settings), place_of(request.device)
    clock = Clock(
        device=place,
        repeats=settings.repeats,
        warm=settings.warm,
        limit_s=settings.limit_s,
        footprint_bytes=settings.footprint_bytes,
    )
    torch.manual_seed(1)
    began = time.monotonic()

    def rows(name: str, way: Callable[[Clock, BaselineSettings], Iterator[Row]]) -> tuple[Row, ...]:
        found = tuple(way(clock, settings))
        clock.empty()
        listener.say(f"{name}: {len(found)} measurements")
        return found

    with torch.no_grad():
        _heat(clock)
        return Baseline(
            gpu=gpu(place),
            host=host(),
            dtype=str(clock.dtype).removeprefix("torch."),
            launch=rows("launch", operators.launches),
            copy=rows("copy", operators.copies),
            pointwise=rows("pointwise", operators.pointwise),
            product=rows("product", operators.products),
            decode_attention=rows("decode_attention", operators.decode_attention),
            prefill_attention=rows("prefill_attention", operators.prefill_attention),
            host_copy=rows("host_copy", operators.host_copies),
            gather=rows("gather", operators.gathers),
            network=rows("network", steps),
            settings=settings,
            seconds=round(time.monotonic() - began, 1),
        )


measure = verb("gpu.measure", MeasureRequest, run)


def _heat(clock: Clock) -> None:
    """Keep a GPU busy until its clocks are up and its link is awake."""
    until = time.monotonic() + clock.limit_s
    while clock.device.type == "cuda" and time.monotonic() < until:
        x = torch.randn((4096, 4096), device=clock.device, dtype=clock.dtype)
        (x @ x).cpu()
