"""Studies of flash and of sparse attention as tables, those of `docs/flash.md` in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.studies.flash_choices import FlashChoices
from reports.studies.locality import LocalityStudy
from reports.studies.validation.flash import SEED
from reports.text.table import table

__all__ = ["flash_text", "locality_text"]


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


def flash_text(found: FlashChoices) -> str:
    """Return three tables: flash bytes of decode, rates of drives, and writes."""
    return "\n".join(_lines(found))


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
