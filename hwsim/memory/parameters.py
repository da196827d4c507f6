"""The parameters of one HBM2 pseudo channel: read from a data file in which every number names its source, in memory clocks."""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction
from importlib import resources
from pathlib import Path

from hwsim.arch.spec_files import read_spec
from hwsim.errors import SpecError
from hwsim.sourced import sourced

__all__ = ["TIMES", "Hbm2Parameters", "hbm2_parameters", "load_hbm2"]

_GEOMETRY = ("atom_bytes", "row_bytes", "bank_groups", "banks_per_group")
_NS = ("t_rcd", "t_rp", "t_ras", "t_rrd_s", "t_rrd_l", "t_faw", "t_rtp", "t_wr", "t_cl", "t_wtr", "t_refi", "t_rfc", "idle_hit")
_TCK = ("t_ccd_s", "t_ccd_l", "t_cwl", "t_turn")
_FIELDS = (
    "clock_hz",
    *_GEOMETRY,
    *(f"{name}_ns" for name in _NS),
    *(f"{name}_tck" for name in _TCK),
    "request_share_percent",
)
_MOST_BANKS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hbm2Parameters:
    """Sizes, and times in memory clocks (tCK), rounded up; names are those of JESD235. docs/engine.md says what each does."""

    clock_hz: int
    """Memory clock; two transfers a clock on 64 pins."""
    atom_bytes: int
    """Bytes of one column access."""
    row_bytes: int
    """Bytes of one row of one bank."""
    bank_groups: int
    banks_per_group: int
    request: int
    """From the cycle an address is accepted to the first clock a command for it may be given."""
    reply: int
    """From the end of an atom's transfer to its place on the port; from a write's to its response."""
    t_rcd: int
    """Activate to column command."""
    t_rp: int
    """Precharge to activate."""
    t_ras: int
    """Activate to precharge."""
    t_rrd_s: int
    """Activate to activate in another bank group."""
    t_rrd_l: int
    """Activate to activate in the same bank group."""
    t_faw: int
    """Window that holds at most four activates."""
    t_rtp: int
    """Read command to precharge."""
    t_wr: int
    """End of written data to precharge."""
    t_ccd_s: int
    """Column command to column command: the transfer of one atom."""
    t_ccd_l: int
    """The same within one bank group."""
    t_cl: int
    """Read command to data."""
    t_cwl: int
    """Write command to data."""
    t_wtr: int
    """End of written data to read command."""
    t_turn: int
    """Clocks the data bus turns round between a read's data and a write's."""
    t_refi: int
    """Refresh to refresh."""
    t_rfc: int
    """Refresh to activate."""


TIMES = tuple(field.name for field in dataclasses.fields(Hbm2Parameters) if field.name not in ("clock_hz", *_GEOMETRY))
"""Names of the parameters that are times, in the order in which both sides are told them."""


def load_hbm2(path: Path | None = None) -> Hbm2Parameters:
    """Return the parameters in a YAML file (default: the shipped hwsim/specs/memories/hbm2.yaml).

    Raises:
        SpecError: the file cannot be read, a number or its source is missing or of no known kind, or a number is impossible.
    """
    file = resources.files("hwsim.specs") / "memories" / "hbm2.yaml" if path is None else path
    data = read_spec("Memory", file, str(path), SpecError)
    if not isinstance(data, dict):
        raise SpecError(f"Memory file must be a mapping of fields, not {data!r}")
    for name in data:
        if name != "name" and name not in _FIELDS:
            raise SpecError(f"Memory field must be one of {', '.join(_FIELDS)}, not {name!r}")
    return _parameters({name: sourced(data.get(name), f"Memory field {name}", _positive).value for name in _FIELDS})


@functools.cache
def hbm2_parameters() -> Hbm2Parameters:
    """Return the shipped parameters."""
    return load_hbm2()


def _positive(value: object, subject: str) -> Fraction:
    """Return a positive number, exactly as written."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise SpecError(f"{subject} must be a positive number, not {value!r}")
    return Fraction(str(value))


def _parameters(number: dict[str, Fraction]) -> Hbm2Parameters:
    for name in ("clock_hz", *_GEOMETRY, *(f"{name}_tck" for name in _TCK)):
        if number[name].denominator != 1:
            raise SpecError(f"Memory field {name} must be a whole number, not {float(number[name])!r}")
    whole = {name: int(number[name]) for name in _GEOMETRY}
    for name, value in whole.items():
        if value & (value - 1) or value < 2:
            raise SpecError(f"Memory field {name} must be a power of two from 2 on, not {value!r}")
    if whole["bank_groups"] * whole["banks_per_group"] > _MOST_BANKS:
        banks = whole["bank_groups"] * whole["banks_per_group"]
        raise SpecError(f"Memory fields bank_groups and banks_per_group must make at most {_MOST_BANKS} banks, not {banks}")
    per_ns = number["clock_hz"] / 10**9
    times = {name: -int(-number[f"{name}_ns"] * per_ns // 1) for name in _NS}
    clocks = {name: int(number[f"{name}_tck"]) for name in _TCK}
    around = times.pop("idle_hit") - times["t_cl"] - clocks["t_ccd_s"]
    if around < 2:
        raise SpecError("Memory field idle_hit_ns must be more than CAS latency and transfer, not less")
    if times["t_refi"] <= 2 * times["t_rfc"]:
        raise SpecError("Memory field t_refi_ns must be more than twice t_rfc_ns, not less")
    request = int(around * number["request_share_percent"] / 100)
    return Hbm2Parameters(
        clock_hz=int(number["clock_hz"]), **whole, **times, **clocks, request=request, reply=around - request
    )
