"""The models that an evaluation sets beside each other: the float model dense, the same under the pattern, and integers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

from hwsim.errors import CheckpointError, SpecError
from lamforge.flow.sources import ModelSource, is_compressed, open_checkpoint, open_compressed, source_checkpoint
from models.attention import Dense, Pattern, parse
from models.checkpoint import Checkpoint
from models.compressed import CompressedModel
from models.evaluation.reading import Floats, Integers, Predictor
from models.integer import IntegerReference
from models.reference.llama import Llama, trained_pattern
from models.tokenizer import Tokenizer

__all__ = ["DENSE", "FLOAT", "INTEGERS", "Contestants", "contestants", "of_compressed"]

DENSE = "float, dense"
FLOAT = "float, same attention"
INTEGERS = "integers"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestants:
    """Models that predict the same texts.

    Attributes:
        name: what reports call the model.
        pattern: its attention.
        tokenizer: turns texts into tokens.
        reference: the float model; None where it is not at hand.
        integers: the compressed model; None for a float one.
        note: a sentence on what is missing; None when nothing is.
    """

    name: str
    pattern: Pattern
    tokenizer: Tokenizer
    reference: Llama | None
    integers: IntegerReference | None
    note: str | None = None

    @functools.cached_property
    def predictors(self) -> Mapping[str, Predictor]:
        """Those there are by DENSE, FLOAT and INTEGERS, in this order; the last is the model itself."""
        found: dict[str, Predictor] = {}
        if self.reference is not None and self.pattern != Dense():
            found[DENSE] = Floats(self.reference, Dense())
        if self.reference is not None:
            found[FLOAT] = Floats(self.reference, self.pattern)
        return found if self.integers is None else found | {INTEGERS: Integers(self.integers)}


def contestants(source: ModelSource, *, attention: str | None = None, float_source: str | Path | None = None) -> Contestants:
    """Return the model at `source`, a shipped name, a checkpoint on disk or a compressed model, and those to compare it with.

    attention: pattern of a float model; None takes the one it was trained with. A compressed model has its own.
    float_source: where the float model of a compressed one lies; None looks among the shipped ones.
    """
    if not is_compressed(source):
        if float_source is not None:
            raise SpecError("Source must be left out for a float model, which is its own, not given")
        checkpoint = open_checkpoint(source)
        pattern = trained_pattern(checkpoint.config) if attention is None else parse(attention)
        return Contestants(
            name=checkpoint.config.name,
            pattern=pattern,
            tokenizer=_present(checkpoint.tokenizer),
            reference=Llama(checkpoint, pattern=pattern),
            integers=None,
        )
    if attention is not None:
        raise SpecError("Attention must be left to the compressed model, which has its own, not given")
    compressed = open_compressed(source)
    try:
        return of_compressed(compressed, source_checkpoint(compressed, float_source))
    except CheckpointError as error:
        if float_source is not None:
            raise
        return of_compressed(compressed, None, note=str(error))


def of_compressed(compressed: CompressedModel, checkpoint: Checkpoint | None, *, note: str | None = None) -> Contestants:
    """Return a compressed model and, with its checkpoint, the float models it is compared with.

    note: a sentence on why there is no checkpoint.
    """
    model = compressed.model
    return Contestants(
        name=model.config.name,
        pattern=model.pattern,
        tokenizer=_present(compressed.tokenizer),
        reference=None if checkpoint is None else Llama(checkpoint, pattern=model.pattern),
        integers=IntegerReference(model),
        note=note,
    )


def _present(tokenizer: Tokenizer | None) -> Tokenizer:
    if tokenizer is None:
        raise SpecError("Model must carry a tokenizer to read a text, but has none")
    return tokenizer
