"""The tokens that weights are calibrated on."""

from __future__ import annotations

import hashlib

import torch

from hwsim.errors import SpecError
from models.calibration import calibration_text
from models.checkpoint import Checkpoint
from models.recipes.file import CalibrationSettings

__all__ = ["digest", "sequences"]


def sequences(checkpoint: Checkpoint, settings: CalibrationSettings) -> torch.Tensor:
    """Return the calibration tokens, int64 [sequences, length], spaced evenly over the text or drawn by the seed.

    Raises:
        SpecError: the text cannot be read, or is shorter than one sequence, or the checkpoint has no tokenizer that suits it.
    """
    if checkpoint.tokenizer is None:
        raise SpecError(f"Calibration must have a tokenizer, but the checkpoint {checkpoint.config.name} carries none: use rtn")
    if settings.text is None:
        text = calibration_text()
    else:
        try:
            text = settings.text.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"Calibration text {settings.text} must be a readable text file, but: {error}") from None
    tokens = torch.tensor(checkpoint.tokenizer.encode(text), dtype=torch.int64)
    if len(tokens) < settings.length:
        raise SpecError(f"Calibration text must be at least {settings.length} tokens long, not {len(tokens)}")
    if int(tokens.max()) >= checkpoint.config.vocab:
        raise SpecError(f"Tokens of the calibration text must be below {checkpoint.config.vocab}, not {int(tokens.max())}")
    last = len(tokens) - settings.length
    count = max(settings.sequences - 1, 1)
    if settings.seed is None:
        starts = [last * index // count for index in range(settings.sequences)]
    else:
        random = torch.Generator().manual_seed(settings.seed)
        starts = sorted(torch.randint(last + 1, (settings.sequences,), generator=random).tolist())
    return torch.stack([tokens[start : start + settings.length] for start in starts])


def digest(tokens: torch.Tensor) -> str:
    """Return the SHA-256 of calibration tokens, hexadecimal."""
    return hashlib.sha256(f"{tuple(tokens.shape)}\n".encode() + tokens.numpy().tobytes()).hexdigest()
