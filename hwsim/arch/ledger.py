"""What a piece of work costs: bytes per memory tier and direction, arithmetic, gathers and sorts."""

from collections.abc import Iterable
from dataclasses import dataclass

from hwsim.errors import SpecError

__all__ = ["Ledger", "Traffic"]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bytes that crossed the border of one memory tier.

    tier: name of the memory, for example "device", "host" or "storage".
    read_bytes, write_bytes: bytes taken from it and put into it.
    """

    tier: str
    read_bytes: int = 0
    write_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("read_bytes", "write_bytes"):
            _check_count(f"Traffic {name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What some work moved and computed; ledgers add.

    traffic: at most one entry per tier.
    multiply_accumulates: scalar products accumulated.
    gathers: reads of runs that do not follow the previous run in memory.
    sorts: values that passed through a sort or a top-k selection.
    """

    traffic: tuple[Traffic, ...] = ()
    multiply_accumulates: int = 0
    gathers: int = 0
    sorts: int = 0

    def __post_init__(self) -> None:
        for name in ("multiply_accumulates", "gathers", "sorts"):
            _check_count(f"Ledger {name}", getattr(self, name))
        tiers = [entry.tier for entry in self.traffic]
        for tier in tiers:
            if tiers.count(tier) > 1:
                raise SpecError(f"Ledger tier must appear once, not {tiers.count(tier)} times: {tier!r}")

    def __add__(self, other: "Ledger") -> "Ledger":
        return Ledger(
            traffic=_merge(self.traffic + other.traffic),
            multiply_accumulates=self.multiply_accumulates + other.multiply_accumulates,
            gathers=self.gathers + other.gathers,
            sorts=self.sorts + other.sorts,
        )

    def read_bytes(self, tier: str | None = None) -> int:
        """Return the bytes read from `tier`, or from all tiers."""
        return sum(entry.read_bytes for entry in self.traffic if tier in (None, entry.tier))

    def write_bytes(self, tier: str | None = None) -> int:
        """Return the bytes written to `tier`, or to all tiers."""
        return sum(entry.write_bytes for entry in self.traffic if tier in (None, entry.tier))


def _merge(entries: Iterable[Traffic]) -> tuple[Traffic, ...]:
    merged: dict[str, Traffic] = {}
    for entry in entries:
        before = merged.get(entry.tier, Traffic(tier=entry.tier))
        merged[entry.tier] = Traffic(
            tier=entry.tier, read_bytes=before.read_bytes + entry.read_bytes, write_bytes=before.write_bytes + entry.write_bytes
        )
    return tuple(merged.values())


def _check_count(subject: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(f"{subject} must be a non-negative integer, not {value!r}")
