"""Hugging Face folders: config.json, safetensors in one file or several, and the tokenizer's files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from hwsim.errors import CheckpointError
from models.checkpoint.base import Checkpoint, TensorStore, Weights, check_names
from models.config import ModelConfig
from models.families import read_object
from models.tokenizer import Tokenizer, byte_pairs

__all__ = ["load", "read_tokenizer"]

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
    return Checkpoint(
        config=config,
        weights=Weights(config, store),
        tokenizer=read_tokenizer(folder, document),
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


def read_tokenizer(folder: Path, config: Mapping[str, object]) -> Tokenizer | None:
    """Return the tokenizer of a folder, or None without tokenizer.json.

    config: the folder's config.json; its end tokens, and those of generation_config.json, end a text too.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    settings = read_object(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    generation = read_object(folder / "generation_config.json") if (folder / "generation_config.json").is_file() else {}
    template_file = folder / "chat_template.jinja"
    template = template_file.read_text(encoding="utf-8") if template_file.is_file() else settings.get("chat_template")
    return Tokenizer(
        byte_pairs(path.read_text(encoding="utf-8", errors="replace")),
        chat_template=_default_template(template),
        bos_token=_token_text(settings.get("bos_token")),
        eos_token=_token_text(settings.get("eos_token")),
        eos_ids=_token_ids(config.get("eos_token_id")) + _token_ids(generation.get("eos_token_id")),
    )


def _default_template(template: object) -> str | None:
    """Return the template, or the one named `default` where a file lists several."""
    if isinstance(template, list):
        named = [entry for entry in template if isinstance(entry, Mapping) and entry.get("name") == "default"]
        template = named[0].get("template") if named else None
    return template if isinstance(template, str) else None


def _token_text(token: object) -> str | None:
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None


def _token_ids(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(entry for entry in values if isinstance(entry, int) and not isinstance(entry, bool))
