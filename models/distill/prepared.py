"""What a training machine is given: the teacher in the integers it was shipped in, the grid of its head, and tokens by windows."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from hwsim.errors import SpecError
from models.config import ModelConfig
from models.distill import arrays
from models.matrices import PARTS, layer_part

__all__ = ["STEM", "TEXTS", "Mixture", "Prepared", "read_prepared", "unpack_blocks"]

STEM = "prepared"
TEXTS = ("public-domain", "wikipedia")
"""Names of the texts that a model is trained on."""

_BLOCK = 32
_HEAD_LIMIT = 127


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Everything that a training reads.

    config: the geometry.
    source, source_digest: where the teacher came from, and the SHA-256 of its files.
    weights: float32 matrices and gains by the names of models.distill.matrices.
    embedding: float32 [vocab, hidden].
    head: float32 [vocab, hidden], the teacher's.
    integer_head: float32 [vocab, hidden], the head as the engine stores it.
    texts: tokens to train on, uint16, by the names in TEXTS.
    evaluations: tokens to predict, uint16, by name.
    chat: tokens that a conversation begins with, up to the user's words; empty without a template.
    turn: tokens that follow the end of a turn.
    end: tokens that end a turn or a text.
    """

    config: ModelConfig
    source: str
    source_digest: str
    weights: Mapping[str, torch.Tensor]
    embedding: torch.Tensor
    integer_head: torch.Tensor
    head: torch.Tensor
    texts: Mapping[str, np.ndarray]
    evaluations: Mapping[str, np.ndarray]
    chat: np.ndarray
    turn: np.ndarray
    end: np.ndarray


def _unpack_nibbles(packed: np.ndarray) -> np.ndarray:
    """Return codes 0 .. 15, [..., 2 n], of bytes [..., n], the low half first."""
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)


def unpack_blocks(codes: np.ndarray, scales: np.ndarray, minima: np.ndarray | None = None) -> torch.Tensor:
    """Return float32 weights code * scale + minimum, computed in float32 as the checkpoint's reader does.

    codes: integers [rows, inputs].
    scales, minima: float16 [rows, groups]; no minima means zero.
    """
    grouped = codes.astype(np.float32).reshape(*scales.shape, -1) * scales.astype(np.float32)[..., None]
    if minima is not None:
        grouped += minima.astype(np.float32)[..., None]
    return torch.from_numpy(grouped.reshape(codes.shape))


def read_prepared(folder: Path) -> Prepared:
    """Return what `models.distill.prepare` wrote; SpecError when parts are missing."""
    held = arrays.read(arrays.content(folder, STEM), STEM)
    config = ModelConfig.from_json(arrays.to_text(held["config"]))
    weights: dict[str, torch.Tensor] = {}
    for layer in range(config.layers):
        for part in PARTS:
            name = layer_part(layer, part)
            weights[name] = _matrix(held, name)
    for name in [key.removesuffix(".gain") for key in held if key.endswith(".gain")]:
        weights[name] = torch.from_numpy(held[f"{name}.gain"].astype(np.float32))
    embedding = _matrix(held, "embedding")
    head = embedding if config.tied_head else _matrix(held, "head")
    return Prepared(
        config=config,
        source=arrays.to_text(held["source"]),
        source_digest=arrays.to_text(held["source_digest"]),
        weights=weights,
        embedding=embedding,
        integer_head=_integer_head(held, head),
        head=head,
        texts={name: held[f"text.{name}"] for name in TEXTS},
        evaluations={name.removeprefix("evaluation."): held[name] for name in sorted(held) if name.startswith("evaluation.")},
        chat=held["chat"],
        turn=held["turn"],
        end=held["end"],
    )


def _matrix(held: Mapping[str, np.ndarray], name: str) -> torch.Tensor:
    """Return a matrix that was stored as 4-bit blocks, 8-bit blocks or floats."""
    if f"{name}.nibbles" in held:
        return unpack_blocks(_unpack_nibbles(held[f"{name}.nibbles"]), held[f"{name}.scales"], held[f"{name}.minima"])
    if f"{name}.codes" in held:
        return unpack_blocks(held[f"{name}.codes"], held[f"{name}.scales"])
    return torch.from_numpy(held[name])


def _integer_head(held: Mapping[str, np.ndarray], head: torch.Tensor) -> torch.Tensor:
    """Return the head rounded to the nearest levels of its 8-bit grid.

    The engine's weight is code * scale * row scale; scale * row scale is exact in float32.
    """
    row = torch.from_numpy(held["head_grid.row"])[:, None]
    step = torch.from_numpy(held["head_grid.scale"].astype(np.float32)) * row
    parts = []
    for rows, steps in zip(head.split(4096), step.split(4096), strict=True):
        wide = steps.repeat_interleave(_BLOCK, dim=1)
        codes = (rows / torch.where(wide > 0, wide, 1.0)).round().clamp(-_HEAD_LIMIT, _HEAD_LIMIT)
        parts.append(codes * wide)
    return torch.cat(parts)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Texts and how often each is read.

    texts: tokens, each at least one window long.
    shares: share of the sequences for each text.
    length: tokens in a window.
    seed: decides which windows are drawn, and in which order.
    """

    texts: Sequence[np.ndarray]
    shares: Sequence[float]
    length: int
    seed: int

    def __post_init__(self) -> None:
        for text, share in zip(self.texts, self.shares, strict=True):
            if share > 0 and len(text) < self.length:
                raise SpecError(f"Training text must be at least {self.length} tokens long, not {len(text)}")
        if not sum(self.shares) > 0:
            raise SpecError("Share of a training text must be above 0, not 0")

    def windows(self, step: int, count: int) -> np.ndarray:
        """Return the windows of a step, int64 [count, length]."""
        random = np.random.default_rng([self.seed, step])
        shares = np.array(self.shares, np.float64)
        chosen = random.choice(len(self.texts), size=count, p=shares / shares.sum())
        rows = []
        for index in chosen:
            text = self.texts[index]
            start = int(random.integers(0, len(text) - self.length + 1))
            rows.append(text[start : start + self.length].astype(np.int64))
        return np.stack(rows)
