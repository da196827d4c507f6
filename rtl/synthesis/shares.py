"""What one super logic region (SLR) of a board holds of an engine."""

import dataclasses
from collections.abc import Mapping

__all__ = ["SlrShare"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlrShare:
    """What one super logic region (SLR) would hold, beside what its shell leaves free; both by name of the resource."""

    name: str
    tiles: int
    used: Mapping[str, float]
    free: Mapping[str, int]

    @property
    def shares(self) -> dict[str, float | None]:
        """The part of what is free that is used; None where nothing is free."""
        return {name: self.used[name] / free if free else None for name, free in self.free.items()}
