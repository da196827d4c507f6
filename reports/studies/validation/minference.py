"""Set `minference-prompts`: seconds of a prompt on an A100 as MInference's pipeline runs it, dense and with A-shaped attention."""

import math
from collections.abc import Iterator

from hwsim.arch.workload import Workload
from hwsim.offload.systems import system
from models.zoo import network
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["MINFERENCE_PROMPTS"]

_SOURCE = "MInference (arXiv 2407.02490), latency on one A100"
_WINDOW = 128 + 3968
"""Tokens that A-shaped attention keeps: the first ones and the last ones."""
# Tokens of the prompt, seconds with FlashAttention-2 and with A-shaped attention.
_ROWS = ((1000, 0.546, 1.071), (10_000, 0.976, 1.183), (100_000, 24.883, 10.864), (1_000_000, 1765.564, 107.856))


def _rows() -> Iterator[Row]:
    found = system("gpu-a100", {"kernels": "published"})
    for tokens, dense, shaped in _ROWS:
        for what, window, published in (("FlashAttention-2", math.inf, dense), ("A-shape", float(_WINDOW), shaped)):
            work = Workload(network=network("llama-3-8b"), prompt=tokens, generated=1, batch=1, window=window)
            case, ours = f"Llama-3-8B, {tokens:,} tokens, {what}", float(found.answer(work).prefill.time.value)
            # One sequence of a million tokens has no room for its cache; the pipeline keeps it in host memory.
            yield Row(case=case, unit="s", published=published, ours=ours, source=_SOURCE)


MINFERENCE_PROMPTS = ValidationSet(
    name="minference-prompts", title="Prompts of 1K to 1M tokens on one A100, as a published pipeline runs them", compute=_rows
)
