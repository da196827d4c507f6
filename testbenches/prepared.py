"""A decode step ready to run: an image with the earlier tokens in its cache, and the results of the integer reference."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from compiler.emit.cache import write_cache
from compiler.pipeline import Compiled
from hwsim.arch.program import MemoryImage
from hwsim.host.inputs import Inputs
from models.integer import IntegerReference
from models.integer.cache import State

__all__ = ["PreparedStep", "prepare_step"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PreparedStep:
    """One decode step.

    Attributes:
        image: memory before it, with the reference's cache.
        inputs: inputs of the run.
        logits: int32 [vocab], the reference's.
        state: the reference's, after the step.
    """

    image: MemoryImage
    inputs: Inputs
    logits: np.ndarray
    state: State


def prepare_step(reference: IntegerReference, compiled: Compiled, tokens: Sequence[int]) -> PreparedStep:
    """Return the step of the last token, after those before it; `compiled` has an image."""
    state = reference.open()
    if len(tokens) > 1:
        reference.prefill(state, tokens[:-1])
    assert compiled.image is not None
    image = compiled.image.copy()
    write_cache(image, compiled.memory, compiled.request.engine, state)
    inputs = Inputs(position=state.length, rows=reference.model.embedding.rows([tokens[-1]]))
    return PreparedStep(image=image, inputs=inputs, logits=reference.step(state, tokens[-1]), state=state)
