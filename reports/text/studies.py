"""What `lamforge study` finds: how fast the parts are as lines, sparse attention and flash as tables."""

from collections.abc import Iterator, Sequence

from lamforge.explore.measuring import Measured
from reports.studies.bench import Figures
from reports.studies.locality import LocalityStudy
from reports.studies.resources import ResourceStudy
from reports.studies.validation.flash import SEED, FlashChoices
from reports.studies.window import WindowStudy, cells
from reports.text.table import table

__all__ = ["bench_text", "flash_text", "locality_text", "measured_text", "resources_text", "window_text"]

_RESOURCES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}


def bench_text(found: Figures) -> str:
    """Return a line for each figure."""
    return table(list(_rows(found)))


def locality_text(found: LocalityStudy) -> str:
    """Return a line for each way to pick, in the mean over all places."""
    rows = [
        (
            f"{each.channel_share:.4f}",
            f"{each.token_share:.4f}",
            f"{each.run_tokens:.2f}",
            *(f"{share:.3f}" for share in (*each.group_share.values(), *each.page_share.values())),
        )
        for each in found.means
    ]
    groups = [f"groups of {size}" for size in found.means[0].group_share]
    pages = [f"pages of {size}" for size in found.means[0].page_share]
    return table(rows, head=("channels", "tokens", "tokens a run", *groups, *pages), right=range(3 + len(groups) + len(pages)))


def measured_text(found: Measured) -> str:
    """Return what was measured now, then every row of the table."""
    table_of, lengths = found.table, found.table.pass_keys.lengths
    rows = []
    for row in table_of.rows:
        low, high = found.intervals[row.key]
        keys = (f"{right} of {table_of.pass_keys.tried}" for right in row.found)
        rows.append((row.model, str(row.sinks), str(row.window), f"{row.perplexity:.2f}", f"[{low:.2f}, {high:.2f}]", *keys))
    head = ("model", "sinks", "window", "perplexity", "95 % interval", *(f"keys, {length} tokens" for length in lengths))
    lines = [f"{found.new_rows} of {len(table_of.rows)} rows measured now, in {found.file}", ""]
    lines += [table(rows, head=head, right=range(1, len(head)))]
    if found.unmeasured:
        lines.append(f"No model of the table has the formats of {len(found.unmeasured)} more, such as {found.unmeasured[0]}.")
    return "\n".join(lines)


def window_text(found: WindowStudy) -> str:
    """Return the answer, then a line for each cache."""
    rows = [cells(row) for row in found.rows]
    return "\n".join([found.answer, *found.details, "", table(rows, head=found.head, right=range(1, len(found.head)))])


def resources_text(found: ResourceStudy) -> str:
    """Return how far the model is off engines that it has not seen, then a line for each part."""
    off = found.off
    rows = [
        (_RESOURCES[name], f"{each.median:.2%}", f"{each.worst:.2%}", f"{each.exact} of {found.apart}")
        for name, each in off.items()
    ]
    parts = [(part, f"{count}", ", ".join(found.dependent[part])) for part, count in found.runs.items()]
    worst = f"off by {off['lut'].median:.2%} of the look-up tables in the median and {off['lut'].worst:.2%} in the worst case"
    lines = [
        f"Over {found.apart} engines that it has not seen, the model of {found.engines} is {worst}.",
        f"Runs of {found.origin.tool} in {found.output}.",
        *(f"Engines with the same fields have different circuits of {part}: the largest was taken." for part in found.contradicted),
        "",
        table(rows, head=("resource", "median", "worst", "exact"), right=range(1, 4)),
        table(parts, head=("part", "runs", "depends on"), right=(1,)),
    ]
    return "\n".join(lines)


def flash_text(found: FlashChoices) -> str:
    """Return three tables: flash bytes of decode, rates of drives, and writes."""
    return "\n".join(_lines(found))


def _rows(found: Figures) -> Iterator[tuple[str, str]]:
    yield "decode step", f"{found.cycles:,} cycles on {found.engine}"
    yield "simulator, time", f"{found.simulator_s * 1e3:.1f} ms, {found.simulator_cycles_per_s:,.0f} cycles/s"
    yield "Verilator", f"{found.verilator_s:.1f} s, {found.verilator_cycles_per_s:,.0f} cycles/s"
    yield "Verilator, build", f"{found.build_s:.0f} s"
    yield "ratio", f"{found.ratio:,.0f} x"
    yield "simulator, bits", f"{found.meaning_s:.2f} s"
    yield "compile", f"{found.compile_s:.2f} s"
    for each in found.workload:
        times = f"time {each.run_time_s * 1e3:.1f} ms, with control {each.simulate_s * 1e3:.1f} ms"
        yield f"llama-2-7b on u280, {each.memory}", f"{each.cycles:,} cycles, {times}, {each.cycles_per_s:,.0f} cycles/s"
    for sweep in found.sweeps:
        times = f"{sweep.points_per_s:,.0f} exact points/s, {sweep.whole_per_s:,.1f} designs/s one by one"
        yield f"sweep of {sweep.changes}, {sweep.memory}", f"{times} ({sweep.points_per_s / sweep.whole_per_s:,.1f} x)"
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


def _lines(found: FlashChoices) -> Iterator[str]:
    yield from _head("r", "k / S", "channels a page", "independent", "as measured", "one run", "run for 0.527")
    for each in found.fractions:
        shares = (f"{value:.3f}" for value in (each.independent, each.measured, each.one_run))
        run = "nan" if each.run_tokens is None else f"{each.run_tokens:.2f}"
        yield _row(f"{each.picked_channels}", f"{each.token_share:.4f}", f"{each.page_channels}", *shares, run)
    yield from ("", f"Seed {SEED}.", "", *_head("drive", "formula", "1 head", "2", "4", "16", "all"))
    for rate in found.rates:
        yield _row(rate.what, f"{rate.formula:.2f}", *(f"{value:.2f}" for value in rate.by_heads.values()))
    yield from ("", *_head("tokens a channel page", "writes of decode", "one token short", "waiting, GB a layer"))
    for page in found.written:
        yield _row(f"{page.page_tokens}", *(f"{value:.3f}" for value in (page.whole, page.one_short, page.waiting_gb)))


def _head(*names: str) -> Sequence[str]:
    return (_row(*names), f"|{'---|' * len(names)}")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
