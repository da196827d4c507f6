"""The Vitis RTL-kernel package of an engine: what an engineer with the vendor's tools needs to build it for a board."""

from rtl.package.estimates import Estimates
from rtl.package.files import Target, floorplan_picture, package_files

__all__ = ["Estimates", "Target", "floorplan_picture", "package_files"]
