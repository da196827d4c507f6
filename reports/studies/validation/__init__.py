"""Estimates beside published figures: of energy, and of offloading, whose sets of rows are a file each."""

from lamforge.flow.verb import verb
from reports.studies.validation.energy import EnergyRequest
from reports.studies.validation.energy import run as _energy
from reports.studies.validation.offload import OffloadRequest
from reports.studies.validation.offload import run as _offload

__all__ = ["energy", "offload"]

energy = verb("validate.energy", EnergyRequest, _energy)
offload = verb("validate.offload", OffloadRequest, _offload)
