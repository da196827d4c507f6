"""The parameters of one HBM2 pseudo channel: read from a data file in which every number names its source, in memory clocks."""

import dataclasses
import functools
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from hwsim.errors import SpecError
from hwsim.reader import Limits, SpecFiles, read
from hwsim.sourced import Sourced, facts_of

__all__ = ["AT_LEAST_A_TRANSFER", "TIMES", "Hbm2Parameters", "MemoryFile", "hbm2_facts", "hbm2_parameters", "load_hbm2"]

_GEOMETRY = ("atom_bytes", "row_bytes", "bank_groups", "banks_per_group")
_NS = ("t_rcd", "t_rp", "t_ras", "t_rrd_s", "t_rrd_l", "t_faw", "t_rtp", "t_wr", "t_cl", "t_wtr", "t_refi", "t_rfc", "idle_hit")
_TCK = ("t_ccd_s", "t_ccd_l", "t_cwl", "t_turn")
AT_LEAST_A_TRANSFER = ("t_rcd", "t_rtp", "t_ccd_l")
"""Times that are not shorter than `t_ccd_s`: the laws count on it."""
_FILES = SpecFiles("Memory", "memories", SpecError)
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


_Size = Sourced[Annotated[int, Limits(2, 1 << 20, is_power=True)]]
_Time = Sourced[Annotated[float, Limits(above=0)]]
_Clocks = Sourced[Annotated[int, Limits(1)]]
MemoryFile = dataclasses.make_dataclass(
    "MemoryFile",
    [
        ("name", str),
        ("clock_hz", _Time),
        *((name, _Size) for name in _GEOMETRY),
        *((f"{name}_ns", _Time) for name in _NS),
        *((f"{name}_tck", _Clocks) for name in _TCK),
        ("request_share_percent", Sourced[Annotated[float, Limits(0, 100)]]),
    ],
    frozen=True,
    kw_only=True,
)
"""What a file says: sizes, and times in nanoseconds or memory clocks; Hbm2Parameters says what each is."""

TIMES = tuple(field.name for field in dataclasses.fields(Hbm2Parameters) if field.name not in ("clock_hz", *_GEOMETRY))
"""Names of the parameters that are times, in the order in which both sides are told them."""


def load_hbm2(name: str = "hbm2") -> Hbm2Parameters:
    """Return the parameters of a shipped memory by name, or of the one in a YAML file by path.

    Raises:
        SpecError: the file cannot be read, a number or its source is missing or of no known kind, or a number is impossible.
    """
    stated: Any = read(MemoryFile, _FILES.read(name), "Memory", SpecError)
    number = {
        field.name: Fraction(str(getattr(stated, field.name).value)) for field in dataclasses.fields(stated) if field.name != "name"
    }
    whole = {name: int(number[name]) for name in _GEOMETRY}
    banks = whole["bank_groups"] * whole["banks_per_group"]
    if banks > _MOST_BANKS:
        raise SpecError(f"Memory bank_groups and banks_per_group must make at most {_MOST_BANKS} banks, not {banks}")
    per_ns = number["clock_hz"] / 10**9
    times = {name: -int(-number[f"{name}_ns"] * per_ns // 1) for name in _NS}
    clocks = {name: int(number[f"{name}_tck"]) for name in _TCK}
    around = times.pop("idle_hit") - times["t_cl"] - clocks["t_ccd_s"]
    if around < 2:
        raise SpecError(f"Memory idle_hit_ns must be 2 clocks or more longer than CAS latency and transfer, not {around}")
    if times["t_refi"] <= 2 * times["t_rfc"]:
        raise SpecError(f"Memory t_refi_ns must be more than twice t_rfc_ns, not {float(number['t_refi_ns']):g}")
    for name in AT_LEAST_A_TRANSFER:
        if (times | clocks)[name] < clocks["t_ccd_s"]:
            raise SpecError(
                f"Memory {name} must be at least the {clocks['t_ccd_s']} clocks of t_ccd_s, not {(times | clocks)[name]}"
            )
    request = int(around * number["request_share_percent"] / 100)
    return Hbm2Parameters(clock_hz=int(number["clock_hz"]), **whole, **times, **clocks, request=request, reply=around - request)


@functools.cache
def hbm2_parameters() -> Hbm2Parameters:
    """Return the shipped parameters."""
    return load_hbm2()


@functools.cache
def hbm2_facts() -> Mapping[str, Sourced[Any]]:
    """Return the numbers that the shipped parameters follow from, with their sources, by field of the file."""
    return facts_of(read(MemoryFile, _FILES.read("hbm2"), "Memory", SpecError))
