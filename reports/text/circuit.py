"""Written Verilog, an engine's resources, and what co-simulations and boards were found to compute, as text."""

from collections.abc import Mapping

from lamforge.flow.board import BoardVerdict
from lamforge.flow.cosim import Verdict
from lamforge.flow.rtl import Verilog
from lamforge.flow.synth import Synthesis
from reports.text.figures import plural
from reports.text.table import table

__all__ = ["board_text", "synthesis_text", "verdict_text", "verilog_text"]

_NAMES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}


def verilog_text(written: Verilog) -> str:
    """Return what Verilog was written."""
    lint = ", lint clean" if written.is_linted else ""
    size = f"{written.line_count:,} lines in {len(written.files)} files"
    package = "" if written.board is None else f", kernel package for {written.board}"
    return f"{written.engine.name}: {size}{lint}{package} ({written.folder})"


def synthesis_text(found: Synthesis) -> str:
    """Return a line for each part, the sums against the board and its SLRs, and a verdict."""
    board = found.board.name
    rows = [
        (f"{part.unit}.{part.name}", f"{part.count}", *_counts(part.resources))
        for part in sorted(found.parts, key=lambda part: (part.unit, -part.resources["lut"]))
    ]
    rows.append(("total", "", *_counts(found.total)))
    rows.append(("budget", "", *_counts(found.budget)))
    rows.append((f"share of {board}", "", *_shares(found.total, found.device)))
    rows += [(f"{slr.name} of what is free", f"{slr.tiles} tiles", *_shares(slr.used, slr.free)) for slr in found.slrs]
    over = [_NAMES[name] for name in found.over]
    verdict = f"over the budget in {', '.join(over)}" if over else "within the budget"
    lines = [
        f"{found.engine.name} on {board} ({found.board.part.value}), {found.tool}: {verdict}",
        table(rows, head=("part", "copies", *_NAMES.values()), right=range(1, 7)),
    ]
    if found.ranking is not None:
        reached = f"A slice of it, routed on {found.ranking.device}: {found.ranking.mhz:.0f} MHz."
        lines.append(f"{reached} This ranks engines and says nothing of the board's clock.")
    lines.append("An estimate by open synthesis; docs/synthesis.md says what it can and cannot tell.")
    return "\n".join(lines)


def verdict_text(verdict: Verdict) -> str:
    """Return what a co-simulation found, a line for each case."""
    result = verdict.result
    rows = []
    for case in result.cases:
        times = verdict.ring_wraps(case.position)
        ring = f", ring wrapped {plural(times, 'time')}" if times else ""
        bits = f"{case.mismatches:,} of {case.compared:,} values differ"
        count = f"{case.instructions_compared:,} instructions in {case.cycles:,} cycles"
        cycles = f"{case.cycle_difference:,} cycles difference over {count}"
        rows.append((f"position {case.position}, {case.memory}{ring}", f"{bits}; {cycles}"))
    built = f"built in {result.build_s:.0f} s" if result.build_s else "built before"
    verilator = f"Verilator {result.verilator_cycles_per_s:,.0f} cycles/s ({built})"
    rows.append(("speed", f"{verilator}, simulator {result.simulator_cycles_per_s:,.0f} cycles/s"))
    sentence = "equal in every bit and every cycle" if verdict.is_equal else result.first or "not equal"
    return f"{verdict.model} on {result.engine}: {sentence}\n{table(rows)}"


def board_text(verdict: BoardVerdict) -> str:
    """Return the verdict on a board."""
    check = verdict.check
    found = "equal in every bit" if verdict.is_equal else check.first
    return table(
        [
            ("board", f"{verdict.model} on {check.engine}, device {verdict.index}: {found}"),
            ("position", f"{check.position}, {check.mismatches:,} of {check.compared:,} values differ"),
            ("cycles", f"{check.cycles:,} ({verdict.token_per_s:,.1f} token/s at {verdict.clock_hz / 1e6:g} MHz)"),
            ("simulated", f"{check.simulated_cycles:,} cycles with ideal memory"),
            ("host", f"{check.run_s:.2f} s for the image, the run and the memory back"),
        ]
    )


def _counts(resources: Mapping[str, float]) -> list[str]:
    return [f"{resources[name]:,.1f}" if resources[name] % 1 else f"{resources[name]:,.0f}" for name in _NAMES]


def _shares(used: Mapping[str, float], whole: Mapping[str, float]) -> list[str]:
    return [f"{used[name] / whole[name]:.1%}" for name in _NAMES]
