"""The figures of a point that a study may bound, maximize or minimize, and which fidelity gives each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

__all__ = ["METRICS", "Metric"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of a point.

    Attributes:
        name: by which a study calls it.
        told: what it is.
        is_exact_only: whether only the exact simulation gives it.
        is_whole: whether it is a whole number.
    """

    name: str
    told: str
    is_exact_only: bool = False
    is_whole: bool = False


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="token_per_s", told="tokens of all sequences per second at the engine's clock"),
        Metric(name="cycles", told="cycles of a decode step with a full window", is_whole=True),
        Metric(name="bytes_per_token", told="bytes through every port, in both directions, for each token"),
        Metric(name="fraction_of_peak", told="bytes through the stream ports, of what they carry with a beat in every cycle"),
        Metric(name="token_per_joule", told="tokens for each joule of the card, estimated", is_exact_only=True),
        Metric(name="perplexity", told="perplexity of the network's model on the text of its table of accuracies, measured"),
        Metric(name="pass_keys", told="share of the table's pass keys that the model finds, measured"),
    )
}
"""Metrics by name; a constraint or objective may also be a path of a design whose values are numbers."""
