"""Places of the tensors in a safetensors file, so that they can be mapped or read one at a time."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from safetensors import safe_open

__all__ = ["TensorPlace", "header_bytes", "places", "read_tensor", "write_tensors"]

_LENGTH_BYTES = 8
_PAGE = 4096
_DTYPES = {
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "F16": np.float16,
    "I32": np.int32,
    "F32": np.float32,
    "I64": np.int64,
    "F64": np.float64,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorPlace:
    """A tensor in a file: its type and shape, and the byte of the file it starts at."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int


def places(path: Path) -> dict[str, TensorPlace]:
    """Return where every tensor of a file lies.

    Raises:
        SafetensorError, OSError: the file is not a complete safetensors file.
        ValueError: a tensor is of a type that NumPy has not.
    """
    with safe_open(path, framework="numpy"):
        # Opening compares the header with the file's length.
        pass
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"tensor {name} is of type {entry['dtype']}")
        found[name] = TensorPlace(
            dtype=np.dtype(_DTYPES[entry["dtype"]]),
            shape=tuple(entry["shape"]),
            start=_LENGTH_BYTES + length + entry["data_offsets"][0],
        )
    return found


def read_tensor(stream: BinaryIO, place: TensorPlace) -> np.ndarray:
    """Return a tensor's values, read into an array of its own."""
    stream.seek(place.start)
    return np.fromfile(stream, place.dtype, math.prod(place.shape)).reshape(place.shape)


def header_bytes(tensors: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> bytes:
    """Return the header of a file of tensors of these types and shapes, in this order; their data starts on a page."""
    codes = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}
    entries, start = {}, 0
    for name, (dtype, shape) in tensors.items():
        end = start + math.prod(shape) * dtype.itemsize
        entries[name] = {"dtype": codes[dtype], "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries).encode()
    whole = -(-(_LENGTH_BYTES + len(text)) // _PAGE) * _PAGE
    return (whole - _LENGTH_BYTES).to_bytes(_LENGTH_BYTES, "little") + text.ljust(whole - _LENGTH_BYTES)


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a file of contiguous tensors without a copy of them."""
    with path.open("wb") as stream:
        stream.write(header_bytes({name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}))
        for tensor in tensors.values():
            stream.write(tensor.data)
