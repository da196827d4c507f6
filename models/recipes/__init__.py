"""The recipes that ship, one data file each, and what a recipe's file may say."""

from typing import TYPE_CHECKING

from models.recipes.file import FILES, recipe_file

if TYPE_CHECKING:
    from models.compress import Recipe

__all__ = ["names", "recipe", "recipe_file"]


def names() -> tuple[str, ...]:
    """Return the names that `recipe` knows, in alphabetical order."""
    return tuple(FILES.names())


def recipe(name: str) -> "Recipe":
    """Return a shipped recipe; SpecError names the nearest one."""
    # Compression loads PyTorch, which takes seconds; that a recipe's file is wrong is said before.
    found = recipe_file(name)
    from models.compress import Recipe

    return Recipe.of(found, name=name)
