"""What a distillation may be told, and when in its course what happens."""

import dataclasses
import math
from typing import Annotated, Any, Self

from hwsim.errors import SpecError
from hwsim.reader import Limits, OneOf, read_flat

__all__ = ["FORMATS", "Settings"]

FORMATS = ("w2s", "w2")
"""Weight formats that can be trained: 2-bit with two of every four kept, and dense 2-bit."""

_SHARE = Limits(0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One distillation; equal settings on equal prepared files draw the same data in the same order."""

    seed: Annotated[int, Limits(0)] = 1
    """Seed of the data's order and of the sampled text."""
    format: Annotated[str, OneOf(FORMATS)] = "w2s"
    """Weight format of the layers' matrices."""
    sinks: Annotated[int, Limits(0)] = 4
    """First tokens that the student's Λ attention keeps."""
    window: Annotated[int, Limits(1)] = 252
    """Last tokens that the student's Λ attention keeps."""
    length: Annotated[int, Limits(1)] = 1024
    """Tokens of a training sequence."""
    batch: Annotated[int, Limits(1)] = 32
    """Sequences of a step."""
    steps: Annotated[int, Limits(1)] = 7600
    """Steps in all."""
    warm_share: Annotated[float, _SHARE] = 0.02
    """Share of the steps over which the rates rise."""
    block_share: Annotated[float, _SHARE] = 0.03
    """Share of the steps in which every block learns alone, from the teacher's own inputs."""
    mask_share: Annotated[float, _SHARE] = 0.10
    """Share of the steps while which the 2:4 mask is chosen anew."""
    mask_every: Annotated[int, Limits(1)] = 20
    """Steps from one choice of the mask to the next."""
    feature_weight: Annotated[float, Limits(0)] = 0.3
    """Weight of the hidden states' relative error at the start."""
    feature_share: Annotated[float, _SHARE] = 0.4
    """Share of the steps after which that weight has faded to zero."""
    truth_weight: Annotated[float, Limits(0)] = 0.05
    """Weight of the text's own next token, beside the teacher's distribution."""
    weight_rate: Annotated[float, Limits(0)] = 2e-3
    """Peak learning rate of the latent weights."""
    scale_rate: Annotated[float, Limits(0)] = 2e-3
    """Peak learning rate of the scales' logarithms."""
    norm_rate: Annotated[float, Limits(0)] = 1e-4
    """Peak learning rate of the gains."""
    final_share: Annotated[float, _SHARE] = 0.02
    """Share of the peak rates that is left at the end."""
    momentum: Annotated[float, Limits(0)] = 0.9
    """First momentum of AdamW."""
    square_momentum: Annotated[float, Limits(0)] = 0.98
    """Second momentum of AdamW."""
    clip: Annotated[float, Limits(0)] = 1.0
    """Largest norm of the gradient."""
    wikipedia_share: Annotated[float, _SHARE] = 0.08
    """Share of the training sequences that is encyclopedia."""
    sampled_share: Annotated[float, _SHARE] = 0.67
    """Share of the training sequences that the teacher wrote; what is left is public-domain text."""
    calibration_sequences: Annotated[int, Limits(1)] = 64
    """Sequences on which inputs are measured before the first step."""
    sample_sequences: Annotated[int, Limits(0)] = 114688
    """Sequences that the teacher writes."""
    sample_length: Annotated[int, Limits(1)] = 512
    """Tokens of a sequence that the teacher writes."""
    sample_batch: Annotated[int, Limits(1)] = 4096
    """Sequences that the teacher writes at once."""
    temperature: Annotated[float, Limits(above=0)] = 1.0
    """Temperature of the teacher's writing."""
    chat_share: Annotated[float, _SHARE] = 0.25
    """Share of the written sequences that begin as conversations."""
    encyclopedia_share: Annotated[float, _SHARE] = 0.55
    """Share of the written sequences that begin with a stretch of the encyclopedia."""

    def __post_init__(self) -> None:
        for first, second in (("wikipedia_share", "sampled_share"), ("chat_share", "encyclopedia_share")):
            both = getattr(self, first) + getattr(self, second)
            if both > 1 + 1e-9:
                raise SpecError(f"Distillation {first} and {second} must be at most 1 together, not {both:g}")

    @classmethod
    def from_document(cls, document: object) -> Self:
        """Return the settings in plain values by name; those that are not given keep their defaults."""
        return read_flat(cls, document, "Distillation", SpecError)

    def to_document(self) -> dict[str, Any]:
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
