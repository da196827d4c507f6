"""Instances of circuits that occur many times: each circuit is converted to Verilog once and instantiated by name."""

from typing import Any, ClassVar

from amaranth import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring

from hwsim.arch.config import EngineConfig

__all__ = ["Shared", "place"]


class Shared(wiring.Component):
    """Base of a component that depends on the configuration alone and is converted once, as Verilog module `module`.

    `inline` says how it holds other shared components: itself, or as instances.
    """

    module: ClassVar[str]

    def __init__(self, config: EngineConfig, *, inline: bool = False):
        self.config, self.inline = config, inline
        super().__init__(self.ports(config))

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        """Return the members of the component's signature."""
        # Every shared component declares its own ports.
        raise NotImplementedError


def place(m: Module, name: str, kind: type[Shared], config: EngineConfig, *, inline: bool) -> Any:
    """Add a component of class `kind` to `m` as submodule `name`; return the object that has its port signals.

    With `inline` it is the component itself, as Amaranth's simulator needs it; otherwise an instance of its module.
    """
    if inline:
        m.submodules[name] = component = kind(config, inline=True)
        return component
    signature = wiring.Signature(kind.ports(config))
    interface = signature.create(path=(name,))
    connections = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    for path, member, value in signature.flatten(interface):
        direction = "o" if member.flow is wiring.Out else "i"
        connections[f"{direction}_{'__'.join(map(str, path))}"] = value
    m.submodules[name] = Instance(kind.module, **connections)
    return interface
