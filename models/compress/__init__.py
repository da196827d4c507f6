"""From a checkpoint to integers: recipes, methods, grids and calibration; start at `compress`, add methods in `methods`."""

from models.compress.methods import METHODS
from models.compress.pipeline import Progress, compress
from models.compress.recipe import CalibrationSettings, Recipe, Step
from models.compress.state import FolderState, State, only_writer

__all__ = ["METHODS", "CalibrationSettings", "FolderState", "Progress", "Recipe", "State", "Step", "compress", "only_writer"]
