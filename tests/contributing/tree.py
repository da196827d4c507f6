"""A copy of the rooms to which a test adds something: links to the rooms' own files, and files of its own in their place."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["ROOT", "Tree"]

ROOT = Path(__file__).parents[2]
ROOMS = ("hwsim", "models", "compiler", "rtl", "testbenches", "lamforge", "reports", "tests", "docs")


class Tree:
    """The rooms below a folder. A folder is linked until something in it changes; then it holds links of its own.

    What Python and Numba keep of a file that is not changed is found through the links, so that nothing is compiled again.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for room in ROOMS:
            (folder / room).symlink_to(ROOT / room)

    def write(self, name: str, text: str) -> None:
        """Write a file, new or in place of the rooms' own."""
        path = self.folder / name
        self._own(path.parent)
        assert path.parent.resolve().is_relative_to(self.folder.resolve()), f"{name} must lie in the copy"
        path.unlink(missing_ok=True)
        path.write_text(text)

    def copy(self, name: str, target: str, *changes: tuple[str, str]) -> None:
        """Copy a file with changes: texts, each of which it holds, and what replaces them."""
        text = (self.folder / name).read_text()
        for old, new in changes:
            assert old in text, f"{name} must hold {old!r}"
            text = text.replace(old, new)
        self.write(target, text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that a file holds once."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{name} must hold {old!r} once"
        self.write(name, text.replace(old, new))

    def after(self, name: str, line: str, more: str) -> None:
        """Add a line behind another one, with its indentation."""
        found = [each for each in (self.folder / name).read_text().splitlines() if each.strip() == line]
        assert len(found) == 1, f"{name} must hold the line {line!r} once"
        self.edit(name, f"{found[0]}\n", f"{found[0]}\n{found[0].removesuffix(line)}{more}\n")

    def python(self, code: str) -> str:
        """Run Python in the copy and return what it prints."""
        done = self._run("-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def lamforge(self, *words: str) -> str:
        """Run the command in the copy and return what it prints."""
        done = self._run("-m", "lamforge", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, code: str) -> str:
        """Run Python that fails in the copy, and return the last line of what it says."""
        done = self._run("-c", code)
        assert done.returncode != 0, f"{code!r} must fail, not print {done.stdout!r}"
        return done.stderr.strip().splitlines()[-1]

    def failures(self, *tests: str) -> list[str]:
        """Run tests in the copy, and return the names of those that fail."""
        done = self._run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "-rfE", *tests)
        assert done.returncode in (0, 1, 2), done.stdout + done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return [line.split()[1].rpartition("::")[2] for line in lines]

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        command: Sequence[str] = [sys.executable, *words]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def _own(self, folder: Path) -> None:
        """Make a folder of the copy one of its own, whose entries are links."""
        if folder == self.folder:
            return
        self._own(folder.parent)
        linked = folder.resolve() if folder.is_symlink() else None
        if linked is not None:
            folder.unlink()
        folder.mkdir(exist_ok=True)
        for entry in linked.iterdir() if linked is not None else ():
            if entry.name == "__pycache__":
                shutil.copytree(entry, folder / entry.name)
            else:
                (folder / entry.name).symlink_to(entry)
