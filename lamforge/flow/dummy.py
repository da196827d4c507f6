"""A compressed model of a well-known network with random weights, for what needs weights of a size but not their values."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hwsim.errors import SpecError
from lamforge.flow.compress import folder_bytes
from lamforge.flow.target import SINKS, format_named
from lamforge.flow.verb import SILENT, Listener, verb
from models import compressed
from models.attention import parse
from models.compressed import CompressedModel
from models.shaped import shaped_model
from models.zoo import shape

__all__ = ["PATTERN", "Dummy", "DummyRequest", "dummy", "run"]

PATTERN = f"lambda:{SINKS}+2044"
"""Attention pattern of a model when none is named: the published AccLLM point."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DummyRequest:
    """A model to be made; equal requests make equal weights.

    Attributes:
        network: name of a network, such as llama-2-7b.
        output: folder to write the model into, which needs as much disk as the model has bytes.
        format, head: names of the weight formats of the layers, and of the head.
        attention: attention pattern.
        seed: seed of the weights.
    """

    network: str = dataclasses.field(kw_only=False)
    output: Path
    format: str = "w2s"
    head: str = "w4"
    attention: str = PATTERN
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dummy:
    """Name of the network, folder of its model, and the size of that in bytes; the other verbs take it as a model."""

    network: str
    folder: Path
    bytes: int

    @property
    def made(self) -> CompressedModel:
        """The model, read from its folder."""
        return compressed.load(self.folder)


def run(request: DummyRequest, listener: Listener = SILENT) -> Dummy:
    """Write a compressed model of a well-known network with random weights; memory for one file is enough.

    Raises:
        CheckpointError: there is no such network.
        SpecError: a format, the pattern or the folder is wrong.
    """
    if request.seed < 0:
        raise SpecError(f"Seed must be at least 0, not {request.seed}")
    made = shaped_model(
        shape(request.network),
        format=format_named(request.format),
        head=format_named(request.head),
        pattern=parse(request.attention),
        seed=request.seed,
    )
    compressed.save(made, request.output, progress=listener.part("weights"))
    return Dummy(network=request.network, folder=request.output, bytes=folder_bytes(request.output))


dummy = verb("dummy", DummyRequest, run)
