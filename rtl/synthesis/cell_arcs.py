"""What a cell of UltraScale+ is to timing: where paths begin and end at it, and how they go through it."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator

from hwsim.errors import MachineError, shown
from hwsim.sourced import Sourced
from rtl.synthesis.delays import Delays
from rtl.synthesis.mapped import Cell

__all__ = ["CellArc", "CellEnd", "Use", "arcs_of", "begins_of", "ends_of", "held_at", "is_register_data", "use_of"]

_DSP_INPUT_REGISTERS = {"A": "AREG", "B": "BREG", "C": "CREG", "D": "DREG", "CARRYIN": "CARRYINREG"}
_DSP_FACTORS = ("A", "B", "D", "ACIN", "BCIN")
_DSP_ADDENDS = ("C", "PCIN", "CARRYIN", "CARRYCASCIN", "MULTSIGNIN")
_DSP_CASCADES = ("ACIN", "BCIN", "PCIN", "CARRYCASCIN", "MULTSIGNIN")
_REGISTERS = ("FDRE", "FDSE", "FDCE", "FDPE")
_RESETS = ("R", "S", "CLR", "PRE")
_LUTS = ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "INV")
_CARRIES = ("CARRY4", "CARRY8")
_MUXES = ("MUXF7", "MUXF8", "MUXF9")
_LOGIC = (*_LUTS, "LUT6_2", *_CARRIES, *_MUXES)
"""Cells without registers."""


@dataclasses.dataclass(frozen=True, slots=True)
class CellArc:
    """A way through a cell from a bit to another.

    Attributes:
        levels: look-up tables in it, 0 or 1.
        carries: cells of a carry chain in it, 0 or 1.
        nets: wires that lead to it and take time, 0 or 1.
        delay_ps: of the cell alone.
    """

    start: int
    end: int
    levels: int
    carries: int
    nets: int
    delay_ps: int


@dataclasses.dataclass(frozen=True, slots=True)
class CellEnd:
    """Where paths begin or end: the bit at it, its pin, wires that lead to it, and what it takes beside the way."""

    bit: int
    pin: str
    nets: int
    delay_ps: int


class Use:
    """What a load takes a net for."""

    CLOCK, RESET, DATA = range(3)


def use_of(cell: Cell, pin: str) -> int:
    """Return which of Use the pin of a cell is."""
    if pin in ("C", "CLK", "WCLK") or pin.startswith("CLK"):
        return Use.CLOCK
    if (cell.kind in _REGISTERS and pin in _RESETS) or pin.startswith("RST"):
        return Use.RESET
    return Use.DATA


def is_register_data(cell: Cell, pin: str) -> bool:
    """Return whether the pin is what a register takes at its clock."""
    return cell.kind in _REGISTERS and pin == "D"


def held_at(cell: Cell, pin: str, value: int) -> int | None:
    """Return what a look-up table gives while a pin is at a value, whatever its other pins are; None where these decide."""
    if cell.kind not in _LUTS or "INIT" not in cell.parameters:
        return None
    return _held(cell.parameters["INIT"], int(pin.removeprefix("I")), value)


@functools.cache
def _held(digits: str, pin: int, value: int) -> int | None:
    """Return the digit that a table has wherever the pin is at the value; the digit for all pins at 0 is the last."""
    found = {digit for place, digit in enumerate(reversed(digits)) if place >> pin & 1 == value}
    return int(found.pop()) if len(found) == 1 else None


def arcs_of(cell: Cell, delays: Delays) -> Iterator[CellArc]:
    """Yield the ways through a cell."""
    if cell.kind in _LUTS:
        yield from _all(cell, cell.inputs, cell.outputs, levels=1, nets=1, delay=delays.lut)
    elif cell.kind in _MUXES:
        yield from _all(cell, cell.inputs, cell.outputs, levels=0, nets=0, delay=delays.mux)
    elif cell.kind == "LUT6_2":
        yield from _double_table(cell, delays)
    elif cell.kind in _CARRIES:
        yield from _carry(cell, delays)
    elif cell.kind.startswith("SRL") or _is_distributed(cell):
        for output in cell.outputs:
            yield from _all(cell, _read_addresses(cell, output), [output], levels=1, nets=1, delay=delays.lut)
    elif cell.kind == "DSP48E2" and not _is_set(cell, "PREG"):
        for pin in cell.inputs:
            is_factor = pin in _DSP_FACTORS
            if not _has_register(cell, pin) and not (is_factor and _is_set(cell, "MREG")):
                delay = delays.dsp_through if is_factor else delays.dsp_addend_through
                yield from _all(cell, [pin], ("P", "PCOUT"), levels=0, nets=_nets(pin), delay=delay)


def begins_of(cell: Cell, delays: Delays) -> Iterator[CellEnd]:
    """Yield the outputs of a cell at which paths begin; raise MachineError for a cell whose delays are unknown."""
    for pin, bits in cell.outputs.items():
        delay = _delay_out(cell, pin, delays)
        if delay is not None:
            yield from (CellEnd(bit=bit, pin=pin, nets=0, delay_ps=delay.value) for bit in bits if bit is not None)


def ends_of(cell: Cell, delays: Delays) -> Iterator[CellEnd]:
    """Yield the inputs of a cell at which paths end; a clock is none."""
    for pin, bits in cell.inputs.items():
        delay = None if use_of(cell, pin) == Use.CLOCK else _delay_in(cell, pin, delays)
        if delay is not None:
            yield from (CellEnd(bit=bit, pin=pin, nets=_nets(pin), delay_ps=delay.value) for bit in bits if bit is not None)


def _delay_out(cell: Cell, pin: str, delays: Delays) -> Sourced[int] | None:
    kind = cell.kind
    if kind in _LOGIC:
        return None
    if kind in _REGISTERS:
        return delays.register_out
    if kind.startswith("SRL") or _is_distributed(cell):
        return delays.shift_out
    if kind.startswith("RAMB"):
        return _block_ram_out(cell, pin, delays)
    if kind == "URAM288":
        return _ultra_ram_out(cell, pin, delays)
    if kind == "DSP48E2":
        return _dsp_out(cell, delays)
    raise MachineError(f"Synthesized cell must be one whose delays are known, not {shown(kind)}")


def _block_ram_out(cell: Cell, pin: str, delays: Delays) -> Sourced[int] | None:
    data = re.fullmatch(r"(?:CAS)?DOUTP?([AB])\w*", pin)
    if data is None:
        return None
    return delays.block_ram_register_out if _is_set(cell, f"DO{data[1]}_REG") else delays.block_ram_out


def _ultra_ram_out(cell: Cell, pin: str, delays: Delays) -> Sourced[int] | None:
    data = re.fullmatch(r"(?:CAS_OUT_)?DOUT_([AB])", pin)
    if data is None:
        return None
    if _is_set(cell, f"OREG_{data[1]}"):
        return delays.ultra_ram_register_out
    return delays.ultra_ram_a_out if data[1] == "A" else delays.ultra_ram_b_out


def _dsp_out(cell: Cell, delays: Delays) -> Sourced[int] | None:
    if _is_set(cell, "PREG"):
        return delays.dsp_out
    if _is_set(cell, "MREG"):
        return delays.dsp_product_out
    used = (pin for pin in _DSP_INPUT_REGISTERS if any(bit is not None for bit in cell.inputs.get(pin, ())))
    return delays.dsp_input_out if any(_has_register(cell, pin) for pin in used) else None


def _delay_in(cell: Cell, pin: str, delays: Delays) -> Sourced[int] | None:
    kind = cell.kind
    if kind in _LOGIC:
        return None
    if kind in _REGISTERS:
        return delays.register_in if pin == "D" else delays.register_enable
    if kind.startswith("SRL") or _is_distributed(cell):
        return None if _only_reads(cell, pin) else delays.shift_in
    if kind.startswith("RAMB"):
        return delays.block_ram_in
    if kind == "URAM288":
        return delays.ultra_ram_in
    return _dsp_in(cell, pin, delays)


def _dsp_in(cell: Cell, pin: str, delays: Delays) -> Sourced[int] | None:
    is_factor = pin in _DSP_FACTORS
    if not (is_factor or pin in _DSP_ADDENDS) or _has_register(cell, pin):
        return delays.dsp_in
    if is_factor and _is_set(cell, "MREG"):
        return delays.dsp_product_in
    if not _is_set(cell, "PREG"):
        return None
    return delays.dsp_sum_in if is_factor else delays.dsp_addend_in


def _is_set(cell: Cell, parameter: str) -> bool:
    """Return whether a parameter that switches a register on does so; where it is not given, that of a DSP or block RAM does."""
    value = cell.parameters.get(parameter, "FALSE" if cell.kind == "URAM288" else "1")
    return value == "TRUE" or "1" in value


def _has_register(cell: Cell, pin: str) -> bool:
    """Return whether a data input of a DSP has a register of its own; control inputs are taken to have one."""
    if pin in _DSP_INPUT_REGISTERS:
        return _is_set(cell, _DSP_INPUT_REGISTERS[pin])
    return pin not in _DSP_FACTORS and pin not in _DSP_ADDENDS


def _nets(pin: str) -> int:
    """Return 1 for a pin to which a wire leads, 0 for one that the neighbour in the column drives."""
    return int(pin not in _DSP_CASCADES)


def _is_distributed(cell: Cell) -> bool:
    return cell.kind.startswith("RAM") and not cell.kind.startswith("RAMB")


def _read_addresses(cell: Cell, output: str) -> list[str]:
    """Return the address pins of an output of a shift register or a distributed memory."""
    if output.startswith("DO"):
        return [pin for pin in cell.inputs if pin == f"ADDR{output[2:]}"]
    letters = {"DPO": "DPRA", "SPO": "A", "O": "A", "Q": "A"}.get(output)
    return [] if letters is None else [pin for pin in cell.inputs if re.fullmatch(rf"{letters}\d*", pin)]


def _only_reads(cell: Cell, pin: str) -> bool:
    """Return whether a pin is an address that nothing is written to: in memories of several ports the last port writes."""
    if cell.kind.startswith("SRL"):
        return pin.startswith("A")
    return pin.startswith("DPRA") or (
        pin.startswith("ADDR") and pin != max(each for each in cell.inputs if each.startswith("ADDR"))
    )


def _all(
    cell: Cell, inputs: Iterable[str], outputs: Iterable[str], *, levels: int, nets: int, delay: Sourced[int]
) -> Iterator[CellArc]:
    """Yield the ways from all bits of some pins to all bits of others."""
    ends = [bit for pin in outputs for bit in cell.outputs.get(pin, ()) if bit is not None]
    for pin in inputs:
        for start in cell.inputs[pin]:
            if start is not None:
                for end in ends:
                    yield CellArc(start, end, levels, 0, nets, delay.value)


def _double_table(cell: Cell, delays: Delays) -> Iterator[CellArc]:
    """Yield the ways through a look-up table of two outputs, each from the inputs that it depends on."""
    table = int(cell.parameters["INIT"], 2)
    is_upper = cell.inputs["I5"] == (None,)
    for output, size, rows in (("O5", 5, table), ("O6", 5 if is_upper else 6, table >> 32 if is_upper else table)):
        for place in range(size):
            if any((rows >> row ^ rows >> (row ^ 1 << place)) & 1 for row in range(1 << size)):
                yield from _all(cell, [f"I{place}"], [output], levels=1, nets=1, delay=delays.lut)


def _carry(cell: Cell, delays: Delays) -> Iterator[CellArc]:
    """Yield the ways through the bits of a carry chain: to the sum and the carry of the same place and of those above it."""
    sums, carries = cell.outputs["O"], cell.outputs["CO"]
    starts = [(pin, place, bit) for pin in ("S", "DI") for place, bit in enumerate(cell.inputs.get(pin, ()))]
    starts += [(pin, 0, bit) for pin in ("CI", "CYINIT") for bit in cell.inputs.get(pin, ())]
    for pin, place, start in starts:
        if start is None:
            continue
        is_chain = pin == "CI"
        # The data of a place goes into its carry alone.
        first_sum = place + 1 if pin == "DI" else place
        into_sum = delays.carry_leave if is_chain else delays.carry_through
        into_carry = delays.carry_step if is_chain else delays.carry_enter
        for ends, first, delay in ((sums, first_sum, into_sum), (carries, place, into_carry)):
            for end in ends[first:]:
                if end is not None:
                    yield CellArc(start, end, 0, 1, 0, delay.value)
