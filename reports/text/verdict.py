"""What co-simulations and boards were found to compute, as lines."""

from lamforge.flow.board import BoardVerdict
from lamforge.flow.cosim import Verdict
from reports.text.figures import plural
from reports.text.table import table

__all__ = ["board_text", "verdict_text"]


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
