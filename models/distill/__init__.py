"""Trains an integer model from a float one; only the two ends, `prepare` and `export`, need more than PyTorch and NumPy."""

__all__: list[str] = []
