"""What the tests of the host share with those of the benches: the smallest engine and a random model compiled for it."""

from tests.testbenches.conftest import compiled, engine, model

__all__ = ["compiled", "engine", "model"]
