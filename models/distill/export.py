"""Knows how what was trained becomes the engine's integers."""

from __future__ import annotations

import numpy as np

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from hwsim.errors import SpecError
from models.attention import LambdaShape
from models.checkpoint import Checkpoint
from models.checkpoint.layout import EMBEDDING, HEAD
from models.compress import rtn
from models.compress.pipeline import embedding
from models.distill.result import Result
from models.distill.weight import Stored
from models.integer import IntegerModel
from models.integer.constants import gain
from models.matrices import HEAD as INTEGER_HEAD
from models.matrices import matrix_shapes, norm_names

__all__ = ["FORMATS", "integer_model", "quantized"]

FORMATS = {"w2s": Format.W2S, "w2": Format.W2}
"""Weight formats by the names that settings have for them."""


def quantized(stored: Stored, format: Format) -> QuantizedMatrix:
    """Return a trained matrix in its weight format; the values are the same to the last bit."""
    fraction, exponent = np.frexp(stored.row.astype(np.float64))
    mantissa = fraction * 65536
    if not bool((mantissa == np.floor(mantissa)).all()) or not bool(((exponent - 16 >= -128) & (exponent - 16 <= 127)).all()):
        raise SpecError("Row scales of a trained matrix must have 16-bit mantissas and 8-bit exponents, but have not")
    return QuantizedMatrix(
        format=format,
        codes=stored.codes,
        kept=stored.kept,
        scale=stored.scale,
        offset=stored.zero.astype(np.int8),
        mantissa=mantissa.astype(np.int64),
        exponent=exponent.astype(np.int64) - 16,
    )


def integer_model(result: Result, checkpoint: Checkpoint) -> IntegerModel:
    """Return the model that the engine runs; embedding and head are the checkpoint's, rounded as recipes do.

    Raises:
        SpecError: the checkpoint is not the one that was the teacher.
        ScheduleError: a matrix could wrap an accumulator.
    """
    if checkpoint.digest != result.source_digest:
        raise SpecError(
            f"Checkpoint must be the teacher with digest {result.source_digest[:12]}, not one with {checkpoint.digest[:12]}"
        )
    config, format = checkpoint.config, FORMATS[result.settings.format]
    table = checkpoint.tensor(f"{EMBEDDING}.weight")
    head = table if config.tied_head else checkpoint.tensor(f"{HEAD}.weight")
    matrices = {
        name: rtn.quantize(head, Format.W8) if name == INTEGER_HEAD else quantized(result.matrices[name], format)
        for name in matrix_shapes(config)
    }
    for name, matrix in matrices.items():
        matrix.check(name)
    return IntegerModel(
        config=config,
        pattern=LambdaShape(sinks=result.settings.sinks, window=result.settings.window),
        matrices=matrices,
        gains={name: gain(result.gains[name], name) for name in norm_names(config)},
        biases={},
        embedding=embedding(table),
    )
