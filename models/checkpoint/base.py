"""What every checkpoint offers: a configuration, tensors by name, a tokenizer and a digest."""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from hwsim.errors import CheckpointError, shown
from models.checkpoint.blocks import AffineBlocks
from models.checkpoint.layout import HEAD, tensor_shapes
from models.config import ModelConfig
from models.tokenizer import Tokenizer

__all__ = ["Checkpoint", "MemoryStore", "TensorStore", "Weights", "check_names", "sha256_of_files"]

_CHUNK_BYTES = 1 << 22


class TensorStore(Protocol):
    """Where tensors come from, under their Hugging Face names."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Return every tensor's shape, read from headers alone."""

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor as float32."""

    def read_blocks(self, name: str) -> AffineBlocks | None:
        """Return one tensor as the 4-bit integers it is stored in, or None when it is stored otherwise."""


class MemoryStore:
    """Tensors held in memory, for weights that a method made."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = tensors

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> torch.Tensor:
        return self._tensors[name].to(torch.float32)

    def read_blocks(self, name: str) -> AffineBlocks | None:
        return None


class Weights(Mapping[str, torch.Tensor]):
    """The tensors of a checkpoint; each is read when asked for and not kept.

    Iterates in the order of the forward pass. CheckpointError on a value that is not finite.
    """

    def __init__(self, config: ModelConfig, store: TensorStore) -> None:
        self._shapes = tensor_shapes(config)
        self._store = store

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._shapes:
            raise KeyError(name)
        tensor = self._store.read(name)
        if tuple(tensor.shape) != self._shapes[name]:
            raise CheckpointError(f"Tensor {name} must have shape {self._shapes[name]}, not {tuple(tensor.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"Tensor {name} must hold finite numbers, not NaN or infinity")
        return tensor

    def blocks(self, name: str) -> AffineBlocks | None:
        """Return the tensor as the 4-bit integers it is stored in, or None when it is stored otherwise."""
        return self._store.read_blocks(name) if name in self._shapes else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __contains__(self, name: object) -> bool:
        return name in self._shapes


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A model with its weights.

    config: the geometry.
    weights: tensors by Hugging Face name, float32, heads in half-split rotary order.
    tokenizer: None when the files carry none that can be built.
    source: where it came from, for reports.
    files: the files whose bytes the digest covers, at least one.
    """

    config: ModelConfig
    weights: Weights
    tokenizer: Tokenizer | None
    source: str
    files: tuple[Path, ...]

    def tensor(self, name: str) -> torch.Tensor:
        """Return the tensor called `name`, float32; CheckpointError if the model has none of that name."""
        if name not in self.weights:
            raise CheckpointError(f"Tensor must be one of model {self.config.name}, which has none called {shown(name)}")
        return self.weights[name]

    def blocks(self, name: str) -> AffineBlocks | None:
        """Return a linear weight as the 4-bit integers it is stored in, or None when it is stored otherwise.

        Dequantized they equal `tensor(name)`.
        """
        return self.weights.blocks(name)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the files' contents, hexadecimal; it does not depend on where they lie."""
        return sha256_of_files(self.files)


def sha256_of_files(files: tuple[Path, ...]) -> str:
    """Return the SHA-256 of one file's bytes, or of the names and SHA-256 of several."""
    digests = []
    for path in files:
        running = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                running.update(chunk)
        digests.append(running.hexdigest())
    if len(files) == 1:
        return digests[0]
    lines = [f"{path.name} {digest}\n" for path, digest in zip(files, digests, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_names(config: ModelConfig, present: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a checkpoint whose tensors are not exactly those of `config`, in names and shapes.

    Copies of derived tables (inverse frequencies, a head that is tied) are passed over.
    """
    expected = tensor_shapes(config)
    for name, shape in expected.items():
        if name not in present:
            raise CheckpointError(f"Checkpoint must hold the tensor {name}, which is missing")
        if present[name] != shape:
            raise CheckpointError(f"Tensor {name} must have shape {shape}, not {present[name]}")
    for name in present:
        is_derived = name.endswith("rotary_emb.inv_freq") or (config.tied_head and name == f"{HEAD}.weight")
        if name not in expected and not is_derived:
            raise CheckpointError(f"Checkpoint must hold only tensors of {config.architecture}, not {shown(name)}")
