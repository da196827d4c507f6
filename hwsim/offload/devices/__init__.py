"""Bought devices as data: GPUs, hosts, drives, flash arrays drives that compute and FPGA cards; every number with its source."""

from typing import Any

from hwsim.offload.devices.card import CARDS, Card
from hwsim.offload.devices.device import Device, Family
from hwsim.offload.devices.gpu import GPUS, Gpu
from hwsim.offload.devices.host import HOSTS, Host
from hwsim.offload.devices.storage import CSDS, DRIVES, FLASH, Csd, Drive, Flash

__all__ = [
    "CARDS",
    "CSDS",
    "DRIVES",
    "FAMILIES",
    "FLASH",
    "GPUS",
    "HOSTS",
    "Card",
    "Csd",
    "Device",
    "Drive",
    "Family",
    "Flash",
    "Gpu",
    "Host",
]

FAMILIES: tuple[Family[Any], ...] = (GPUS, HOSTS, DRIVES, FLASH, CSDS, CARDS)
"""Every family, in the order of the reference page."""
