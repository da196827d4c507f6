"""The memory image: what lies behind the ports and in the side memory, in memory or mapped from its file."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import math
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from safetensors import SafetensorError

from hwsim.arch.formats.sharing import in_parts
from hwsim.arch.tensor_file import header_bytes, places
from hwsim.errors import ProgramError, shown

__all__ = ["ImageWriter", "MemoryImage"]

_PORTS, _SIDE = "ports", "side"
_BYTE = np.dtype(np.uint8)
_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MemoryImage:
    """What lies in memory before the first run: streams of the ports, and the side memory.

    Attributes:
        ports: uint8 [ports, bytes], from each port's base on.
        side: uint8 [bytes], from the side base on; programs lie in their `program` buffers.
        file: what the arrays are mapped from, read-only; None for arrays in memory.
    """

    ports: np.ndarray
    side: np.ndarray
    file: _ImageFile | None = dataclasses.field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over the shapes and the SHA-256 of every port and of the side memory."""
        if self.file is not None:
            return self.file.digest
        shape = (self.ports.shape[0], self.ports.shape[1])
        return _digest(shape, len(self.side), lambda port: _sha256(self.ports[port]), _sha256(self.side))

    def copy(self) -> MemoryImage:
        """Return a copy that a run may write; of an image in a file it takes memory only for the pages that are written."""
        if self.file is not None:
            return MemoryImage(ports=self.file.ports("c"), side=self.file.side("c"))
        return MemoryImage(ports=self.ports.copy(), side=self.side.copy())

    def save(self, path: Path) -> None:
        """Write as safetensors, atomically."""
        count, size = self.ports.shape
        with ImageWriter(path, ports=count, port_bytes=size, side_bytes=len(self.side)) as writer:
            for port in range(count):
                writer.write(port, 0, np.ascontiguousarray(self.ports[port]))
            writer.write_side(np.ascontiguousarray(self.side))

    @classmethod
    def load(cls, path: Path) -> MemoryImage:
        """Return the image in a file, mapped and read-only; raise ProgramError."""
        try:
            if not path.is_file():
                # A pipe would be waited for.
                raise ValueError("a file")
            found = places(path)
            ports, side = found[_PORTS], found[_SIDE]
            is_image = len(ports.shape) == 2 and len(side.shape) == 1 and {ports.dtype, side.dtype} == {_BYTE}
            if not is_image or 0 in ports.shape + side.shape:
                raise ValueError("shapes")
            # Open as long as the image lives, so that copies map the same bytes whatever is put at `path` later.
            number = os.open(path, os.O_RDONLY)
        except (OSError, KeyError, ValueError, SafetensorError):
            raise ProgramError(f"Memory image must be a safetensors file with ports and side, not {shown(str(path))}") from None
        file = _ImageFile(number, ports.start, (ports.shape[0], ports.shape[1]), side.start, side.shape[0])
        return cls(ports=file.ports("r"), side=file.side("r"), file=file)


class _ImageFile:
    """An open file that holds an image; `digest` is computed when first asked for."""

    def __init__(self, number: int, ports_start: int, shape: tuple[int, int], side_start: int, side_bytes: int) -> None:
        # Not a file of Python, which warns where an exception keeps it until garbage is collected.
        self._number = number
        self._ports = (ports_start, shape)
        self._side = (side_start, (side_bytes,))

    def __del__(self) -> None:
        os.close(self._number)

    def ports(self, mode: str) -> np.ndarray:
        """Return the ports, mapped read-only (`r`) or copied where they are written (`c`)."""
        return self._map(mode, *self._ports)

    def side(self, mode: str) -> np.ndarray:
        """Return the side memory in the same way."""
        return self._map(mode, *self._side)

    @functools.cached_property
    def digest(self) -> str:
        """Digest of the image in the file, which is read in pieces: pages of a map would count as memory held."""
        (start, shape), (side_start, (side_bytes,)) = self._ports, self._side
        side = self._hash(side_start, side_bytes)
        return _digest(shape, side_bytes, lambda port: self._hash(start + port * shape[1], shape[1]), side)

    def _hash(self, start: int, count: int) -> bytes:
        """Return the SHA-256 of some bytes of the file; raise ProgramError when it has become shorter."""
        running, end = hashlib.sha256(), start + count
        while start < end:
            piece = os.pread(self._number, min(end - start, _PIECE), start)
            if not piece:
                raise ProgramError(f"Memory image must keep its length while it is read, not end at byte {start}")
            running.update(piece)
            start += len(piece)
        return running.digest()

    def _map(self, mode: str, start: int, shape: tuple[int, ...]) -> np.ndarray:
        access = mmap.ACCESS_READ if mode == "r" else mmap.ACCESS_COPY
        count = math.prod(shape)
        # A map starts on a page; what lies before the tensor is mapped too.
        before = start % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(self._number, before + count, access=access, offset=start - before)
        return np.frombuffer(mapped, np.uint8, count, before).reshape(shape)


