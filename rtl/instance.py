"""How a circuit that occurs many times is converted to Verilog once and instantiated by name everywhere."""

from typing import Any, ClassVar

from amaranth import ClockSignal, Instance, Module, ResetSignal
from amaranth.back import verilog
from amaranth.lib import wiring

from hwsim.arch.config import EngineConfig

__all__ = ["Shared", "place", "verilog_module"]


class Shared(wiring.Component):
    """Base of a component that depends on the configuration alone and is converted once, as Verilog module `module`."""

    module: ClassVar[str]

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(self.ports(config))

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        """Return the members of the component's signature."""
        raise NotImplementedError


def verilog_module(component: Shared) -> str:
    """Return the Verilog of a component; the names of its inner modules start with its own."""
    return verilog.convert(component, name=component.module, strip_internal_attrs=True)


def place(m: Module, name: str, kind: type[Shared], config: EngineConfig, *, inline: bool) -> Any:
    """Add a component of class `kind` to `m` as submodule `name`; return the object that has its port signals.

    With `inline` it is the component itself, as Amaranth's simulator needs it; otherwise an instance of its Verilog module.
    """
    if inline:
        m.submodules[name] = component = kind(config)
        return component
    signature = wiring.Signature(kind.ports(config))
    interface = signature.create(path=(name,))
    connections = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    for path, member, value in signature.flatten(interface):
        direction = "o" if member.flow is wiring.Out else "i"
        connections[f"{direction}_{'__'.join(map(str, path))}"] = value
    m.submodules[name] = Instance(kind.module, **connections)
    return interface
