"""The trainings that ship, one folder each, with the parts of the result and the training's own report."""

from importlib import resources
from pathlib import Path

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest

__all__ = ["NAMES", "locate"]

_FOLDER = Path(str(resources.files(__name__)))

NAMES = tuple(sorted(path.parent.name for path in _FOLDER.glob("*/report.json")))


def locate(name: str) -> Path:
    """Return the folder of a training that ships, or the one that `name` is the path of.

    SpecError when it is neither.
    """
    if name in NAMES:
        return _FOLDER / name
    if not Path(name).is_dir():
        raise SpecError(f"Result of a training must be a folder or {nearest(name, NAMES)}, not {shown(name)}")
    return Path(name)
