"""Knows how a float model is taught to be an integer one; only its ends, `prepare` and `export`, need more than PyTorch."""

__all__: list[str] = []
