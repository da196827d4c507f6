"""The bytes of a GGUF header, read without trusting any of them."""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy

from hwsim.errors import CheckpointError, shown

__all__ = ["GgufFile", "GgufTensor", "read_header"]

# Ref: the GGUF specification, versions 2 and 3, little endian.
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
_DEFAULT_ALIGNMENT = 32

# No published model needs more; a larger count is a damaged or hostile file.
_MOST_ENTRIES = 1 << 16
_MOST_ELEMENTS = 1 << 24
_MOST_DIMENSIONS = 4


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """Where a tensor lies.

    shape: outputs first, as PyTorch orders a weight.
    kind: storage format.
    start, stop: bytes in the file.
    """

    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True, eq=False)
class GgufFile:
    """A GGUF file whose header has been read.

    metadata: values by key.
    tensors: places by GGUF name.
    path: the file.
    """

    metadata: Mapping[str, object]
    tensors: Mapping[str, GgufTensor]
    path: Path

    def blocks(self, name: str) -> numpy.ndarray:
        """Return the stored bytes of a tensor, uint8 [rows, bytes per row], mapped from the file."""
        tensor = self.tensors[name]
        mapped = numpy.memmap(self.path, mode="r", offset=tensor.start, shape=(tensor.stop - tensor.start,))
        return numpy.asarray(mapped).reshape(*tensor.shape[:-1], -1)


def read_header(path: Path) -> GgufFile:
    """Return the metadata and the tensors' places; CheckpointError when the file is not a complete GGUF file."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(path, content).read()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"File {path.name} must be a complete GGUF file, but: {error}") from None


class _Reader:
    """A position in the header that moves on with every value read."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self._path = path
        self._content = content
        self._size = len(content)
        self._at = 0

    def read(self) -> GgufFile:
        if self._take(4) != _MAGIC:
            raise self._refusal("its first four bytes are not GGUF")
        version = self._integer("<I")
        if version not in _VERSIONS:
            raise self._refusal(f"its version is {version}, where 2 and 3 are known")
        tensor_count = self._count("<Q", _MOST_ENTRIES, "tensors")
        entry_count = self._count("<Q", _MOST_ENTRIES, "metadata entries")
        metadata: dict[str, object] = {}
        for _ in range(entry_count):
            key = self._text()
            if key in metadata:
                raise self._refusal(f"the metadata entry {shown(key)} appears twice")
            metadata[key] = self._value(self._integer("<I"))
        entries = [self._tensor_entry() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if isinstance(alignment, bool) or not isinstance(alignment, int) or alignment < 1:
            raise self._refusal(f"its alignment is {shown(alignment)}")
        start = -(-self._at // alignment) * alignment
        tensors: dict[str, GgufTensor] = {}
        for name, shape, kind, offset in entries:
            if name in tensors:
                raise self._refusal(f"the tensor {shown(name)} appears twice")
            tensors[name] = self._place(name, shape, kind, start + offset)
        return GgufFile(metadata=metadata, tensors=tensors, path=self._path)

    def _tensor_entry(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._text()
        dimensions = self._count("<I", _MOST_DIMENSIONS, f"dimensions of {shown(name)}")
        sizes = [self._integer("<Q") for _ in range(dimensions)]
        return name, tuple(reversed(sizes)), self._integer("<I"), self._integer("<Q")

    def _place(self, name: str, shape: tuple[int, ...], number: int, start: int) -> GgufTensor:
        known = {kind.value: kind for kind in gguf.GGML_QUANT_SIZES}
        if number not in known:
            raise self._refusal(f"the tensor {shown(name)} is of unknown type {number}")
        block_values, block_bytes = gguf.GGML_QUANT_SIZES[known[number]]
        if not shape or min(shape) < 1 or shape[-1] % block_values:
            raise self._refusal(f"the tensor {shown(name)} of shape {shape} does not fall into blocks of {block_values}")
        stop = start + math.prod(shape) // block_values * block_bytes
        if stop > self._size:
            raise self._refusal(f"the tensor {shown(name)} ends at byte {stop} of {self._size}")
        return GgufTensor(shape=shape, kind=known[number], start=start, stop=stop)

    def _value(self, kind: int) -> object:
        if kind in _SCALARS:
            return self._scalar(_SCALARS[kind])
        if kind == _TEXT:
            return self._text()
        if kind != _ARRAY:
            raise self._refusal(f"a metadata value is of unknown type {kind}")
        element = self._integer("<I")
        count = self._count("<Q", _MOST_ELEMENTS, "array elements")
        if element == _TEXT:
            return [self._text() for _ in range(count)]
        if element not in _SCALARS:
            raise self._refusal(f"a metadata array is of unknown type {element}")
        form = f"<{count}{_SCALARS[element][1]}"
        return list(struct.unpack(form, self._take(struct.calcsize(form))))

    def _text(self) -> str:
        return self._take(self._integer("<Q")).decode("utf-8", errors="replace")

    def _scalar(self, form: str) -> object:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _integer(self, form: str) -> int:
        return int.from_bytes(self._take(struct.calcsize(form)), "little")

    def _count(self, form: str, most: int, subject: str) -> int:
        count = self._integer(form)
        if count > most:
            raise self._refusal(f"it promises {count} {subject}")
        return count

    def _take(self, size: int) -> bytes:
        if size > self._size - self._at:
            raise self._refusal(f"it ends at byte {self._size} inside its header")
        taken = self._content[self._at : self._at + size]
        self._at += size
        return taken

    def _refusal(self, reason: str) -> CheckpointError:
        return CheckpointError(f"File {self._path.name} must be a complete GGUF file, but {reason}")
