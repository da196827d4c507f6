"""The table of the sets of rows that the estimates of offloading are validated with."""

from reports.studies.validation.flash import FLASH
from reports.studies.validation.flexgen import FLEXGEN_ABLATION, FLEXGEN_BREAKDOWN, FLEXGEN_THROUGHPUT
from reports.studies.validation.fpga import FPGA_DECODE
from reports.studies.validation.gpu_measured import GPU_MEASURED_OPERATORS, GPU_MEASURED_STEPS
from reports.studies.validation.gpu_operators import GPU_OPERATORS
from reports.studies.validation.instinfer import INSTINFER_GAIN, INSTINFER_SHARE
from reports.studies.validation.pcie_measured import PCIE_MEASURED
from reports.studies.validation.pcie_packets import PCIE_PACKETS
from reports.studies.validation.row import ValidationSet
from reports.studies.validation.shadowkv import SHADOWKV_BLOCKS, SHADOWKV_THROUGHPUT
from reports.studies.validation.triforce import TRIFORCE_GAIN, TRIFORCE_LATENCY
from reports.studies.validation.zero_weights import ZERO_T4, ZERO_WEIGHTS

__all__ = ["SETS"]

SETS: tuple[ValidationSet, ...] = (
    FLEXGEN_THROUGHPUT,
    FLEXGEN_ABLATION,
    FLEXGEN_BREAKDOWN,
    ZERO_WEIGHTS,
    ZERO_T4,
    TRIFORCE_LATENCY,
    TRIFORCE_GAIN,
    SHADOWKV_THROUGHPUT,
    SHADOWKV_BLOCKS,
    INSTINFER_GAIN,
    INSTINFER_SHARE,
    FPGA_DECODE,
    FLASH,
    GPU_OPERATORS,
    GPU_MEASURED_OPERATORS,
    GPU_MEASURED_STEPS,
    PCIE_MEASURED,
    PCIE_PACKETS,
)
"""Every set, in the order in which they are printed."""
