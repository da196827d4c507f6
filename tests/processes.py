"""Processes of other processes, looked at from the outside."""

import time
from pathlib import Path

__all__ = ["check_ends", "of_session"]


def _state(number: int) -> list[str] | None:
    """Return what the system says of a process, behind its name; None where there is none."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def of_session(number: int) -> list[int]:
    """Return the processes of a session."""
    every = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return [each for each in every if (state := _state(each)) is not None and int(state[3]) == number]


def check_ends(number: int) -> None:
    """Check that a process ends within five seconds."""
    for _ in range(500):
        state = _state(number)
        # One that has ended and that nobody asked for is in state Z.
        if state is None or state[0] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"Process {number} must end with the one that began it")
