"""What the engine computes for a model, in integers; start at `IntegerModel` and `IntegerReference`."""

from models.integer.cache import State
from models.integer.model import Embedding, IntegerModel
from models.integer.reference import IntegerReference, Recorder

__all__ = ["Embedding", "IntegerModel", "IntegerReference", "Recorder", "State"]
