"""Errors by layer: which layers of a compressed model differ most from those of its float model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hwsim.arch.numerics import FRACTION_BITS, to_fixed
from hwsim.errors import SpecError
from models.checkpoint.layout import block
from models.integer import IntegerReference
from models.matrices import ATTENTION, FEED_FORWARD, HEAD, layer_part
from models.reference.llama import Llama

__all__ = ["LayerError", "layer_errors"]

_UNIT = 2.0**-FRACTION_BITS
# Tokens whose logits are compared at once: bounds memory.
_ROWS = 128
# Beyond this the embeddings are other numbers, not the same ones rounded.
_SAME_EMBEDDING = 0.5


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """How far one half of a layer is off: the update it adds to the residual stream, or the head's logits.

    Each figure is the length of the difference over that of the float model's value, averaged over tokens.

    name: `layers.<n>.attention`, `layers.<n>.feed_forward` or `head`.
    own: error when both models are fed the float model's stream, so that of this half alone.
    accumulated: error when each model is fed its own stream.
    stream: error of the residual stream after it, each model fed its own.
    """

    name: str
    own: float
    accumulated: float
    stream: float


@torch.no_grad()
def layer_errors(
    reference: Llama, integers: IntegerReference, tokens: Sequence[int], told: Callable[[float], None] | None = None
) -> list[LayerError]:
    """Return the errors of every half of a layer on one text, in the order of the forward pass.

    told: is called with the fraction done.

    SpecError when the compressed model does not have its source's residual stream.
    """
    pattern = integers.model.pattern
    exact = reference.embed(tokens).double().numpy()
    fixed = integers.model.embedding.rows(tokens).astype(np.int64)
    apart = _relative(fixed * _UNIT - exact, exact)
    if apart > _SAME_EMBEDDING:
        raise SpecError(f"Embeddings must be those of the source for a comparison of layers, but they differ by {apart:.0%}")
    caches, found = reference.open(pattern), []

    def add(layer: int, part: str, updated: torch.Tensor, half: Callable[[int, np.ndarray], np.ndarray]) -> None:
        nonlocal exact, fixed
        start, update = to_fixed(exact), updated.double().numpy()
        own = (half(layer, start) - start) * _UNIT
        after = half(layer, fixed)
        exact = exact + update
        found.append(
            LayerError(
                name=layer_part(layer, part),
                own=_relative(own - update, update),
                accumulated=_relative((after - fixed) * _UNIT - update, update),
                stream=_relative(after * _UNIT - exact, exact),
            )
        )
        fixed = after

    def normed(name: str) -> torch.Tensor:
        return reference.norm(name, torch.from_numpy(exact).float())

    for layer, cache in enumerate(caches):
        mixed = reference.attention(layer, normed(block(layer, "input_layernorm")), cache)
        add(layer, ATTENTION, mixed, integers.rows.attention)
        gated = reference.feed_forward(layer, normed(block(layer, "post_attention_layernorm")))
        add(layer, FEED_FORWARD, gated, integers.rows.feed_forward)
        if told is not None:
            told((layer + 1) / (len(caches) + 1))
    own, accumulated = (_head_error(reference, integers, exact, x) for x in (to_fixed(exact), fixed))
    found.append(LayerError(name=HEAD, own=own, accumulated=accumulated, stream=found[-1].stream))
    if told is not None:
        told(1.0)
    return found


def _head_error(reference: Llama, integers: IntegerReference, exact: np.ndarray, fixed: np.ndarray) -> float:
    """Return how far the logits of fixed rows are off those of exact ones, a few rows at a time."""
    errors = []
    for start in range(0, len(exact), _ROWS):
        rows = slice(start, start + _ROWS)
        logits = reference.head(torch.from_numpy(exact[rows]).float()).double().numpy()
        errors.append((len(logits), _relative(integers.rows.head(fixed[rows]) * _UNIT - logits, logits)))
    return sum(count * error for count, error in errors) / len(exact)


def _relative(difference: np.ndarray, whole: np.ndarray) -> float:
    """Return the length of a difference over that of the whole, averaged over the rows that are not zero."""
    lengths = np.linalg.norm(whole, axis=1)
    rows = lengths > 0
    return float((np.linalg.norm(difference, axis=1)[rows] / lengths[rows]).mean()) if rows.any() else 0.0