class ImageWriter:
    """Writes an image into a file piece by piece; the file appears when the block ends well, else nothing is left.

    What is not written is zero and takes no space where the file system has sparse files.
    """

    def __init__(self, path: Path, *, ports: int, port_bytes: int, side_bytes: int) -> None:
        self._path, self._part = path, path.parent / f".{path.name}.part"
        self._shape, self._side_bytes = (ports, port_bytes), side_bytes
        self._hashes = [hashlib.sha256() for _ in range(ports)]
        self._done = [0] * ports
        self._side_digest = hashlib.sha256(bytes(side_bytes)).digest()
        self.digest = ""

    def __enter__(self) -> ImageWriter:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        header = header_bytes({_PORTS: (_BYTE, self._shape), _SIDE: (_BYTE, (self._side_bytes,))})
        self._start = len(header)
        self._side_start = self._start + self._shape[0] * self._shape[1]
        self._stream = self._part.open("wb")
        self._stream.write(header)
        self._stream.flush()
        os.truncate(self._stream.fileno(), self._side_start + self._side_bytes)
        return self

    def write(self, port: int, offset: int, data: np.ndarray) -> None:
        """Write bytes, uint8 [bytes], of a port behind those it has; ports may be written from different threads.

        Raises:
            ProgramError: the bytes lie before others of this port, or beyond its end.
        """
        done, end = self._done[port], offset + len(data)
        if offset < done or end > self._shape[1]:
            raise ProgramError(f"Bytes of port {port} must lie in {done} to {self._shape[1]}, not {offset} to {end}")
        self._pass_over(port, offset)
        self._hashes[port].update(data.data)
        _write_at(self._stream.fileno(), data, self._start + port * self._shape[1] + offset)
        self._done[port] = end

    def write_side(self, data: np.ndarray) -> None:
        """Write the whole side memory, uint8 [bytes]."""
        self._side_digest = hashlib.sha256(data.data).digest()
        _write_at(self._stream.fileno(), data, self._side_start)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                for port in range(self._shape[0]):
                    self._pass_over(port, self._shape[1])
                self.digest = _digest(self._shape, self._side_bytes, lambda port: self._hashes[port].digest(), self._side_digest)
            self._stream.close()
            if kind is None:
                os.replace(self._part, self._path)
        finally:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._part.unlink(missing_ok=True)

    def image(self) -> MemoryImage:
        """Return the written image, mapped; its digest is the one computed while writing."""
        made = MemoryImage.load(self._path)
        assert made.file is not None
        made.file.__dict__["digest"] = self.digest
        return made

    def _pass_over(self, port: int, offset: int) -> None:
        """Count the zeros up to an offset."""
        left = offset - self._done[port]
        while left > 0:
            piece = min(left, len(_ZEROS))
            self._hashes[port].update(memoryview(_ZEROS)[:piece])
            left -= piece
        self._done[port] = offset


def _write_at(descriptor: int, data: np.ndarray, place: int) -> None:
    view = memoryview(data.data)
    while len(view):
        count = os.pwrite(descriptor, view, place)
        view, place = view[count:], place + count


def _sha256(data: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(data).data).digest()


def _digest(shape: tuple[int, int], side_bytes: int, port: Callable[[int], bytes], side: bytes) -> str:
    """Return the digest of an image from the SHA-256 of its ports, each of which is asked for once, and of its side memory."""
    parts = in_parts(lambda ports: b"".join(map(port, range(ports.start, ports.stop))), shape[0], 1)
    return hashlib.sha256(repr((shape, (side_bytes,))).encode() + b"".join(parts) + side).hexdigest()
