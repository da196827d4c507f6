"""Hugging Face folders: config.json, safetensors in one file or several, and the tokenizer's files."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from hwsim.errors import CheckpointError, cut, shown
from models.checkpoint.base import Checkpoint, TensorStore, Weights, check_names
from models.checkpoint.layout import EMBEDDING, HEAD
from models.config import ModelConfig
from models.entries import CONFIG, GENERATION
from models.families import has_file, read_object
from models.shards import file_of
from models.tokenizer import Tokenizer
from models.tokenizer_files import FILE, read_files, tokenizer_of

__all__ = ["load", "read_tokenizer", "tokenizer_in"]

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_FLOATS = ("F64", "F32", "F16", "BF16")
_TIED = (f"{EMBEDDING}.weight", f"{HEAD}.weight")
_ROWS_COMPARED = 4096


def load(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`; CheckpointError says what is wrong with it."""
    config_file = folder / "config.json"
    document = read_object(config_file)
    config = ModelConfig.from_huggingface(document, name=folder.resolve().name)
    files = _weight_files(folder)
    # As transformers 5 does: a tied head that comes without the embedding is the embedding, and one that differs is not tied.
    is_swapped = config.tied_head and _TIED[1] in files and _TIED[0] not in files
    store = _SafetensorsStore(files, renamed={_TIED[0]: _TIED[1]} if is_swapped else {})
    check_names(config, store.shapes())
    if config.tied_head and _TIED[1] in store.shapes() and store.are_different(*_TIED):
        config = dataclasses.replace(config, tied_head=False)
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
    """Tensors spread over safetensors files, opened when read.

    files: the file of every stored tensor.
    renamed: the stored name of a tensor, where that is another.
    """

    def __init__(self, files: Mapping[str, Path], renamed: Mapping[str, str]) -> None:
        self._files = files
        self._renamed = renamed
        stored: dict[str, tuple[int, ...]] = {}
        for path in dict.fromkeys(files.values()):
            stored.update(_header(path, {name for name, held_by in files.items() if held_by == path}))
        names = {name: name for name in stored if name not in renamed.values()} | dict(renamed)
        self._shapes = {name: stored[held] for name, held in names.items()}

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> torch.Tensor:
        stored = self._renamed.get(name, name)
        path = self._files[stored]
        try:
            with safe_open(path, framework="pt") as opened:
                tensor: torch.Tensor = opened.get_tensor(stored)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"Tensor {name} must be readable from {path.name}, but: {cut(error)}") from None
        return tensor.to(torch.float32)

    def are_different(self, *names: str) -> bool:
        """Return whether tensors that are there differ in shape or in any value; reads some rows at a time."""
        if len({self._shapes.get(name) for name in names}) > 1:
            return True
        return len({self._digest(name) for name in names}) > 1

    def _digest(self, name: str) -> bytes:
        path, rows, digest = self._files[name], self._shapes[name][0], hashlib.sha256()
        try:
            with safe_open(path, framework="pt") as opened:
                view = opened.get_slice(name)
                for start in range(0, rows, _ROWS_COMPARED):
                    digest.update(view[start : start + _ROWS_COMPARED].to(torch.float32).numpy().tobytes())
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"Tensor {name} must be readable from {path.name}, but: {cut(error)}") from None
        return digest.digest()


def _header(path: Path, names: set[str]) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, framework="pt") as opened:
            held = set(opened.keys())
            for name in sorted(names - held):
                raise CheckpointError(f"File {path.name} must hold the tensor {cut(name)}, which its index promises")
            for name in sorted(held - names):
                raise CheckpointError(f"File {path.name} must hold only tensors that its index gives to it, not {shown(name)}")
            shapes = {}
            for name in sorted(names):
                view = opened.get_slice(name)
                if view.get_dtype() not in _FLOATS:
                    raise CheckpointError(f"Tensor {name} must be of type {', '.join(_FLOATS)}, not {view.get_dtype()}")
                shapes[name] = tuple(view.get_shape())
            return shapes
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"File {path.name} must be a complete safetensors file, but: {cut(error)}") from None


def _weight_files(folder: Path) -> dict[str, Path]:
    """Return the file of every tensor."""
    single, index = folder / _SINGLE, folder / _INDEX
    # As transformers does: the single file is the checkpoint, whatever lies beside it.
    if has_file(single):
        try:
            with safe_open(single, framework="pt") as opened:
                return dict.fromkeys(sorted(opened.keys()), single)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"File {_SINGLE} must be a complete safetensors file, but: {cut(error)}") from None
    if not has_file(index):
        raise CheckpointError(f"Folder {folder.name} must hold {_SINGLE} or {_INDEX}, but has neither")
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, Mapping):
        raise CheckpointError(f"File {_INDEX} must hold an object weight_map, not {shown(weight_map)}")
    files = {}
    for name, given in weight_map.items():
        file_name = file_of(name, given)
        if not has_file(folder / file_name):
            raise CheckpointError(f"Folder {folder.name} must hold {cut(file_name)}, which {_INDEX} names")
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

    config: the folder's config.json.

    The tokens that end a text are that of the tokenizer, and those of generation_config.json or, where it gives none, of
    config.json. CheckpointError names an entry of generation_config.json that would change how a text is generated.
    """
    named = config.get("model_type")
    model_type = named if isinstance(named, str) else None
    return tokenizer_of(read_files(folder), model_type=model_type, eos_ids=_end_tokens(folder, config))


def _end_tokens(folder: Path, config: Mapping[str, object]) -> tuple[int, ...]:
    """Return the tokens that end a text: those of generation_config.json or, where it gives none, of config.json."""
    generation = _object_of(folder / GENERATION.file)
    GENERATION.check(generation, {"eos_token_id"})
    files = {GENERATION.file: generation, CONFIG.file: config}
    stated = [
        _token_ids(file, document["eos_token_id"]) for file, document in files.items() if document.get("eos_token_id") is not None
    ]
    return stated[0] if stated else ()


def _object_of(path: Path) -> Mapping[str, object]:
    """Return the object in a JSON file, or an empty one where there is no such file."""
    return read_object(path) if has_file(path) else {}


def _token_ids(file: str, value: object) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, int) and not isinstance(entry, bool) and entry >= 0 for entry in values):
        raise CheckpointError(f"{file} eos_token_id must be a token or a list of tokens, not {shown(value)}")
    return tuple(values)
