"""The Vitis RTL-kernel package of an engine: what an engineer with the vendor's tools needs to build it for a board."""

from rtl.package.files import Target, package_files

__all__ = ["Target", "package_files"]
