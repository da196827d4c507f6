"""How fast the parts are, as lines of name and value."""

from __future__ import annotations

from collections.abc import Iterator

from reports.studies.bench import Figures, WorkloadSpeed
from reports.text.table import fields

__all__ = ["bench_text"]


def bench_text(found: Figures) -> str:
    """Return a line for each figure."""
    return fields(list(_rows(found)))


def _rows(found: Figures) -> Iterator[tuple[str, str]]:
    yield "decode step", f"{found.cycles:,} cycles on {found.engine}"
    yield "simulator, time", f"{found.simulator_s * 1e3:.1f} ms, {found.simulator_cycles_per_s:,.0f} cycles/s"
    yield "Verilator", f"{found.verilator_s:.1f} s, {found.verilator_cycles_per_s:,.0f} cycles/s"
    yield "Verilator, build", f"{found.build_s:.0f} s"
    yield "ratio", f"{found.ratio:,.0f} x"
    yield "simulator, bits", f"{found.meaning_s:.2f} s"
    yield "compile", f"{found.compile_s:.2f} s"
    for each in found.workload:
        yield f"llama-2-7b on u280, {each.memory}", _speed(each)
    for rate in found.packing:
        speeds = f"{rate.pack_weights_per_s:,.0f} weights/s packed, {rate.deal_weights_per_s:,.0f} dealt over ports"
        yield f"pack {rate.format}", speeds
    if found.shaped is not None:
        made = found.shaped
        sizes = f"{made.model_bytes / 1e9:.2f} GB into {made.image_bytes / 1e9:.2f} GB for {made.engine}"
        yield f"compile {made.shape}", f"{made.compile_s:.1f} s, {made.memory_mb:,.0f} MB ({sizes})"
    for method in found.methods:
        yield f"compress, {method.method}", f"{method.parameters_per_s:,.0f} parameters/s"
    if found.parameters_per_s is not None:
        yield "compress (to nearest)", f"{found.parameters_per_s:,.0f} parameters/s"
    yield "generate", f"{found.token_per_s:.1f} token/s"
    yield "offload", f"{found.offload_per_s:,.0f} evaluations/s"
    yield "memory", f"{found.memory_mb:,.0f} MB"


def _speed(found: WorkloadSpeed) -> str:
    times = f"time {found.run_time_s * 1e3:.1f} ms, with control {found.simulate_s * 1e3:.1f} ms"
    return f"{found.cycles:,} cycles, {times}, {found.cycles_per_s:,.0f} cycles/s"
