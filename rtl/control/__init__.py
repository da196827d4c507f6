"""Control: the sequencer with its queues and tokens, and the AXI4-Lite registers."""

from rtl.control.axi_lite import CONTROL_ADDRESS_BITS, ControlRegisters, axi_lite_members
from rtl.control.unit import CLEAR_CYCLES, Control

__all__ = ["CLEAR_CYCLES", "CONTROL_ADDRESS_BITS", "Control", "ControlRegisters", "axi_lite_members"]
