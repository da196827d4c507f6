"""Keeps a process from changing files outside a folder: a mutant of code that writes may write anywhere."""

import os
import stat
import sys
from pathlib import Path
from typing import Any

__all__ = ["fence"]

_CHANGES = {
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 1,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "shutil.rmtree": 1,
}
"""Audit events of changes, with how many of their first arguments are paths. (Of a link the text it holds counts too.)"""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def fence(folder: Path) -> None:
    """Let this process change nothing outside `folder` from now on: PermissionError says what it tried.

    Devices and streams may be written to. Other programs that it starts are not held.
    """
    inside = folder.resolve()

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        count = _CHANGES.get(event, 0)
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            count = 1
        for path in arguments[:count]:
            if isinstance(path, int) or path is None:
                continue
            named = Path(os.fsdecode(os.fspath(path)))
            # What a link leads to is opened; a link itself is moved or removed.
            place = named.resolve() if event == "open" else named.absolute().parent.resolve()
            if not place.is_relative_to(inside) and not (event == "open" and _is_device(place)):
                raise PermissionError(f"A mutant must change nothing outside its folder, not {str(named)!r} ({event})")

    sys.addaudithook(check)


def _is_device(place: Path) -> bool:
    try:
        mode = place.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
