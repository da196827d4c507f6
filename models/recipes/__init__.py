"""Knows the recipes that ship, one data file each."""

from importlib import resources

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from models.compress.recipe import Recipe

__all__ = ["names", "recipe"]


def names() -> tuple[str, ...]:
    """Return the names that `recipe` knows, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in files if entry.name.endswith(".yaml")))


def recipe(name: str) -> Recipe:
    """Return a shipped recipe; SpecError names the nearest one."""
    known = names()
    if name not in known:
        raise SpecError(f"Recipe must be {nearest(name, known)}, not {shown(name)}")
    text = (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
    return Recipe.from_yaml(text, name=name)
