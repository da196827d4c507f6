"""Knows how to measure what a GPU model needs, and what it must then predict, on the GPU that is there.

Needs PyTorch alone: `python -m reports.gpu_baseline -o FILE`.
"""

__all__: list[str] = []
