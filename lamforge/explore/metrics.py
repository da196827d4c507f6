"""The figures of a point that a study may bound, maximize or minimize, and which fidelity gives each."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

__all__ = ["FIRST_TOKEN", "METRICS", "PLACEMENT_METRICS", "PREFILL", "PROMPT", "Ground", "Metric"]


class Ground(enum.Enum):
    """Numbers of data files that decide a metric beside the study, the program and the engine."""

    MEMORY = "parameters of the memory model"
    ENERGY = "energy constants of the board"
    BOARD = "price of the board"
    SLRS = "resources of the board's SLRs, and the part of them that may be used"
    DEVICES = "data of the devices of a placement"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of a point.

    Attributes:
        name: by which a study calls it.
        told: what it is.
        label: the name as people say it; the same where it is left out, with spaces.
        unit: of its numbers; empty where the label says it or there is none.
        is_share: whether it is a part of a whole, 0 to 1, and shown as such.
        grounds: what decides it beside the study, the program and the engine.
        is_exact_only: whether only the exact simulation gives it.
        is_whole: whether it is a whole number.
    """

    name: str
    told: str
    grounds: tuple[Ground, ...]
    label: str = ""
    unit: str = ""
    is_share: bool = False
    is_exact_only: bool = False
    is_whole: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name.replace("_", " "))


_TIMED = (Ground.MEMORY,)
PREFILL, FIRST_TOKEN = "prefill_token_per_s", "first_token_s"
PROMPT = (PREFILL, FIRST_TOKEN)
"""Metrics of prefill runs, a program of their own, which are simulated only where a study asks for them."""

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="token_per_s", label="token/s", told="tokens of all sequences per second at the engine's clock", grounds=_TIMED
        ),
        Metric(name="cycles", told="cycles of a decode step with a full window", grounds=_TIMED, is_whole=True),
        Metric(name="bytes_per_token", told="bytes through every port, in both directions, for each token", grounds=()),
        Metric(
            name="fraction_of_peak",
            told="bytes through the stream ports, of what they carry with a beat in every cycle",
            grounds=_TIMED,
            is_share=True,
        ),
        Metric(
            name="token_per_joule",
            label="token/J",
            told="tokens for each joule of the card, estimated",
            grounds=(*_TIMED, Ground.ENERGY),
            is_exact_only=True,
        ),
        Metric(
            name=PREFILL,
            told="tokens of a prompt per second, of a prefill run with a full window; simulated only where a study asks for it",
            grounds=_TIMED,
            is_exact_only=True,
        ),
        Metric(
            name=FIRST_TOKEN,
            label="time to the first token",
            unit="s",
            told="seconds until every sequence has its first token after a prompt of `context` tokens; simulated only where"
            " a study asks for it",
            grounds=_TIMED,
            is_exact_only=True,
        ),
        Metric(
            name="power_w",
            label="power",
            unit="W",
            told="watts that the card draws while it decodes, estimated",
            grounds=(*_TIMED, Ground.ENERGY),
            is_exact_only=True,
        ),
        Metric(
            name="price_usd",
            label="price of the board",
            unit="USD",
            told="price of the point's board in US dollars; unknown where the board says none",
            grounds=(Ground.BOARD,),
        ),
        Metric(
            name="lut",
            label="LUTs",
            told="look-up tables of the engine, by the model fitted to runs of Yosys",
            grounds=(),
            is_whole=True,
        ),
        Metric(name="ff", label="flip-flops", told="flip-flops of the engine, the same", grounds=(), is_whole=True),
        Metric(name="bram36", label="block RAMs", told="block RAMs of 36 kbit of the engine, the same", grounds=()),
        Metric(name="uram", label="UltraRAMs", told="UltraRAMs of the engine, the same", grounds=(), is_whole=True),
        Metric(name="dsp", label="DSPs", told="DSP slices of the engine, the same", grounds=(), is_whole=True),
        Metric(
            name="fullest_share",
            label="fullest SLR",
            told="what the engine takes of the scarcest resource of the board's fullest SLR, of what may be used there;"
            " above 1 where it does not fit",
            grounds=(Ground.SLRS,),
            is_share=True,
        ),
        Metric(
            name="perplexity", told="perplexity of the network's model on the text of its table of accuracies, measured", grounds=()
        ),
        Metric(name="pass_keys", told="share of the table's pass keys that the model finds, measured", grounds=(), is_share=True),
    )
}
"""Metrics by name; a constraint or objective may also be a path of a design whose values are numbers."""

_ESTIMATED = (Ground.DEVICES,)
PLACEMENT_METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="token_per_s",
            label="token/s",
            told="generated tokens of all sequences over the whole time, prompts included",
            grounds=_ESTIMATED,
        ),
        Metric(
            name="decode_token_per_s",
            label="token/s between tokens",
            told="generated tokens of all sequences over the time between tokens",
            grounds=_ESTIMATED,
        ),
        Metric(
            name=FIRST_TOKEN,
            label="time to the first token",
            unit="s",
            told="seconds until every sequence has its first token",
            grounds=_ESTIMATED,
        ),
        Metric(
            name="step_s",
            label="time between tokens",
            unit="s",
            told="seconds from one token of every sequence to the next, in the mean",
            grounds=_ESTIMATED,
        ),
        Metric(
            name="token_per_joule",
            label="token/J",
            told="generated tokens for each joule of all devices, prompts included",
            grounds=_ESTIMATED,
        ),
        Metric(
            name="price_usd", label="price of devices", unit="USD", told="price of all devices in US dollars", grounds=_ESTIMATED
        ),
        Metric(
            name="usd_per_million_tokens",
            label="price of a token",
            unit="USD a million",
            told="that price spread over three years of running nothing else",
            grounds=_ESTIMATED,
        ),
        Metric(
            name="assumed_share",
            told="of the numbers behind an estimate, the part that is assumed",
            grounds=_ESTIMATED,
            is_share=True,
        ),
    )
}
"""Metrics of placements by name, all of them estimates."""
