"""A module with the signatures of pyxrt (XRT 2.15, src/python/pybind11/src/pyxrt.cpp) over memory banks of Python bytes."""

import enum
import types

import numpy as np

__all__ = ["BANK_BYTES", "Memory", "fake_pyxrt"]

BANK_BYTES = 1 << 20


class Memory:
    """What the fake board holds: its banks, one after the other in one address space, and the calls it got."""

    def __init__(self, tags: tuple[str, ...]):
        self.tags = tags
        self.bytes = np.zeros(len(tags) * BANK_BYTES, np.uint8)
        self.free = [0] * len(tags)
        self.calls: list[str] = []


class Direction(enum.IntEnum):
    """Directions of a synchronization."""

    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class Flags(enum.IntEnum):
    """Kinds of buffers."""

    normal = 0
    device_only = 2


def _plain(*values: object) -> None:
    """Refuse what pybind11 would: sizes and offsets are plain whole numbers, never negative."""
    for value in values:
        if not isinstance(value, int) or value < 0:
            raise TypeError(f"incompatible function arguments: {value!r}")


def fake_pyxrt(memory: Memory) -> types.ModuleType:
    """Return the module."""

    class Device:
        def __init__(self, index: int):
            _plain(index)
            if index > 1:
                raise RuntimeError("Could not open device with index '7'")
            memory.calls.append(f"device {index}")

        def load_xclbin(self, path: str) -> object:
            assert isinstance(path, str)
            if path.endswith("broken.xclbin"):
                raise RuntimeError("failed to load xclbin")
            memory.calls.append("load_xclbin")
            return object()

    class Bank:
        def __init__(self, index: int):
            self._index = index

        def get_tag(self) -> str:
            return memory.tags[self._index]

        def get_index(self) -> int:
            return self._index

        def get_size_kb(self) -> int:
            return BANK_BYTES // 1024

        def get_used(self) -> bool:
            return memory.tags[self._index] != "PLRAM[0]"

    class Xclbin:
        def __init__(self, path: str):
            assert isinstance(path, str)

        def get_mems(self) -> list[Bank]:
            return [Bank(index) for index in range(len(memory.tags))]

    class Bo:
        flags = Flags

        def __init__(self, device: Device, size: int, flags: Flags, group: int):
            _plain(size, group)
            assert isinstance(device, Device)
            assert isinstance(flags, Flags)
            if memory.free[group] + size > BANK_BYTES:
                raise RuntimeError("failed to allocate bo: Cannot allocate memory")
            self._start = group * BANK_BYTES + memory.free[group]
            memory.free[group] += -(-size // 4096) * 4096
            self._host = np.zeros(size, np.uint8)
            memory.calls.append(f"bo {memory.tags[group]}")

        def address(self) -> int:
            return self._start

        def size(self) -> int:
            return len(self._host)

        def write(self, data: object, seek: int) -> None:
            _plain(seek)
            content = np.frombuffer(memoryview(data).cast("B"), np.uint8)
            assert seek + len(content) <= len(self._host)
            self._host[seek : seek + len(content)] = content

        def read(self, size: int, skip: int) -> np.ndarray:
            _plain(size, skip)
            return self._host[skip : skip + size].view(np.int8).copy()

        def sync(self, direction: Direction, size: int, offset: int) -> None:
            _plain(size, offset)
            assert isinstance(direction, Direction)
            assert offset + size <= len(self._host)
            device = memory.bytes[self._start + offset : self._start + offset + size]
            host = self._host[offset : offset + size]
            if direction is Direction.XCL_BO_SYNC_BO_TO_DEVICE:
                device[:] = host
            else:
                host[:] = device

    module = types.ModuleType("pyxrt")
    for name, value in {"device": Device, "xclbin": Xclbin, "bo": Bo, "xclBOSyncDirection": Direction}.items():
        setattr(module, name, value)
    return module
