"""Knows the folder of a compressed model: model.json, weights.safetensors, tokenizer; it loads to what was saved."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hwsim.arch.formats import WEIGHT_FORMATS, QuantizedMatrix
from hwsim.arch.isa import Format
from hwsim.errors import CheckpointError, LamforgeError, SpecError
from models.checkpoint import Checkpoint
from models.compress import Progress, Recipe, compress
from models.compress.calibrate import digest, sequences
from models.config import ModelConfig
from models.integer import Embedding, IntegerModel
from models.integer.constants import Gain
from models.integer.model import layer_part, matrix_shapes, norm_names
from models.nearest import nearest
from models.tokenizer import Tokenizer

__all__ = ["CompressedModel", "Provenance", "create", "load", "save", "sha256"]

_VERSION = 1
_DESCRIPTION = "model.json"
_WEIGHTS = "weights.safetensors"
_TOKENIZER = "tokenizer.json"
_KEYS = ("version", "config", "recipe", "formats", "shifts", "provenance", "tokenizer", "weights_sha256", "fingerprint")
_TOKENIZER_KEYS = ("chat_template", "bos_token", "eos_token", "eos_ids")
_GAIN_SHIFT_LIMIT = 31


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a compressed model comes from; the same values give the same weights.

    Attributes:
        source: what the checkpoint was opened as.
        source_digest: SHA-256 of its files.
        calibration_digest: SHA-256 of the calibration tokens, None when the method looks at none.
        versions: of the packages whose arithmetic decides the weights.
    """

    source: str
    source_digest: str
    calibration_digest: str | None
    versions: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CompressedModel:
    """A model in integers, how it was made, and its tokenizer, if it has one."""

    model: IntegerModel
    recipe: Recipe
    provenance: Provenance
    tokenizer: Tokenizer | None


def create(checkpoint: Checkpoint, recipe: Recipe, *, progress: Progress | None = None) -> CompressedModel:
    """Return a checkpoint compressed by a recipe.

    progress: told (steps done, steps in all).

    Raises:
        SpecError: the recipe does not suit the model, or its calibration text cannot be read.
    """
    tokens = sequences(checkpoint, recipe.calibration) if recipe.is_calibrated else None
    return CompressedModel(
        model=compress(checkpoint, recipe, tokens=tokens, progress=progress),
        recipe=recipe,
        provenance=Provenance(
            source=Path(checkpoint.source).name,
            source_digest=checkpoint.digest,
            calibration_digest=None if tokens is None else digest(tokens),
            versions={name: importlib.metadata.version(name) for name in ("numpy", "torch")},
        ),
        tokenizer=checkpoint.tokenizer,
    )


