"""What weights are calibrated on: tokens, and what the engine's rounding leaves of activations, keys and values."""

import hashlib

import torch

from hwsim.arch.numerics import ACT_LIMIT, kv_limit
from hwsim.errors import SpecError
from models.calibration import calibration_text
from models.checkpoint import Checkpoint
from models.recipes.file import CalibrationSettings
from models.tokenizer import check_tokens

__all__ = ["digest", "rounded_activations", "rounded_cache", "sequences", "text_of"]

_TINY = 1e-12


def sequences(checkpoint: Checkpoint, settings: CalibrationSettings) -> torch.Tensor:
    """Return the calibration tokens, int64 [sequences, length], spaced evenly over the text or drawn by the seed.

    SpecError when the text cannot be read, or is shorter than one sequence, or the checkpoint has no tokenizer that suits it.
    """
    tokenizer = checkpoint.tokenizer_for("Calibration", otherwise="use rtn")
    text = text_of(settings)
    tokens = torch.tensor(tokenizer.encode_whole(text), dtype=torch.int64)
    if len(tokens) < settings.length:
        raise SpecError(f"Calibration text must be at least {settings.length} tokens long, not {len(tokens)}")
    check_tokens(tokens.tolist(), checkpoint.config.vocab)
    last = len(tokens) - settings.length
    count = max(settings.sequences - 1, 1)
    if settings.seed is None:
        starts = [last * index // count for index in range(settings.sequences)]
    else:
        random = torch.Generator().manual_seed(settings.seed)
        starts = sorted(torch.randint(last + 1, (settings.sequences,), generator=random).tolist())
    return torch.stack([tokens[start : start + settings.length] for start in starts])


def text_of(settings: CalibrationSettings) -> str:
    """Return the calibration text; SpecError when it cannot be read."""
    if settings.text is None:
        return calibration_text()
    try:
        return settings.text.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"Calibration text {settings.text} must be a readable text file, but: {error}") from None


def digest(tokens: torch.Tensor) -> str:
    """Return the SHA-256 of calibration tokens, hexadecimal."""
    return hashlib.sha256(f"{tuple(tokens.shape)}\n".encode() + tokens.numpy().tobytes()).hexdigest()


def rounded_activations(x: torch.Tensor) -> torch.Tensor:
    """Return vectors, [..., elements], rounded to 8 bits under the scale of their largest magnitude."""
    step = (x.abs().amax(-1, keepdim=True) / ACT_LIMIT).clamp(min=_TINY)
    return _nearest(x / step) * step


def rounded_cache(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Return rotated keys or values, [..., elements], rounded to codes with a zero point, their range including zero."""
    limit = kv_limit(bits)
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    step = ((high - low) / limit).clamp(min=_TINY)
    zero = _nearest(-low / step)
    return ((_nearest(x / step) + zero).clamp(0, limit) - zero) * step


def _nearest(x: torch.Tensor) -> torch.Tensor:
    return x + (x.round() - x).detach()
