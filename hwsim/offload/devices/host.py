"""Hosts: the machine that a GPU is in, as far as its publications say."""

import dataclasses
from typing import ClassVar

from hwsim.offload.devices.device import Device, Family, assumed
from hwsim.offload.pcie import PcieLink
from hwsim.sourced import Sourced
from hwsim.units import Bytes, BytesPerSecond, Dollars, OperationsPerSecond, Watts

__all__ = ["HOSTS", "Host"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host(Device):
    """A host; one direction where a rate has two."""

    subject: ClassVar[str] = "Host"
    folder: ClassVar[str] = "hosts"

    processor: str | None = None
    memory: Sourced[Bytes] | None = None
    """Memory of the whole host."""
    memory_rate: Sourced[BytesPerSecond] | None = None
    """Rate at which its processor reads memory in attention."""
    attention_rate: Sourced[OperationsPerSecond] | None = None
    """Rate of arithmetic that its processor reaches in attention."""
    gpu_link: Sourced[PcieLink] | None = None
    """Link to each GPU."""
    gpu_link_rate: Sourced[BytesPerSecond] | None = None
    """Rate of large copies to a GPU."""
    gpu_store_rate: Sourced[BytesPerSecond] | None = None
    """Rate of large copies from a GPU."""
    pageable_rate: Sourced[BytesPerSecond] | None = None
    """Rate of copies to a GPU from memory that is not pinned."""
    pageable_store_rate: Sourced[BytesPerSecond] | None = None
    """Rate of copies from a GPU to memory that is not pinned."""
    price: Sourced[Dollars] | None = assumed(Dollars(15000.0), "as HILOS (arXiv 2502.09921) counts a server")
    """Price of one."""
    power: Sourced[Watts] = assumed(Watts(300.0), "a server of two sockets at work, without its GPUs and drives")
    """Most power that it draws, without GPUs and drives."""

    def __post_init__(self) -> None:
        self.require_rates_of(self.gpu_link, "gpu_link_rate", "gpu_store_rate", "pageable_rate", "pageable_store_rate")


HOSTS = Family(Host)
