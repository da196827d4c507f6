"""Estimates of offloading beside published figures: one file per set, which the table here lists."""

from reports.validation.flash import FLASH
from reports.validation.gpu_operators import GPU_OPERATORS
from reports.validation.pcie_measured import PCIE_MEASURED
from reports.validation.pcie_packets import PCIE_PACKETS
from reports.validation.row import Row, ValidationSet

__all__ = ["SETS", "Row", "ValidationSet"]

SETS: tuple[ValidationSet, ...] = (PCIE_PACKETS, PCIE_MEASURED, GPU_OPERATORS, FLASH)
"""Every set, in the order in which they are printed."""
