"""The mover: everything that goes over the side port."""

from rtl.mover.memories import Landing
from rtl.mover.unit import Mover

__all__ = ["Landing", "Mover"]
