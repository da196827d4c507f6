"""Written Verilog and an engine's resources as text."""

from collections.abc import Iterator, Mapping

from lamforge.flow.fit import Fit
from lamforge.flow.rtl import Verilog
from lamforge.flow.synth import Crossing, Synthesis, Timing
from reports.text.table import table

__all__ = ["synthesis_text", "verilog_text"]

_NAMES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}

_MOST_ROWS = 20
"""Paths, and nets, that are shown."""


def verilog_text(written: Verilog) -> str:
    """Return what Verilog was written."""
    lint = ", lint clean" if written.is_linted else ""
    size = f"{written.line_count:,} lines in {len(written.files)} files"
    package = "" if written.board is None else f", kernel package for {written.board}"
    first = f"{written.engine.name}: {size}{lint}{package} ({written.folder})"
    return "\n".join([first, *(_fit_lines(written.fit) if written.fit is not None else ())])


def _fit_lines(found: Fit) -> Iterator[str]:
    synthesis, board = found.synthesis, found.board
    whole = ", ".join(
        f"{share} of {name}" for name, share in zip(_NAMES.values(), _shares(synthesis.total, synthesis.device), strict=True)
    )
    most = "" if found.most is None else f"; at most {found.most.card_w:.0f} W"
    yield f"On {board.name}, by {synthesis.tool}: {whole}{most}."
    over = [
        f"{_NAMES[name]} of {slr.name}"
        for slr in synthesis.slrs
        for name, share in slr.shares.items()
        if share is not None and share > board.fill.value.share(name)
    ]
    if over:
        yield f"Over the board's fill: {', '.join(over)}."
    yield from map(_wires, synthesis.crossings or ())
    if synthesis.timing is not None:
        yield from _timing_lines(synthesis.timing)


def _wires(each: Crossing) -> str:
    share = "" if each.share is None else f", {each.share:.1%} of {each.lines:,} lines"
    over = "" if each.limit is None or each.wires <= each.limit else f", of which {each.limit:,} may be used"
    return f"{each.wires:,} wires cross between {each.lower} and {each.upper}{share}{over}."


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
    lines += map(_wires, found.crossings or ())
    if found.ranking is not None:
        reached = f"A slice of it, routed on {found.ranking.device}: {found.ranking.mhz:.0f} MHz."
        lines.append(f"{reached} This ranks engines and says nothing of the board's clock.")
    if found.timing is not None:
        lines += _timing_lines(found.timing)
    if found.is_quick and found.timing is not None:
        lines.append("The resources are what a model says; docs/synthesis.md says how far it and the timing are off.")
    elif found.is_quick:
        lines.append("Nothing was synthesized: this is what a model says; docs/synthesis.md says how far it is off.")
    else:
        lines.append("An estimate by open synthesis; docs/synthesis.md says what it can and cannot tell.")
    return "\n".join(lines)


def _counts(resources: Mapping[str, float]) -> list[str]:
    return [f"{resources[name]:,.1f}" if resources[name] % 1 else f"{resources[name]:,.0f}" for name in _NAMES]


def _shares(used: Mapping[str, float], whole: Mapping[str, float]) -> list[str]:
    return [f"{used[name] / whole[name]:.1%}" if whole[name] else "none there" for name in _NAMES]


def _timing_lines(timing: Timing) -> list[str]:
    """Return the depth of each unit, the paths and the nets that break a bar or come nearest to it, and a verdict."""
    units = [
        (name, f"{unit.levels}", f"{unit.delay_ns:.2f}", f"{unit.slack_ns:+.2f}") for name, unit in sorted(timing.units.items())
    ]
    broken, loaded = timing.broken_paths, timing.broken_nets
    paths = [
        (f"{path.levels}", f"{path.carries}", f"{path.delay_ns:.2f}", f"{path.slack_ns:+.2f}", path.start, path.end)
        for path in timing.paths[:_MOST_ROWS]
    ]
    nets = [(f"{net.loads:,}", f"{net.copies}", net.driver) for net in timing.nets[:_MOST_ROWS]]
    verdict = "within the bars" if not broken and not loaded and not timing.reset_data_loads else "outside the bars"
    lines = [
        f"Timing at {timing.clock_hz / 1e6:g} MHz, {timing.part}: {verdict}. The deepest path goes through {timing.levels} look-up "
        f"tables; a net but clock and reset has at most {timing.loads:,} loads.",
        f"Paths that are too deep or too long: {len(broken)}; nets with too many loads: {len(loaded)}; pins of data that a reset "
        f"drives: {timing.reset_data_loads}.",
        table(units, head=("unit", "levels", "ns", "slack ns"), right=range(1, 4)),
        table(paths, head=("levels", "carry", "ns", "slack ns", "from", "to"), right=range(4)),
        table(nets, head=("loads", "copies", "net"), right=range(2)),
    ]
    if more := max(0, len(broken) - _MOST_ROWS) + max(0, len(loaded) - _MOST_ROWS):
        lines.append(f"{more} more of them are in the JSON document.")
    return lines
