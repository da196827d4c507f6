"""A device that is a board under XRT: buffers and the xclbin through pyxrt, registers and the interrupt through xrt::ip.

pyxrt is imported here alone, and only where a board is opened. It has no xrt::ip (nor, since XRT 2.15, another way to a
kernel's registers: Xilinx/XRT issue 7863), so these go through the library that `make host` of a kernel package builds.
"""

import ctypes
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import KERNEL
from hwsim.errors import MachineError, shown
from hwsim.host.device import Place

__all__ = ["LIBRARY", "XrtDevice", "bank_of"]

LIBRARY = "libxrt_ip.so"
"""The library of `make host`, which lies beside the xclbin."""


def bank_of(engine: EngineConfig, place: Place, tags: Collection[str]) -> str:
    """Return the memory bank of a place, of those an xclbin linked by the package's link.cfg uses.

    The side port sees every bank: its buffer goes into the first one without a stream, or the last where all have one.
    """
    ports = engine.tile.ports
    if place.port is not None:
        return f"HBM[{place.port}]"
    return f"HBM[{ports}]" if f"HBM[{ports}]" in tags else f"HBM[{ports - 1}]"


class _XrtBuffer:
    """A buffer object of XRT; both sides have a copy, which is synchronized where one writes and the other reads."""

    def __init__(self, pyxrt: Any, buffer: Any):
        self._buffer = buffer
        self._to_device = pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE
        self._from_device = pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE
        self.address: int = buffer.address()
        self.size: int = buffer.size()

    def write(self, offset: int, content: np.ndarray) -> None:
        """Put uint8 [bytes] at an offset, and send them to the device."""
        content = np.ascontiguousarray(content)
        self._buffer.write(content, offset)
        self._buffer.sync(self._to_device, len(content), offset)

    def read(self, offset: int, size: int) -> np.ndarray:
        """Return uint8 [size] from an offset, fetched from the device."""
        self._buffer.sync(self._from_device, size, offset)
        return np.asarray(self._buffer.read(size, offset)).view(np.uint8)


class _Registers:
    """The operations of a device that go through xrt_ip.cpp, on one kernel."""

    def __init__(self, library: Path, index: int):
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise MachineError(
                f"Library {LIBRARY} must be beside the xclbin, where `make host` of the kernel package puts it ({error})"
            ) from None
        handle, word = ctypes.c_void_p, ctypes.c_uint32
        functions = {
            "error": (ctypes.c_char_p, []),
            "open": (handle, [ctypes.c_uint, ctypes.c_char_p]),
            "close": (None, [handle]),
            "read": (ctypes.c_int, [handle, word, ctypes.POINTER(word)]),
            "write": (ctypes.c_int, [handle, word, word]),
            "watch": (ctypes.c_int, [handle]),
            "wait": (ctypes.c_int, [handle, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32)]),
        }
        for name, (result, arguments) in functions.items():
            function = getattr(self._library, f"lamforge_ip_{name}")
            function.restype, function.argtypes = result, arguments
        self._handle = self._library.lamforge_ip_open(index, KERNEL.encode())
        if not self._handle:
            raise MachineError(f"Kernel {KERNEL} must open on device {index}, not fail with {shown(self._error())}")

    def read_register(self, offset: int) -> int:
        value = ctypes.c_uint32()
        status = self._library.lamforge_ip_read(self._handle, offset, ctypes.byref(value))
        self._check(status, f"Register {offset:#x} must be readable")
        return value.value

    def write_register(self, offset: int, value: int) -> None:
        self._check(self._library.lamforge_ip_write(self._handle, offset, value), f"Register {offset:#x} must be writable")

    def watch_interrupt(self) -> None:
        self._check(self._library.lamforge_ip_watch(self._handle), "The interrupt must be offered by XRT")

    def wait_interrupt(self, timeout_s: float) -> bool:
        came, milliseconds = ctypes.c_int32(), max(1, round(timeout_s * 1000))
        self._check(
            self._library.lamforge_ip_wait(self._handle, milliseconds, ctypes.byref(came)), "The interrupt must be waited for"
        )
        return bool(came.value)

    def close(self) -> None:
        self._library.lamforge_ip_close(self._handle)

    def _check(self, status: int, what: str) -> None:
        if status != 0:
            raise MachineError(f"{what}, not fail with {shown(self._error())}")

    def _error(self) -> str:
        return self._library.lamforge_ip_error().decode(errors="replace")


class XrtDevice(_Registers):
    """A board with the engine's xclbin loaded.

    `banks` maps places to tags of memory banks, where the xclbin was not linked by the package's own link.cfg.
    """

    def __init__(self, engine: EngineConfig, xclbin: Path, *, index: int = 0, banks: Mapping[Place, str] | None = None):
        """Open board `index` and load the xclbin; raise MachineError where one of the two cannot be."""
        try:
            import pyxrt
        except ImportError as error:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise MachineError(
                "Package pyxrt must be importable to run on a board: XRT's setup.sh sourced, and pyxrt built for Python"
                f" {version} ({error})"
            ) from None
        if not xclbin.is_file():
            raise MachineError(f"File of the linked kernel must exist, not {shown(str(xclbin))}")
        self.name = f"board {index}"
        self._pyxrt, self._engine, self._banks = pyxrt, engine, dict(banks or {})
        try:
            self._device = pyxrt.device(index)
            self._device.load_xclbin(str(xclbin))
            self._tags = {bank.get_tag(): bank for bank in pyxrt.xclbin(str(xclbin)).get_mems() if bank.get_used()}
        except RuntimeError as error:
            raise MachineError(f"Board {index} must load {shown(str(xclbin))}, not fail with {shown(str(error))}") from None
        super().__init__(xclbin.parent / LIBRARY, index)

    def allocate(self, place: Place, size: int) -> _XrtBuffer:
        tag = self._banks.get(place) or bank_of(self._engine, place, self._tags)
        bank = self._tags.get(tag)
        if bank is None:
            raise MachineError(f"Memory bank of {place} must be one that the xclbin uses, not {tag}")
        if size > bank.get_size_kb() * 1024:
            raise MachineError(f"A buffer in {place} must fit the {bank.get_size_kb() * 1024} bytes of {tag}, not take {size}")
        flags = self._pyxrt.bo.flags.normal
        try:
            buffer = self._pyxrt.bo(self._device, size, flags, bank.get_index())
        except RuntimeError as error:
            raise MachineError(f"A buffer of {size} bytes must fit {tag}, not fail with {shown(str(error))}") from None
        return _XrtBuffer(self._pyxrt, buffer)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def now_s(self) -> float:
        return time.monotonic()

    def reset(self) -> None:
        raise MachineError(
            "A board must be reset from outside, by `xbutil reset` or a cold boot: its kernel has no reset register and XRT"
            " does not load an xclbin again that is loaded"
        )
