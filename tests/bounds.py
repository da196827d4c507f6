"""What reading a damaged file may take: seconds, memory, and letters of the sentence that refuses it."""

import contextlib
import faulthandler
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TypeVar

from hwsim.errors import LamforgeError

__all__ = ["LONGEST_S", "MOST_BYTES", "MOST_LETTERS", "TookTooLong", "accepted", "bounded"]

LONGEST_S = 5.0
"""Of computing; waiting for nothing may take a few times that, for other processes of the machine compute too."""
_LONGEST_WAIT_S = 4 * LONGEST_S
MOST_BYTES = 1 << 30
MOST_LETTERS = 6000
"""Of a refusal, which has at most ten mistakes of 200 letters of a value and as many words around them."""
Result = TypeVar("Result")


class TookTooLong(BaseException):
    """Raised inside what took longer than LONGEST_S; no `except Exception` keeps it."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Stop the block after LONGEST_S, and refuse it more than MOST_BYTES beyond the memory that the process has now."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"It must end within {LONGEST_S:g} s")

    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_held_bytes() + MOST_BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST_WAIT_S)
    # Where no Python code is run, no signal is taken.
    faulthandler.dump_traceback_later(2 * _LONGEST_WAIT_S, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        for number, handler in before.items():
            signal.signal(number, handler)


def accepted(call: Callable[[], Result]) -> Result | None:
    """Return what a call returns within bounds, or None where it refuses in a sentence; whatever else it raises goes through."""
    with bounded():
        try:
            return call()
        except LamforgeError as refusal:
            assert 0 < len(str(refusal)) < MOST_LETTERS
            return None


def _held_bytes() -> int:
    """Return the bytes of private memory that can be written, as the limit counts them."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) << 10
