"""A copy of the rooms to which a test adds something: links to the rooms' own files, and files of its own in their place."""

import textwrap
from pathlib import Path

from tests.contributing.forks import Forks

__all__ = ["ROOT", "Tree"]

ROOT = Path(__file__).parents[2]
ROOMS = ("hwsim", "models", "compiler", "rtl", "testbenches", "lamforge", "reports", "tests", "docs")


class Tree:
    """The rooms below a folder. A folder is linked until something in it changes; then it holds links of its own.

    What Python and Numba keep of files is found through the links, so that only folders with changes are compiled again.
    """

    def __init__(self, folder: Path, forks: Forks):
        self.folder, self._forks = folder, forks
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
        exit_code, said = self._forks.run(self.folder, textwrap.dedent(code))
        assert exit_code == 0, said
        return said.strip()

    def refusal(self, code: str) -> str:
        """Run Python that fails in the copy, and return the last line of what it says."""
        exit_code, said = self._forks.run(self.folder, textwrap.dedent(code))
        assert exit_code, f"{code!r} must fail, not print {said!r}"
        return said.strip().splitlines()[-1]

    def lamforge(self, *words: str) -> str:
        """Run the command in the copy and return what it prints."""
        return self.python(f"from lamforge.cli.main import main\nmain({words!r})")

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
            if entry.name != "__pycache__":
                (folder / entry.name).symlink_to(entry)
