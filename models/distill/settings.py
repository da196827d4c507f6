"""Knows what a distillation may be told, and when in its course what happens."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from hwsim.errors import SpecError
from hwsim.nearest import nearest

__all__ = ["FORMATS", "Settings"]

FORMATS = ("w2s", "w2")
"""Weight formats that can be trained: 2-bit with two of every four kept, and dense 2-bit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One distillation; equal settings on equal prepared files draw the same data in the same order.

    Attributes:
        seed: of the data's order and of the sampled text.
        format: one of FORMATS, for the layers' matrices.
        sinks, window: of the Λ attention that the student has.
        length: tokens of a training sequence.
        batch: sequences of a step.
        steps: steps in all.
        warm_share: share of the steps over which the rates rise.
        block_share: share of the steps in which every block learns alone, from the teacher's own inputs.
        mask_share, mask_every: share of the steps while which the 2:4 mask is chosen anew, and the steps between.
        feature_weight, feature_share: weight of the hidden states' relative error, and where it has faded to zero.
        truth_weight: weight of the text's own next token, beside the teacher's distribution.
        weight_rate, scale_rate, norm_rate: peak learning rates of latent weights, logarithms of scales, gains.
        final_share: share of the peak rates that is left at the end.
        momentum, square_momentum: of AdamW.
        clip: largest norm of the gradient.
        wikipedia_share, sampled_share: of the training sequences; the rest is public-domain text.
        calibration_sequences: sequences on which inputs are measured before the first step.
        sample_sequences, sample_length: text written by the teacher.
        sample_batch: sequences written at once.
        temperature: of the teacher's writing.
        chat_share: share of the written sequences that begin as conversations.
        encyclopedia_share: share that begins with a stretch of the Wikipedia text.
    """

    seed: int = 1
    format: str = "w2s"
    sinks: int = 4
    window: int = 252
    length: int = 1024
    batch: int = 32
    steps: int = 7600
    warm_share: float = 0.02
    block_share: float = 0.03
    mask_share: float = 0.10
    mask_every: int = 20
    feature_weight: float = 0.3
    feature_share: float = 0.4
    truth_weight: float = 0.05
    weight_rate: float = 2e-3
    scale_rate: float = 2e-3
    norm_rate: float = 1e-4
    final_share: float = 0.02
    momentum: float = 0.9
    square_momentum: float = 0.98
    clip: float = 1.0
    wikipedia_share: float = 0.08
    sampled_share: float = 0.67
    calibration_sequences: int = 64
    sample_sequences: int = 114688
    sample_length: int = 512
    sample_batch: int = 4096
    temperature: float = 1.0
    chat_share: float = 0.25
    encyclopedia_share: float = 0.55

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise SpecError(f"Distillation format must be {nearest(str(self.format), FORMATS)}, not {self.format!r}")
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if entry.type == "int":
                least = 0 if entry.name in ("seed", "sinks", "sample_sequences") else 1
                if isinstance(value, bool) or not isinstance(value, int) or value < least:
                    raise SpecError(f"Distillation {entry.name} must be an integer of {least} or more, not {value!r}")
            elif entry.type == "float":
                if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                    raise SpecError(f"Distillation {entry.name} must be a number of 0 or more, not {value!r}")
                if entry.name.endswith("_share") and value > 1:
                    raise SpecError(f"Distillation {entry.name} must be at most 1, not {value!r}")
        for first, second in (("wikipedia_share", "sampled_share"), ("chat_share", "encyclopedia_share")):
            both = getattr(self, first) + getattr(self, second)
            if both > 1 + 1e-9:
                raise SpecError(f"Distillation {first} and {second} must be at most 1 together, not {both:g}")
        if self.temperature == 0:
            raise SpecError("Distillation temperature must be above 0, not 0")

    @classmethod
    def from_document(cls, document: object) -> Settings:
        """Return the settings in plain values by name; those that are not given keep their defaults."""
        if not isinstance(document, Mapping):
            raise SpecError(f"Distillation settings must be a mapping, not {document!r}")
        names = [entry.name for entry in dataclasses.fields(cls)]
        for key in document:
            if key not in names:
                raise SpecError(f"Distillation setting must be {nearest(str(key), names)}, not {key!r}")
        return cls(**document)

    def to_document(self) -> dict[str, object]:
        """Return plain values that `from_document` reads back to equal settings."""
        return dataclasses.asdict(self)

    @property
    def is_sparse(self) -> bool:
        """Whether two of every four weights are kept."""
        return self.format == "w2s"

    @property
    def block_steps(self) -> int:
        """Steps in which every block learns alone."""
        return round(self.block_share * self.steps)

    def is_mask_free(self, step: int) -> bool:
        """Return whether the mask may still change in a step."""
        return self.is_sparse and step < self.mask_share * self.steps

    def is_mask_due(self, step: int) -> bool:
        """Return whether the mask is chosen anew before a step."""
        return step > 0 and self.is_mask_free(step) and step % self.mask_every == 0

    def rate_share(self, step: int) -> float:
        """Return the share of the peak rates in a step: a rise, then half a cosine down."""
        warm = max(1, round(self.warm_share * self.steps))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return self.final_share + (1 - self.final_share) * (1 + math.cos(math.pi * min(done, 1.0))) / 2

    def feature_weight_at(self, step: int) -> float:
        """Return the weight of the hidden states' error in a step."""
        end = self.feature_share * self.steps
        return self.feature_weight * max(0.0, 1 - step / end) if end > 0 else 0.0