def save(compressed: CompressedModel, folder: Path) -> None:
    """Write the folder at once: until it is complete nothing lies at `folder`, or what lay there before.

    Raises:
        SpecError: something that is not a compressed model lies there, or it cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and ((folder / _DESCRIPTION).is_file() or not any(folder.iterdir()))):
        raise SpecError(f"Output folder must be new, empty or a compressed model, not {str(folder)!r}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise SpecError(f"Output folder {str(folder)!r} must be writable, but: {error.strerror}") from None
    try:
        _write(compressed, partial / "new")
        if folder.exists():
            folder.rename(partial / "old")
        (partial / "new").rename(folder)
    except OSError as error:
        raise SpecError(f"Output folder {str(folder)!r} must be writable, but: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(folder: Path) -> CompressedModel:
    """Return the compressed model that `save` wrote; every digest is checked.

    Raises:
        CheckpointError: the folder is incomplete, damaged or not a compressed model.
    """
    description = _description(folder)
    config = ModelConfig.from_fields(description["config"])
    try:
        recipe = _recipe(description["recipe"])
    except SpecError as error:
        raise CheckpointError(f"File {_DESCRIPTION} must hold a valid recipe, but: {error}") from None
    model = _read_model(folder / _WEIGHTS, config, recipe, description)
    _expect("fingerprint", description["fingerprint"], model.fingerprint)
    return CompressedModel(
        model=model,
        recipe=recipe,
        provenance=_provenance(description["provenance"]),
        tokenizer=_read_tokenizer(folder, description["tokenizer"]),
    )


def _write(compressed: CompressedModel, folder: Path) -> None:
    folder.mkdir()
    model, tokenizer = compressed.model, compressed.tokenizer
    save_file(_tensors(model), folder / _WEIGHTS)
    settings = None
    if tokenizer is not None:
        (folder / _TOKENIZER).write_text(tokenizer._inner.to_str(), encoding="utf-8")
        settings = {
            "chat_template": tokenizer.chat_template,
            "bos_token": tokenizer._bos_token,
            "eos_token": tokenizer._eos_token,
            "eos_ids": list(tokenizer.eos_ids),
        }
    description = {
        "version": _VERSION,
        "config": dataclasses.asdict(model.config),
        "recipe": compressed.recipe.to_document() | {"name": compressed.recipe.name},
        "formats": {name: matrix.format.name.lower() for name, matrix in model.matrices.items()},
        "shifts": {name: gain.shift for name, gain in model.gains.items()},
        "provenance": dataclasses.asdict(compressed.provenance),
        "tokenizer": settings,
        "weights_sha256": sha256(folder / _WEIGHTS),
        "fingerprint": model.fingerprint,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    with (folder / _DESCRIPTION).open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _tensors(model: IntegerModel) -> dict[str, np.ndarray]:
    """Return what is stored: each matrix as the words the engine streams, its row scales, and the rest as it is."""
    tensors = {"embedding.codes": model.embedding.codes, "embedding.scales": model.embedding.scales}
    for name, matrix in model.matrices.items():
        tensors[f"{name}.words"] = WEIGHT_FORMATS[matrix.format].pack_body(matrix)
        tensors[f"{name}.mantissa"] = matrix.mantissa.astype(np.uint16)
        tensors[f"{name}.exponent"] = matrix.exponent.astype(np.int8)
    for name, gain in model.gains.items():
        tensors[f"{name}.gain"] = gain.values
    for name, bias in model.biases.items():
        tensors[f"{name}.bias"] = bias
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _description(folder: Path) -> dict[str, Any]:
    path = folder / _DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"Compressed model must be a folder with {_DESCRIPTION}, not {str(folder)!r}")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"File {_DESCRIPTION} must be JSON, but reading it failed: {error}") from None
    if not isinstance(document, dict):
        raise CheckpointError(f"File {_DESCRIPTION} must hold one object, not {type(document).__name__}")
    if document.get("version") != _VERSION:
        raise CheckpointError(f"File {_DESCRIPTION} version must be {_VERSION}, not {document.get('version')!r}")
    _exactly(_DESCRIPTION, document, _KEYS)
    return document


def _recipe(document: object) -> Recipe:
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise CheckpointError(f"File {_DESCRIPTION} recipe must have a name, not {document!r}")
    return Recipe.from_document({key: value for key, value in document.items() if key != "name"}, name=document["name"])


def _provenance(document: object) -> Provenance:
    names = [entry.name for entry in dataclasses.fields(Provenance)]
    fields = _exactly("provenance", document, names)
    versions = fields["versions"]
    if not isinstance(versions, dict) or not all(isinstance(value, str) for value in versions.values()):
        raise CheckpointError(f"File {_DESCRIPTION} provenance.versions must map names to texts, not {versions!r}")
    for name in names[:3]:
        if not isinstance(fields[name], str) and not (name == "calibration_digest" and fields[name] is None):
            raise CheckpointError(f"File {_DESCRIPTION} provenance.{name} must be a text, not {fields[name]!r}")
    return Provenance(**fields)


def _read_model(path: Path, config: ModelConfig, recipe: Recipe, description: Mapping[str, Any]) -> IntegerModel:
    if not path.is_file():
        raise CheckpointError(f"Folder {path.parent.name} must hold {_WEIGHTS}, which is missing")
    shapes = matrix_shapes(config)
    formats = _exactly("formats", description["formats"], shapes)
    norms = list(norm_names(config))
    shifts = _exactly("shifts", description["shifts"], norms)
    try:
        _expect("weights_sha256", description["weights_sha256"], sha256(path))
        with safe_open(path, framework="numpy") as opened:
            take = functools.partial(_take, opened.get_tensor, set(opened.keys()))
            matrices = {name: _matrix(take, name, formats[name], *shapes[name]) for name in shapes}
            gains = {
                name: Gain(values=take(f"{name}.gain", np.int16, (config.hidden,)), shift=_shift(name, shifts[name]))
                for name in norms
            }
            biased = [layer_part(layer, "qkv") for layer in range(config.layers)] if config.qkv_bias else []
            biases = {name: take(f"{name}.bias", np.int32, shapes[name][:1]) for name in biased}
            codes = take("embedding.codes", np.int8, (config.vocab, config.hidden))
            scales = take("embedding.scales", np.float16, (config.vocab, None))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"File {_WEIGHTS} must be a complete safetensors file, but: {error}") from None
    if scales.shape[1] == 0 or config.hidden % scales.shape[1] or not bool(np.isfinite(scales).all()):
        raise CheckpointError(f"Embedding scales must be finite, in groups that divide {config.hidden}")
    return IntegerModel(
        config=config,
        pattern=recipe.pattern,
        matrices=matrices,
        gains=gains,
        biases=biases,
        embedding=Embedding(codes=codes, scales=scales),
    )


def _take(
    read: Callable[[str], np.ndarray], held: set[str], name: str, dtype: type, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Return a stored tensor of this type and shape, None standing for any length."""
    if name not in held:
        raise CheckpointError(f"File {_WEIGHTS} must hold the tensor {name}, which is missing")
    tensor = read(name)
    fits = len(tensor.shape) == len(shape) and all(
        b is None or a == b for a, b in zip(tensor.shape, shape, strict=True)
    )
    if tensor.dtype != dtype or not fits:
        raise CheckpointError(
            f"Tensor {name} must be {np.dtype(dtype).name} of shape {shape}, not {tensor.dtype.name} of {tensor.shape}"
        )
    return tensor


