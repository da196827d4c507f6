"""Cards: FPGAs with an engine in them, as what streams weights past multipliers."""

from __future__ import annotations

import dataclasses

from hwsim.offload.devices.device import Device, Family, refuse_unless
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, OperationsPerSecond, Seconds, Watts

__all__ = ["CARDS", "Card"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card(Device):
    """An FPGA card with an engine in it."""

    memory: Sourced[Bytes]
    """On the card."""
    memory_rate: Sourced[BytesPerSecond]
    """Of its memory."""
    memory_share: Sourced[float]
    """Of that rate, on the engine's reads."""
    peak: Sourced[OperationsPerSecond]
    """Of all multipliers."""
    rows: Sourced[Count]
    """Tokens that one pass over the weights serves at most."""
    token_cost: Sourced[Seconds]
    """Of a token in a layer, beside streaming: what waits on results."""
    power: Sourced[Watts]
    """At work."""

    def __post_init__(self) -> None:
        share = self.memory_share.value
        refuse_unless(0 < share <= 1, f"Card {self.name} memory_share", "above 0 and at most 1", f"{share:g}")


CARDS = Family("Card", "cards", Card)
