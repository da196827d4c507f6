"""Estimates of offloading beside published figures: one file per set, which the table here lists."""

from reports.validation.flash import FLASH
from reports.validation.flexgen import FLEXGEN_ABLATION, FLEXGEN_BREAKDOWN, FLEXGEN_THROUGHPUT
from reports.validation.gpu_measured import GPU_MEASURED_OPERATORS, GPU_MEASURED_STEPS
from reports.validation.gpu_operators import GPU_OPERATORS
from reports.validation.instinfer import INSTINFER_GAIN, INSTINFER_SHARE
from reports.validation.pcie_measured import PCIE_MEASURED
from reports.validation.pcie_packets import PCIE_PACKETS
from reports.validation.row import Row, ValidationSet
from reports.validation.shadowkv import SHADOWKV_BLOCKS, SHADOWKV_THROUGHPUT
from reports.validation.triforce import TRIFORCE_GAIN, TRIFORCE_LATENCY
from reports.validation.zero_weights import ZERO_WEIGHTS

__all__ = ["SETS", "Row", "ValidationSet"]

SETS: tuple[ValidationSet, ...] = (
    FLEXGEN_THROUGHPUT,
    FLEXGEN_ABLATION,
    FLEXGEN_BREAKDOWN,
    ZERO_WEIGHTS,
    TRIFORCE_LATENCY,
    TRIFORCE_GAIN,
    SHADOWKV_THROUGHPUT,
    SHADOWKV_BLOCKS,
    INSTINFER_GAIN,
    INSTINFER_SHARE,
    FLASH,
    GPU_OPERATORS,
    GPU_MEASURED_OPERATORS,
    GPU_MEASURED_STEPS,
    PCIE_MEASURED,
    PCIE_PACKETS,
)
"""Every set, in the order in which they are printed."""
