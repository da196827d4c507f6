"""Delays of the cells of a speed grade, each with its source, and of the wires between them."""

import dataclasses
from typing import Annotated

from hwsim.errors import SpecError
from hwsim.reader import NAME, Limits, SpecFiles, read
from hwsim.sourced import Sourced

__all__ = ["Delays", "load_delays"]

_FILES = SpecFiles("Delays", "speed_grades", SpecError, package="rtl.synthesis")

Picoseconds = Sourced[Annotated[int, Limits(1, 100_000)]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delays:
    """Delays of a speed grade in picoseconds; `rtl/synthesis/speed_grades` holds those that are shipped."""

    name: Annotated[str, NAME]
    """Name of the file, such as `ultrascale-plus-2`."""
    part: str
    """Family and speed grade, as people write it."""
    lut: Picoseconds
    """Through a look-up table."""
    mux: Picoseconds
    """Through a multiplexer behind look-up tables."""
    carry_enter: Picoseconds
    """From a look-up table to the carry output of its cell."""
    carry_step: Picoseconds
    """From carry input to carry output of four bits."""
    carry_leave: Picoseconds
    """From carry input to a sum."""
    carry_through: Picoseconds
    """From a look-up table to a sum of the same cell."""
    register_out: Picoseconds
    """From the clock to the output of a register."""
    register_in: Picoseconds
    """Before the clock at the data of a register."""
    register_enable: Picoseconds
    """Before the clock at the enable or reset of a register."""
    shift_out: Picoseconds
    """From the clock to the output of a shift register or a distributed memory."""
    shift_in: Picoseconds
    """Before the clock at a shift register or a distributed memory."""
    block_ram_out: Picoseconds
    """From the clock to the data of a block RAM."""
    block_ram_register_out: Picoseconds
    """The same with its output register."""
    block_ram_in: Picoseconds
    """Before the clock at a block RAM."""
    ultra_ram_a_out: Picoseconds
    """From the clock to the data of port A of an UltraRAM."""
    ultra_ram_b_out: Picoseconds
    """From the clock to the data of port B, which works after port A in a cycle."""
    ultra_ram_register_out: Picoseconds
    """The same with its output register."""
    ultra_ram_in: Picoseconds
    """Before the clock at an UltraRAM."""
    dsp_out: Picoseconds
    """From the clock to the output register of a DSP."""
    dsp_product_out: Picoseconds
    """From the register of the product to the output without a register there."""
    dsp_input_out: Picoseconds
    """From input registers to the output without registers between them."""
    dsp_in: Picoseconds
    """Before the clock at a DSP input with a register."""
    dsp_product_in: Picoseconds
    """Before the clock at a factor without a register, where the product has one."""
    dsp_sum_in: Picoseconds
    """Before the clock at a factor, where only the output has a register."""
    dsp_addend_in: Picoseconds
    """Before the clock at an addend without a register, where the output has one."""
    dsp_through: Picoseconds
    """From a factor to the output where there is no register."""
    dsp_addend_through: Picoseconds
    """From an addend to the output where there is no register."""
    net: Picoseconds
    """A wire from one cell to another, not between neighbours of one carry chain or DSP column."""
    wire_share: Sourced[Annotated[float, Limits(above=0, below=1)]]
    """Least share of a path's delay that its wires are taken for."""


def load_delays(name: str = "ultrascale-plus-2") -> Delays:
    """Return shipped delays by name, or those in a YAML file by path; raise SpecError."""
    return read(Delays, _FILES.read(name), "Delays", SpecError)
