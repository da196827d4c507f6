"""Kinds of causes and their colours: what a reader wants to see at a glance of what binds."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.offload.gpu_time import ARITHMETIC, LAUNCHES, MEMORY, PEERS
from hwsim.offload.systems.fpga import ENGINE as CARD_ENGINE
from hwsim.offload.systems.fpga import HBM
from hwsim.offload.systems.instinfer import DRIVE_LINK, ENGINE, FLASH
from hwsim.offload.systems.system import DRIVE, FRAMEWORK, HOST, LINK, UP_LINK
from hwsim.offload.systems.triforce import DRAFT

__all__ = ["COLOURS", "KINDS", "kind_of"]

KINDS: Mapping[str, tuple[str, ...]] = {
    "memory": (MEMORY, HBM),
    "arithmetic": (ARITHMETIC, CARD_ENGINE, ENGINE, DRAFT),
    "link": (LINK, UP_LINK, DRIVE_LINK, PEERS),
    "flash": (FLASH, DRIVE),
    "host": (HOST,),
    "overhead": (LAUNCHES, FRAMEWORK),
}
"""Causes by kind."""

COLOURS: Mapping[str, str] = {
    "memory": "blue",
    "arithmetic": "amber",
    "link": "coral",
    "flash": "violet",
    "host": "green",
    "overhead": "grey",
}
"""Class of the marks of each kind."""


_KIND = {cause: kind for kind, causes in KINDS.items() for cause in causes}


def kind_of(cause: str) -> str:
    """Return the kind of a cause; raise KeyError for one that no system charges."""
    return _KIND[cause]
