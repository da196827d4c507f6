"""Processes of other processes, looked at from the outside."""

import time
from pathlib import Path

__all__ = ["check_ends"]


def check_ends(number: int) -> None:
    """Check that a process ends within five seconds."""
    state = Path(f"/proc/{number}/stat")
    for _ in range(500):
        # One that has ended and that nobody asked for is in state Z.
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"Process {number} must end with the one that began it")
