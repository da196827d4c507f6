"""What can be asked of offloading: systems, formats and networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hwsim.offload.systems import names, system
from lamforge.flow.offload.work_format import LISTED, WorkFormat
from models.zoo import names as network_names

__all__ = ["Listing", "list"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """Names that may be used: of systems with their titles, of parts of formats with their bits, and of networks."""

    systems: Mapping[str, str]
    formats: Mapping[str, WorkFormat]
    networks: tuple[str, ...]


def list() -> Listing:
    """List the shipped systems, the formats and the networks that a workload may name."""
    titles = {name: system(name).full_title for name in names()}
    return Listing(systems=titles, formats=LISTED, networks=tuple(network_names()))
