"""A process with everything loaded from which commands are forked, so that killing one at any moment costs no start.

It is run as a script, with the modules to load; of packages, all that they have. Each line that it reads is a JSON object: what
to call (`arguments` of the command, or `demo`, the folder of what the demo on a tiny model is made of), and in which `folder`. It
forks, writes the number of the process, and then, when that has ended, its exit code; what the command writes goes to the files
`stdout` and `stderr` beside that folder.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["ALL", "OF_MODELS", "Forks", "Started"]

ALL = (
    "lamforge.cli.commands",
    "lamforge.flow",
    "reports.documents",
    "reports.text",
    "reports.studies.demo",
    "tests.reports.tiny_demo",
)
"""What any command loads."""
OF_MODELS = (
    *("lamforge.cli.commands", "lamforge.flow.compress", "lamforge.flow.compile"),
    *("reports.documents.model", "reports.text.model", "reports.documents.programs", "reports.text.programs"),
)
"""What compress and compile load."""


class Forks:
    """The process from which commands are forked, one at a time."""

    def __init__(self, modules: Sequence[str]) -> None:
        root = str(Path(__file__).parents[2])
        environment = os.environ | {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.lamforge.forked", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            env=environment,
        )
        self._answer()

    def start(self, folder: Path, arguments: Sequence[str] = (), *, demo: Path | None = None) -> "Started":
        """Start a command in a folder."""
        assert self._server.stdin is not None
        self._server.stdin.write(
            json.dumps({"folder": str(folder), "arguments": [*arguments], "demo": demo and str(demo)}).encode() + b"\n"
        )
        self._server.stdin.flush()
        return Started(self._answer(), self._answer, folder)

    def close(self) -> None:
        """End the process."""
        with self._server:
            assert self._server.stdin is not None
            self._server.stdin.close()

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


class Started:
    """A command under way; `number` is that of its process."""

    def __init__(self, number: int, answer, folder: Path) -> None:
        self.number, self._answer, self._folder = number, answer, folder

    def ended(self) -> int:
        """Wait for its end and return its exit code, or the number of the signal that ended it, negative."""
        return self._answer()

    def kill(self, number: int) -> None:
        """Send it a signal; where it has ended, nothing happens."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.number, number)

    def said(self, name: str) -> str:
        """Return what it wrote to `stdout` or `stderr`."""
        return self._folder.with_name(f"{self._folder.name}.{name}").read_text()


def _load() -> None:
    for name in sys.argv[1:]:
        module = importlib.import_module(name)
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            importlib.import_module(found.name)


def _serve() -> None:
    _load()
    # What is printed is the answers alone; of the forked processes, each has streams of its own.
    answers = os.fdopen(os.dup(1), "w")
    print(0, file=answers, flush=True)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        number = os.fork()
        if number == 0:
            answers.close()
            _call(order)
        print(number, file=answers, flush=True)
        _, status = os.waitpid(number, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _call(order) -> None:
    folder = Path(order["folder"])
    for number, name in enumerate(("stdout", "stderr"), start=1):
        os.dup2(os.open(folder.with_name(f"{folder.name}.{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    if order["demo"]:
        from lamforge.flow.verb import SILENT
        from tests.reports.tiny_demo import demo_of

        demo_of(Path(order["demo"]), folder / "demo", SILENT)
        sys.exit(0)
    from lamforge.cli.main import main

    sys.argv = ["lamforge", *order["arguments"]]
    main()


if __name__ == "__main__":
    _serve()
