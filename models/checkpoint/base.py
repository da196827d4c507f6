"""What every checkpoint offers: a configuration, tensors by name, as floats or as stored integers, a tokenizer and a digest."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from hwsim.errors import CheckpointError, NoTokenizerError, shown
from models.checkpoint.layout import HEAD, tensor_shapes
from models.config import ModelConfig
from models.tokenizer import Tokenizer

__all__ = ["BLOCK", "AffineBlocks", "Checkpoint", "TensorStore", "Weights", "check_names", "sha256"]

BLOCK = 32
"""Inputs that share a scale and a minimum in 4-bit blocks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AffineBlocks:
    """A linear weight, [outputs, inputs], as `codes * scales + minima` with one pair per BLOCK inputs of a row.

    codes: uint8 [outputs, inputs], 0 to 15.
    scales, minima: float32 [outputs, inputs / BLOCK], exactly representable in 16 bits.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    minima: torch.Tensor

    def dequantized(self) -> torch.Tensor:
        """Return the weight as float32 [outputs, inputs]."""
        codes = self.codes.float().view(*self.scales.shape, BLOCK)
        return (codes * self.scales[..., None] + self.minima[..., None]).view(self.codes.shape)

    @classmethod
    def stacked(cls, parts: Sequence["AffineBlocks | None"]) -> "AffineBlocks | None":
        """Return weights that read the same inputs as one, their rows one after the other; None where one is not in blocks."""
        held = [part for part in parts if part is not None]
        if len(held) < len(parts):
            return None
        columns = ([part.codes for part in held], [part.scales for part in held], [part.minima for part in held])
        codes, scales, minima = map(torch.cat, columns)
        return cls(codes=codes, scales=scales, minima=minima)

    def rows(self, order: torch.Tensor) -> "AffineBlocks":
        """Return the same weight with its rows in another order."""
        return AffineBlocks(codes=self.codes[order], scales=self.scales[order], minima=self.minima[order])


class TensorStore(Protocol):
    """Where tensors come from, under their Hugging Face names."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Return every tensor's shape, read from headers alone."""

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor as float32."""

    def read_blocks(self, name: str) -> AffineBlocks | None:
        """Return one tensor as the 4-bit integers it is stored in, or None when it is stored otherwise."""
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
    why_no_tokenizer: why the files give no tokenizer, as the end of a sentence; None where they do or nothing is known.
    """

    config: ModelConfig
    weights: Weights
    tokenizer: Tokenizer | None
    source: str
    files: tuple[Path, ...]
    why_no_tokenizer: str | None = None

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

    @property
    def no_tokenizer(self) -> str | None:
        """Why there is no tokenizer, as the end of a sentence; None where there is one."""
        if self.tokenizer is not None:
            return None
        return f"the checkpoint {self.config.name} carries none" if self.why_no_tokenizer is None else self.why_no_tokenizer

    def tokenizer_for(self, purpose: str, *, otherwise: str = "") -> Tokenizer:
        """Return the tokenizer, which something such as calibration needs.

        otherwise: what can be done without one.

        NoTokenizerError says why there is none.
        """
        if self.tokenizer is None:
            raise NoTokenizerError(f"{purpose} must have a tokenizer, but {self.no_tokenizer}{otherwise and f': {otherwise}'}")
        return self.tokenizer

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the files' contents, hexadecimal; it does not depend on where they lie."""
        return _sha256_of_files(self.files)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sha256_of_files(files: tuple[Path, ...]) -> str:
    """Return the SHA-256 of one file's bytes, or of the names and SHA-256 of several."""
    digests = [sha256(path) for path in files]
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
