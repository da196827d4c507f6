"""How a checkpoint becomes integers: recipes, methods, grids, calibration; start at `compress`, add to `methods`."""

from models.compress.methods import METHODS
from models.compress.pipeline import Progress, Watcher, compress
from models.compress.recipe import Recipe, Step
from models.compress.state import FolderState, State, clear_work
from models.recipes.file import CalibrationSettings

__all__ = [
    "METHODS",
    "CalibrationSettings",
    "FolderState",
    "Progress",
    "Recipe",
    "State",
    "Step",
    "Watcher",
    "clear_work",
    "compress",
]
