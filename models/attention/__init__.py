"""The table of attention patterns by name, and the parser of their spelling."""

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from models.attention.base import Geometry, LayerAttention, Pattern, Segment, Span
from models.attention.dense import Dense
from models.attention.lambda_shape import LambdaShape

__all__ = ["PATTERNS", "Dense", "Geometry", "LambdaShape", "LayerAttention", "Pattern", "Segment", "Span", "parse"]

PATTERNS: dict[str, type[Pattern]] = {"dense": Dense, "lambda": LambdaShape}


def parse(text: str) -> Pattern:
    """Return the pattern that `text` spells, `<name>` or `<name>:<options>`, such as `lambda:4+252`.

    SpecError names the known patterns, or what the options must be.
    """
    name, _, options = text.partition(":")
    if name not in PATTERNS:
        raise SpecError(f"Attention pattern must be {nearest(name, PATTERNS)}, not {shown(name)}")
    return PATTERNS[name].from_options(options)
