"""Where finished layers wait until all are done: in memory, or in a folder from which a killed run can resume."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from hwsim.arch.formats import MatrixSource, PackedMatrix
from hwsim.arch.isa import Format
from hwsim.arch.tensor_file import TensorPlace, places, read_tensor, write_tensors
from hwsim.errors import CheckpointError, SpecError, shown
from hwsim.whole_files import LOCK, whole_file, write_text
from models.checkpoint.base import sha256
from models.families import read_object
from models.integer.constants import Gain

__all__ = ["Done", "FolderState", "MemoryState", "State", "clear_work"]

_IDENTITY = "work.json"
_STREAM = "stream"


def _unusable(folder: Path, error: Exception) -> SpecError:
    return SpecError(f"Folder of unfinished work {shown(str(folder))} must be usable, but: {error}")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Done:
    """The results of a layer, of the head, or of all: matrices, gains and biases under the names of the integer model."""

    matrices: dict[str, MatrixSource] = dataclasses.field(default_factory=dict)
    gains: dict[str, Gain] = dataclasses.field(default_factory=dict)
    biases: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


class MemoryState:
    """Finished layers in memory, their matrices packed."""

    def __init__(self) -> None:
        self._all = Done()

    def resumed(self, streams: int) -> tuple[int, torch.Tensor | None]:
        """Return how many layers were finished earlier, and the streams after them.

        streams: layers that have streams after them: all, or none where nothing is calibrated; the head has none.
        """
        return 0, None

    def put(self, done: Done, stream: torch.Tensor | None) -> None:
        """Take the next layer and the streams after it, float32 [tokens, hidden]."""
        self._all.matrices.update(done.matrices)
        self._all.gains.update(done.gains)
        self._all.biases.update(done.biases)

    def all(self) -> Done:
        """Return everything finished so far as one."""
        return self._all


class FolderState:
    """Finished layers in a folder, each written whole or not at all."""

    def __init__(self, folder: Path, identity: Mapping[str, object]) -> None:
        """Take the folder, and the values that decide the result.

        SpecError when the folder holds unfinished work of another compression, or cannot be written.
        """
        self._folder = folder
        path = folder / _IDENTITY
        try:
            # Hidden files are the lock and what a command that was killed had begun to write.
            if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
                stated = read_object(path) if path.is_file() else {}
                different = sorted(key for key in {*identity, *stated} if identity.get(key) != stated.get(key))
                if different:
                    raise SpecError(
                        f"Unfinished work in {shown(str(folder))} must have been begun with the same {', '.join(different)}:"
                        " remove that folder, or compress again as it was begun"
                    )
            else:
                folder.mkdir(parents=True, exist_ok=True)
                with whole_file(path) as part:
                    part.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
        except (CheckpointError, OSError) as error:
            raise _unusable(folder, error) from None
        self._count = 0
        while self._layer(self._count).is_file():
            self._count += 1

    def resumed(self, streams: int) -> tuple[int, torch.Tensor | None]:
        """Return what MemoryState does; SpecError where something is missing, or is not what was written."""
        for index in range(self._count):
            _check(self._layer(index))
        if not 0 < self._count <= streams:
            return self._count, None
        found = self._stream(self._count)
        _check(found)
        with found.open("rb") as opened:
            return self._count, torch.from_numpy(read_tensor(opened, places(found)[_STREAM]))

    def put(self, done: Done, stream: torch.Tensor | None) -> None:
        """Take the next layer and the streams after it, float32 [tokens, hidden]."""
        tensors: dict[str, np.ndarray] = {}
        for name, source in done.matrices.items():
            packed = source.packed()
            tensors[f"{name}.words"], tensors[f"{name}.mantissa"] = packed.words, packed.mantissa
            tensors[f"{name}.exponent"] = packed.exponent
            tensors[f"{name}.format"] = np.array([packed.format, packed.inputs], np.int64)
        for name, gain in done.gains.items():
            tensors[f"{name}.gain"], tensors[f"{name}.shift"] = gain.values, np.array([gain.shift], np.int64)
        for name, bias in done.biases.items():
            tensors[f"{name}.bias"] = bias
        before, after = self._stream(self._count), self._stream(self._count + 1)
        # The layer's file comes last: once it is there, what the next layer needs is too.
        if stream is not None:
            self._write_tensors(after, {_STREAM: stream.numpy()})
        self._write_tensors(self._layer(self._count), tensors)
        for path in (_digest_of(before), before):
            path.unlink(missing_ok=True)
        self._count += 1

    def all(self) -> Done:
        """Return everything finished so far as one; its matrices stay in their files."""
        found = Done()
        for index in range(self._count):
            _read(self._layer(index), found)
        return found

    def _layer(self, index: int) -> Path:
        return self._folder / f"layer-{index:05d}.safetensors"

    def _stream(self, count: int) -> Path:
        return self._folder / f"stream-{count:05d}.safetensors"

    @staticmethod
    def _write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
        with whole_file(path) as part:
            write_tensors(part, {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
            write_text(_digest_of(path), sha256(part))


State = MemoryState | FolderState


def clear_work(folder: Path) -> None:
    """Remove the work in a folder; where that is killed, what is left is work that was not begun.

    So the first layer goes first, without which the others do not count, and what says whose work it is goes last.
    """
    for path in sorted(folder.iterdir(), key=lambda path: (path.name == _IDENTITY, path.name)):
        if path.name != LOCK:
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting:
    """A matrix in a layer's file, read when it is asked for."""

    path: Path
    name: str
    format: Format
    shape: tuple[int, int]
    places: Mapping[str, TensorPlace]

    def packed(self) -> PackedMatrix:
        """Return the matrix as words."""
        with self.path.open("rb") as stream:
            words, mantissa, exponent = (
                read_tensor(stream, self.places[f"{self.name}.{part}"]) for part in ("words", "mantissa", "exponent")
            )
        return PackedMatrix(format=self.format, inputs=self.shape[1], words=words, mantissa=mantissa, exponent=exponent)


def _digest_of(path: Path) -> Path:
    """Return the file beside another that has its digest, and is written first."""
    return path.with_suffix(".sha256")


def _check(path: Path) -> None:
    """Raise SpecError unless a file of unfinished work has the bytes that were written."""
    try:
        if not path.is_file() or _digest_of(path).read_text() != sha256(path):
            raise ValueError("it is missing, or has other bytes")
    except (OSError, ValueError) as error:
        raise SpecError(
            f"Unfinished work in {shown(str(path))} must be as it was written, but: {error}; remove that folder"
        ) from None


def _read(path: Path, done: Done) -> None:
    """Add what is in a layer's file."""
    with path.open("rb") as stream:
        found = places(path)
        for key, place in found.items():
            name, _, what = key.rpartition(".")
            if what == "format":
                format, inputs = read_tensor(stream, place).tolist()
                shape = found[f"{name}.words"].shape[0], inputs
                done.matrices[name] = _Waiting(path=path, name=name, format=Format(format), shape=shape, places=found)
            elif what == "gain":
                shift = int(read_tensor(stream, found[f"{name}.shift"])[0])
                done.gains[name] = Gain(values=read_tensor(stream, place), shift=shift)
            elif what == "bias":
                done.biases[name] = read_tensor(stream, place)
