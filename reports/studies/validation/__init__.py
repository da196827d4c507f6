"""Estimates beside published figures: of energy, and of offloading, whose sets of rows are a file each."""

from reports.studies.validation.energy import energy
from reports.studies.validation.offload import offload

__all__ = ["energy", "offload"]
