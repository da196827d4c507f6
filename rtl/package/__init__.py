"""The Vitis RTL-kernel package of an engine: what an engineer with the vendor's tools needs to build it for a board."""

from rtl.package.files import package_files
from rtl.package.target import Target

__all__ = ["Target", "package_files"]
