"""Student's t distribution for whole degrees of freedom."""

from __future__ import annotations

import math

from hwsim.errors import SpecError

__all__ = ["width", "within"]


def within(t: float, degrees: int) -> float:
    """Return the probability that a t variable lies between -t and t, for t >= 0.

    Ref: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if degrees % 2 else 1.0
    total = 0.0
    for index in range(degrees % 2, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (index + 1) / (index + 2)
    return 2 / math.pi * (angle + sine * total) if degrees % 2 else sine * total


def width(confidence: float, degrees: int) -> float:
    """Return the t for which a t variable lies between -t and t with probability `confidence`."""
    if not 0 < confidence < 1:
        raise SpecError(f"Confidence must lie between 0 and 1, not {confidence!r}")
    if degrees < 1:
        raise SpecError(f"Degrees of freedom must be at least 1, not {degrees!r}")
    low, high = 0.0, 1.0
    while within(high, degrees) < confidence:
        high *= 2
    # Bisection until the ends are neighbouring floats.
    while low < (middle := (low + high) / 2) < high:
        if within(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return high
