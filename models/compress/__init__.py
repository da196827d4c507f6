"""Knows how a checkpoint becomes integers: recipes, grids, rounding, calibration; start at `compress`."""

from models.compress.pipeline import Progress, compress
from models.compress.recipe import METHODS, CalibrationSettings, Recipe

__all__ = ["METHODS", "CalibrationSettings", "Progress", "Recipe", "compress"]
