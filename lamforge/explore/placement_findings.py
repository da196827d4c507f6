"""The results in a folder of a study of placements as reports show them: who leads where, what rejects, and how much is assumed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lamforge.explore.findings import opened, other_version
from lamforge.explore.front import Contradiction, Rejection, Tally
from lamforge.explore.leads import Case, Entry, Leads, View
from lamforge.explore.placements import rows_of
from lamforge.explore.store import ESTIMATE
from lamforge.explore.study import Study
from lamforge.explore.study_text import study_text
from lamforge.flow.offload.compare import Comparison, Line
from lamforge.flow.offload.contender import contender
from models.zoo import network

__all__ = ["PlacementFindings", "compared_leads", "is_placement_folder", "placement_findings"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacementFindings:
    """What a folder of results says.

    Attributes:
        study: the study; text: its file, ranges written out.
        code: digest of the code that computed.
        points, met_points: estimated, and those of them that meet everything.
        is_finished: whether the run came to its end.
        views: who leads where.
        rejected, contradictions: what constraints reject.
        short_of: points that are rejected for want of memory, by the memory that most is missing of, most points first.
        refusals: sentences with which systems refused questions, each once.
    """

    study: Study
    text: str
    code: str
    points: int
    met_points: int
    is_finished: bool
    views: tuple[View, ...]
    rejected: tuple[Rejection, ...]
    contradictions: tuple[Contradiction, ...]
    short_of: Mapping[str, int]
    refusals: tuple[str, ...]


def is_placement_folder(folder: Path) -> bool:
    """Return whether a folder holds estimates of a study of placements."""
    return any((folder / "parts").glob(f"{ESTIMATE}-*.parquet"))


def placement_findings(folder: Path) -> PlacementFindings:
    """Return what a folder says that a study of placements wrote, also one that was stopped; nothing in it is changed.

    Raises:
        SpecError: it holds no results, or damaged ones, or those of another version.
    """
    store, space = opened(folder)
    rows = rows_of(space, store.code)
    tally, leads = Tally(rows.constraints), Leads(space, rows)
    points = met = 0
    short: dict[str, int] = {}
    refusals: dict[str, None] = {}
    try:
        for part in store.parts(ESTIMATE):
            block = rows.block(part)
            met += int(tally.add(block.points, block.excess).sum())
            points += len(block.points)
            leads.add(block)
            names, counts = np.unique(block.notes["short_of"].astype(str), return_counts=True)
            for name, count in zip(names.tolist(), counts.tolist(), strict=True):
                short[name] = short.get(name, 0) + count
            refusals |= dict.fromkeys(sentence for sentence in block.refusals.tolist() if sentence)
    except KeyError as error:
        raise other_version(folder, error) from None
    return PlacementFindings(
        study=space.study,
        text=study_text(space.study),
        code=store.code,
        points=points,
        met_points=met,
        is_finished=(folder / "front.csv").is_file() or not met,
        views=leads.views,
        rejected=tally.rejections,
        contradictions=tally.contradictions,
        short_of={name: short[name] for name in sorted(short, key=lambda name: -short[name]) if name},
        refusals=tuple(refusals),
    )


def compared_leads(cases: Sequence[Case], objective: str, study: Study) -> Comparison:
    """Return the placements of cases over prompts, each in the batch that is best by an objective, as pictures take them."""
    names = dict.fromkeys(each.name for case in cases for each in case.entries[objective])
    model = str(cases[0].values.get("network", study.base.get("network", study.axes.get("network", ("",))[0])))
    return Comparison(
        network=network(model),
        contexts=tuple(float(case.values["prompt"]) for case in cases),
        generated=0,
        batches=(),
        lines=tuple(_line(name, [case.entry(objective, name) for case in cases]) for name in names),
    )


def _line(name: str, entries: Sequence[Entry | None]) -> Line:
    first = next(each for each in entries if each is not None)

    def over(metric: str) -> np.ndarray:
        return np.array([math.nan if each is None else each.metrics.get(metric, math.nan) for each in entries])

    return Line(
        contender=dataclasses.replace(contender(first.system), name=name),
        batch=np.array([math.nan if each is None else float(each.batch) for each in entries]),
        token_per_s=over("token_per_s"),
        decode_token_per_s=over("decode_token_per_s"),
        first_token_s=over("first_token_s"),
        step_s=over("step_s"),
        joules_per_token=1 / over("token_per_joule"),
        usd_per_million_tokens=over("usd_per_million_tokens"),
        binding=tuple(None if each is None else each.binding for each in entries),
        assumed_share=first.metrics["assumed_share"],
    )
