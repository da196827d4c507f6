"""Tensors spread over safetensors files with an index, written one file at a time and read one tensor at a time."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from hwsim.arch.tensor_file import TensorPlace, places, read_tensor, write_tensors
from hwsim.errors import CheckpointError, cut, shown
from models.families import has_file, read_object

__all__ = ["ShardWriter", "Shards", "file_of"]

_SUFFIX = ".safetensors"


def _index_name(stem: str) -> str:
    return f"{stem}{_SUFFIX}.index.json"


class ShardWriter:
    """Writes `<stem>.safetensors`, or numbered files and an index as Hugging Face names them once there is too much for one.

    Tensors are held until a file is full, so never more than `limit` bytes and one tensor.
    """

    def __init__(self, folder: Path, stem: str, *, limit: int) -> None:
        """Take the folder, the first part of the names, and the bytes of a full file."""
        self._folder, self._stem, self._limit = folder, stem, limit
        self._held: dict[str, np.ndarray] = {}
        self._files: list[tuple[str, ...]] = []
        self._total = 0

    def add(self, name: str, tensor: np.ndarray) -> None:
        """Take a tensor."""
        if self._held and sum(each.nbytes for each in self._held.values()) + tensor.nbytes > self._limit:
            self._flush()
        self._held[name] = np.ascontiguousarray(tensor)
        self._total += tensor.nbytes

    def close(self) -> tuple[Path, ...]:
        """Write what is left and the index, and return the files of tensors."""
        self._flush()
        count = len(self._files)
        paths: list[Path] = []
        weight_map: dict[str, str] = {}
        for number, names in enumerate(self._files, start=1):
            name = f"{self._stem}{_SUFFIX}" if count == 1 else f"{self._stem}-{number:05d}-of-{count:05d}{_SUFFIX}"
            self._part(number).rename(self._folder / name)
            paths.append(self._folder / name)
            weight_map |= dict.fromkeys(names, name)
        if count > 1:
            index = {"metadata": {"total_size": self._total}, "weight_map": weight_map}
            (self._folder / _index_name(self._stem)).write_text(json.dumps(index, indent=2) + "\n")
        return tuple(paths)

    def _flush(self) -> None:
        self._files.append(tuple(self._held))
        write_tensors(self._part(len(self._files)), self._held)
        self._held = {}

    def _part(self, number: int) -> Path:
        return self._folder / f".{self._stem}.{number}.part"


class Shards:
    """The tensors that a `ShardWriter` wrote, each read when it is asked for; headers are compared with the files' lengths."""

    def __init__(self, folder: Path, stem: str) -> None:
        """Open the files of a folder.

        CheckpointError when a file is missing or incomplete, or the index is not one.
        """
        self._name = f"{stem}{_SUFFIX}"
        self._places: dict[str, tuple[Path, TensorPlace]] = {}
        index = folder / _index_name(stem)
        promised = _promised(index) if index.is_file() else {None: self._name}
        for file in dict.fromkeys(promised.values()):
            path = folder / file
            if not has_file(path):
                promise = f", which {index.name} names" if index.is_file() else ", which is missing"
                raise CheckpointError(f"Folder {folder.name} must hold {cut(file)}{promise}")
            try:
                self._places |= {name: (path, place) for name, place in places(path).items()}
            except (SafetensorError, OSError, ValueError) as error:
                raise CheckpointError(f"File {file} must be a complete safetensors file, but: {cut(error)}") from None
        for name, file in promised.items():
            if name is not None and (name not in self._places or self._places[name][0].name != file):
                raise CheckpointError(f"File {cut(file)} must hold the tensor {cut(name)}, which {index.name} promises")
        self.files = tuple(folder / file for file in sorted(set(promised.values())))

    def take(self, name: str, dtype: type, shape: tuple[int | None, ...]) -> np.ndarray:
        """Return a tensor of this type and shape, None standing for any length; raise CheckpointError for another."""
        path, place = self._expected(name, dtype, shape)
        with path.open("rb") as stream:
            return read_tensor(stream, place)

    def expect(self, name: str, dtype: type, shape: tuple[int | None, ...]) -> None:
        """Raise CheckpointError unless there is a tensor of this type and shape, without reading it."""
        self._expected(name, dtype, shape)

    def _expected(self, name: str, dtype: type, shape: tuple[int | None, ...]) -> tuple[Path, TensorPlace]:
        if name not in self._places:
            raise CheckpointError(f"File {self._name} must hold the tensor {name}, which is missing")
        path, place = self._places[name]
        fits = len(place.shape) == len(shape) and all(b is None or a == b for a, b in zip(place.shape, shape, strict=True))
        if place.dtype != dtype or not fits:
            raise CheckpointError(
                f"Tensor {name} must be {np.dtype(dtype).name} of shape {shape}, not {place.dtype.name} of {place.shape}"
            )
        return path, place


def _promised(index: Path) -> Mapping[str | None, str]:
    """Return the file of every tensor as an index says."""
    try:
        weight_map = read_object(index).get("weight_map")
    except CheckpointError:
        weight_map = None
    if not isinstance(weight_map, Mapping):
        raise CheckpointError(f"File {index.name} must be JSON with an object weight_map, but holds something else")
    return {name: file_of(name, file) for name, file in weight_map.items()}


def file_of(tensor: str, name: object) -> str:
    """Return the name of a tensor's file as an index gives it, when it is one of the folder; CheckpointError otherwise."""
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(_SUFFIX):
        raise CheckpointError(f"File of tensor {cut(tensor)} must be a {_SUFFIX} file of the folder, not {shown(name)}")
    return name
