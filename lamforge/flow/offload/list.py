"""What can be asked of offloading: systems, formats and networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hwsim.offload.systems import names, system
from lamforge.flow.listener import SILENT, Listener
from lamforge.flow.offload.formats import FORMATS, WorkFormat
from models.networks import names as network_names

__all__ = ["ListRequest", "Listing", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListRequest:
    """Nothing has to be said."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """Names that may be used, in the order of their files.

    Attributes:
        systems: titles by the name of the system.
        formats: bits by the name of the format.
        networks: names of networks.
    """

    systems: Mapping[str, str]
    formats: Mapping[str, WorkFormat]
    networks: tuple[str, ...]


def run(request: ListRequest, listener: Listener = SILENT) -> Listing:
    """List the shipped systems, the formats and the networks that a workload may name."""
    titles = {name: system(name).title for name in names()}
    return Listing(systems=titles, formats=FORMATS, networks=tuple(network_names()))
