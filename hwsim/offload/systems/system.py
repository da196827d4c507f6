"""What every system has: a name, a title, devices, and an answer to a workload."""

import abc
import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError, shown
from hwsim.offload.answer import Answer, Part, Tier
from hwsim.offload.devices import Device, Drive, Gpu, Host
from hwsim.offload.gpu_time import ARITHMETIC, LAUNCHES, MEMORY, PEERS
from hwsim.offload.pcie import pcie_constants
from hwsim.offload.span import Span, move
from hwsim.reader import Limits
from hwsim.sourced import Sourced, facts_of
from hwsim.units import Bytes, BytesPerSecond

__all__ = [
    "DRIVE",
    "FRAMEWORK",
    "HOST",
    "LINK",
    "UP_LINK",
    "Devices",
    "System",
    "alone",
    "carried",
    "device_fields",
    "fullest_share",
    "link_rate",
    "part_of",
    "peer_rate",
]

Devices = Annotated[int, Limits(1)]
"""How many there are of something."""
LINK, UP_LINK = "host to GPU", "GPU to host"
DRIVE, HOST, FRAMEWORK = "drive", "host processor", "framework"
"""Causes of time other than those of the GPU."""
_NUMBERS = dict(enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1))
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_CAUSES: dict[type[Device], tuple[str, ...]] = {
    Gpu: (ARITHMETIC, MEMORY, LAUNCHES, PEERS),
    Host: (HOST, FRAMEWORK, LINK, UP_LINK, DRIVE),
    Drive: (DRIVE,),
}
"""Causes during which devices of a kind work."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class System(abc.ABC):
    """A machine and the method by which it runs a model."""

    name: str
    """Name of the YAML file that the system was loaded from."""
    title: str
    """Name of the system as people write it; in place of the field of a device in braces, such as {gpu}, it says what there is."""
    most_sequences: ClassVar[float] = math.inf
    """Largest batch that the system is made for."""

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(type(self), include_extras=True).items():
            if kind == Devices and getattr(self, name) < 1:
                raise SpecError(f"System {self.name} {name} must be 1 or more, not {shown(getattr(self, name))}")
        for name in _IN_BRACES.findall(self.title):
            if name not in self.devices:
                raise SpecError(f"System {self.name} title must have one of {', '.join(self.devices)} in braces, not {shown(name)}")

    @property
    def devices(self) -> dict[str, Device]:
        """The devices that it has, by field."""
        devices = {name: getattr(self, name) for name in device_fields(type(self))}
        return {name: device for name, device in devices.items() if device is not None}

    @property
    def full_title(self) -> str:
        """The title with its devices."""

        def counted(field: re.Match[str]) -> str:
            device, number = getattr(self, field[1]), getattr(self, f"{field[1]}s", 1)
            return f"{_NUMBERS.get(number, number)} {device.title}"

        text = _IN_BRACES.sub(counted, self.title)
        return text[0].upper() + text[1:]

    @abc.abstractmethod
    def answer(self, work: Workload) -> Answer:
        """Return what the system does with a workload; its arrays make a grid of answers."""

    @property
    def constants(self) -> dict[str, Sourced[Any]]:
        """Numbers of the system itself that have a source, by field."""
        return facts_of(self)

    @property
    def assumed(self) -> tuple[str, ...]:
        """Fields of the system itself whose number is assumed."""
        return tuple(name for name, constant in self.constants.items() if constant.is_assumed)

    def answered(self, work: Workload, prefill: Span, step: Span, tiers: tuple[Tier, ...], parts: tuple[Part, ...]) -> Answer:
        """Return the answer made of its parts."""
        return Answer(system=self.name, work=work, prefill=prefill, step=step, tiers=tiers, parts=parts, assumed=self.assumed)


def alone(kind: Any) -> Any:
    """Return the type of a field without the None that it may be."""
    kinds = [each for each in typing.get_args(kind) if each is not type(None)]
    return kinds[0] if typing.get_origin(kind) in (typing.Union, types.UnionType) and len(kinds) == 1 else kind


@functools.cache
def device_fields(kind: type[System]) -> Mapping[str, type[Device]]:
    """Return the fields of a composition that hold devices."""
    hints = {name: alone(hint) for name, hint in typing.get_type_hints(kind).items()}
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Device)}


def part_of(device: Gpu | Host | Drive, count: int = 1) -> Part:
    """Return equal devices as a part of a system's answer."""
    return Part(device=device, count=count, power=device.power, causes=_CAUSES[type(device)])


def link_rate(host: Host, gpu: Gpu) -> BytesPerSecond:
    """Return the rate of large copies to a GPU: as measured on the host, or what packets leave of the link's rate."""
    if host.gpu_link_rate is not None:
        return host.gpu_link_rate.value
    link = host.gpu_link if host.gpu_link is not None else gpu.host_link
    return link.value.read_rate(pcie_constants().usual_payload.value)


def peer_rate(host: Host, gpu: Gpu) -> BytesPerSecond:
    """Return the rate at which a GPU sends to another: over links of their own, or through the host."""
    return gpu.peer_rate.value if gpu.peer_rate is not None else link_rate(host, gpu)


def fullest_share(parts: int, devices: int) -> float:
    """Return the share of what cannot be divided further, such as heads, that the device with most of it has."""
    return math.ceil(parts / devices) / parts


def carried(link: str, amount: Bytes, rate: BytesPerSecond) -> Span:
    """Return the time of a copy over a link."""
    return move(link, amount, amount / rate)
