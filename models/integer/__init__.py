"""Knows what the engine computes for a model, in integers: the parts are constants, model, ops, cache and reference."""

from models.integer.model import Embedding, IntegerModel

__all__ = ["Embedding", "IntegerModel"]
