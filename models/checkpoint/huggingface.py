"""Hugging Face folders: config.json, safetensors in one file or several, and the tokenizer's files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from hwsim.errors import CheckpointError, shown
from models.checkpoint.base import Checkpoint, TensorStore, Weights, check_names
from models.config import ModelConfig
from models.families import read_object
from models.tokenizer import Tokenizer
from models.tokenizer_files import FILE, ids, read_files, tokenizer_of

__all__ = ["load", "read_tokenizer", "tokenizer_in"]

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_FLOATS = ("F64", "F32", "F16", "BF16")


def load(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`; CheckpointError says what is wrong with it."""
    config_file = folder / "config.json"
    document = read_object(config_file)
    config = ModelConfig.from_huggingface(document, name=folder.resolve().name)
    files = _weight_files(folder)
    store = _SafetensorsStore(files)
    check_names(config, store.shapes())
    tokenizer = read_tokenizer(folder, document)
    return Checkpoint(
        config=config,
        weights=Weights(config, store),
        tokenizer=tokenizer,
        why_no_tokenizer=None if tokenizer is not None else f"the folder holds no {FILE}",
        source=str(folder),
        files=(config_file, *dict.fromkeys(files.values())),
    )


class _SafetensorsStore(TensorStore):
    """Tensors spread over safetensors files, opened when read."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._shapes: dict[str, tuple[int, ...]] = {}
        for path in dict.fromkeys(files.values()):
            self._shapes.update(_header(path, {name for name, held_by in files.items() if held_by == path}))

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> torch.Tensor:
        path = self._files[name]
        try:
            with safe_open(path, framework="pt") as opened:
                tensor: torch.Tensor = opened.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"Tensor {name} must be readable from {path.name}, but: {error}") from None
        return tensor.to(torch.float32)


def _header(path: Path, names: set[str]) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, framework="pt") as opened:
            held = set(opened.keys())
            for name in sorted(names - held):
                raise CheckpointError(f"File {path.name} must hold the tensor {name}, which its index promises")
            shapes = {}
            for name in sorted(names):
                view = opened.get_slice(name)
                if view.get_dtype() not in _FLOATS:
                    raise CheckpointError(f"Tensor {name} must be of type {', '.join(_FLOATS)}, not {view.get_dtype()}")
                shapes[name] = tuple(view.get_shape())
            return shapes
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"File {path.name} must be a complete safetensors file, but: {error}") from None


def _weight_files(folder: Path) -> dict[str, Path]:
    """Return the file of every tensor."""
    index = folder / _INDEX
    if not index.is_file():
        single = folder / _SINGLE
        if not single.is_file():
            raise CheckpointError(f"Folder {folder.name} must hold {_SINGLE} or {_INDEX}, but has neither")
        try:
            with safe_open(single, framework="pt") as opened:
                return dict.fromkeys(sorted(opened.keys()), single)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"File {_SINGLE} must be a complete safetensors file, but: {error}") from None
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, Mapping):
        raise CheckpointError(f"File {_INDEX} must hold an object weight_map, not {weight_map!r}")
    files = {}
    for name, file_name in weight_map.items():
        if not isinstance(file_name, str) or Path(file_name).name != file_name or not file_name.endswith(".safetensors"):
            raise CheckpointError(f"File of tensor {name} must be a .safetensors file of the folder, not {file_name!r}")
        if not (folder / file_name).is_file():
            raise CheckpointError(f"Folder {folder.name} must hold {file_name}, which {_INDEX} names")
        files[name] = folder / file_name
    return files


def tokenizer_in(folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder that need not hold a model; CheckpointError where it holds none."""
    config = read_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    tokenizer = read_tokenizer(folder, config)
    if tokenizer is None:
        raise CheckpointError(f"Tokenizer must be a folder with {FILE}, not {shown(str(folder))}")
    return tokenizer


def read_tokenizer(folder: Path, config: Mapping[str, object]) -> Tokenizer | None:
    """Return the tokenizer of a folder, or None without tokenizer.json.

    config: the folder's config.json; its end tokens, and those of generation_config.json, end a text too.
    """
    named = config.get("model_type")
    model_type = named if isinstance(named, str) else None
    return tokenizer_of(read_files(folder), model_type=model_type, eos_ids=ids(config.get("eos_token_id")))
