"""Runs Python in forks of a process that has read what takes long to read, so that a text takes no longer than what it does.

Run as a program it reads (folder, code) as lines of JSON, and answers each with an exit code once `output` lies in the folder.
"""

import importlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path

__all__ = ["Forks"]

_READ = ("numpy", "yaml", "pydantic", "numba", "torch", "amaranth.back.rtlil", "pytest", "typer", "jinja2")
"""Packages that the rooms stand on; none of them reads the rooms."""


class Forks:
    """The process; it ends when it is closed."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def run(self, folder: Path, code: str) -> tuple[int, str]:
        """Run code with the rooms of a folder; return the exit code and what was said on both outputs."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(folder), code]) + "\n")
        self._process.stdin.flush()
        exit_code = int(self._process.stdout.readline())
        return exit_code, (folder / "output").read_text()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _run(folder: Path, code: str) -> None:
    """Run code in this process, which is a fork, and end it at once: what was read before is not worth tidying up."""
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    sys.path[0] = str(folder)
    (folder / "to_run.py").write_text(code)
    exit_code = 1
    try:
        runpy.run_path("to_run.py", run_name="__main__")
        exit_code = 0
    except SystemExit as stop:
        exit_code = int(stop.code or 0)
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


if __name__ == "__main__":
    for name in _READ:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            place, text = json.loads(line)
            _run(Path(place), text)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