def _matrix(take: Callable[..., np.ndarray], name: str, format_name: object, rows: int, inputs: int) -> QuantizedMatrix:
    known = {format.name.lower(): format for format in WEIGHT_FORMATS}
    if format_name not in known:
        raise CheckpointError(f"Format of {name} must be {nearest(str(format_name), known)}, not {format_name!r}")
    format: Format = known[str(format_name)]
    packer = WEIGHT_FORMATS[format]
    if inputs % packer.group:
        raise CheckpointError(f"Inputs of {name} must be a multiple of {packer.group}, not {inputs}")
    words = take(f"{name}.words", np.uint8, (rows, packer.body_words(inputs), 16))
    mantissa = take(f"{name}.mantissa", np.uint16, (rows,)).astype(np.int64)
    if not bool(((mantissa == 0) | (mantissa >= 1 << 15)).all()):
        raise CheckpointError(f"Row scales of {name} must be normalized to 16 bits or zero")
    exponent = take(f"{name}.exponent", np.int8, (rows,)).astype(np.int64)
    matrix = dataclasses.replace(packer.unpack_body(words, inputs), mantissa=mantissa, exponent=exponent)
    try:
        matrix.check(name)
    except LamforgeError as error:
        raise CheckpointError(str(error)) from None
    return matrix


def _shift(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _GAIN_SHIFT_LIMIT:
        raise CheckpointError(f"Shift of {name} must be an integer from 0 to {_GAIN_SHIFT_LIMIT}, not {value!r}")
    return value


def _read_tokenizer(folder: Path, settings: object) -> Tokenizer | None:
    if settings is None:
        return None
    fields = _exactly("tokenizer", settings, _TOKENIZER_KEYS)
    for key in ("chat_template", "bos_token", "eos_token"):
        if fields[key] is not None and not isinstance(fields[key], str):
            raise CheckpointError(f"File {_DESCRIPTION} tokenizer.{key} must be a text or null, not {fields[key]!r}")
    eos_ids = fields.pop("eos_ids")
    if not isinstance(eos_ids, list) or not all(isinstance(entry, int) for entry in eos_ids):
        raise CheckpointError(f"File {_DESCRIPTION} tokenizer.eos_ids must be a list of integers, not {eos_ids!r}")
    try:
        text = (folder / _TOKENIZER).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"Folder {folder.name} must hold {_TOKENIZER}, but: {error}") from None
    return Tokenizer.from_json(text, eos_ids=tuple(eos_ids), **fields)


def _exactly(subject: str, document: object, names: Any) -> dict[str, Any]:
    """Return a mapping that has these keys and no others."""
    if not isinstance(document, dict):
        raise CheckpointError(f"File {_DESCRIPTION} {subject} must be a mapping, not {document!r}")
    for name in names:
        if name not in document:
            raise CheckpointError(f"File {_DESCRIPTION} {subject} must have the entry {name}, which is missing")
    for key in document:
        if key not in names:
            raise CheckpointError(f"File {_DESCRIPTION} {subject} entry must be {nearest(key, names)}, not {key!r}")
    return dict(document)


def _expect(name: str, stated: object, actual: str) -> None:
    if stated != actual:
        raise CheckpointError(f"Weights of the compressed model must have the {name} {stated}, not {actual}")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
