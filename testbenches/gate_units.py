"""The units of an engine whose netlists are compared with their Verilog, each by itself."""

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from hwsim.arch.config import EngineConfig
from rtl.control.sequencer import Sequencer as ControlSequencer
from rtl.control.unit import Control
from rtl.fetch import StreamPort
from rtl.matrix.drain import Drain, LaneTree
from rtl.matrix.epilogue import Epilogue
from rtl.matrix.lane import Decoder
from rtl.matrix.sequencer import Sequencer as MatrixSequencer
from rtl.matrix.slice import Slice
from rtl.mover import Mover
from rtl.synthesis.netlists import mapped
from rtl.synthesis.yosys import Module, modules_of
from rtl.vector.lane import Coder, Lane
from rtl.verilog import PRIMITIVES, convert
from testbenches.gate_streams import random_stimuli
from testbenches.gates import GateBench, Verdict

__all__ = ["UNITS", "GateUnit"]

UNITS: Mapping[str, Callable[[EngineConfig], wiring.Component]] = {
    "slice": Slice,
    "decoder": lambda config: Decoder(),
    "drain": Drain,
    "lane_tree": LaneTree,
    "epilogue": Epilogue,
    "matrix_sequencer": MatrixSequencer,
    "vector_lane": Lane,
    "vector_coder": Coder,
    "stream_port": StreamPort,
    "mover": Mover,
    "control_sequencer": ControlSequencer,
    "control": Control,
}
"""Component of each unit by name. Its netlist has all that it consists of."""


class GateUnit:
    """A unit of an engine, its netlist, and the bench that has both."""

    def __init__(self, name: str, config: EngineConfig, cache: Path = Path("build/synthesis")) -> None:
        """`name` is one of UNITS; `cache` keeps netlists."""
        self.name, self.config, self._cache = name, config, cache
        self._component = UNITS[name](config)

    @functools.cached_property
    def modules(self) -> Mapping[str, Module]:
        """Its Verilog modules by name."""
        return modules_of([convert(self._component, self.name), PRIMITIVES["ram.v"]])

    @functools.cached_property
    def netlist(self) -> str:
        """It after technology mapping; the first use runs Yosys and raises MachineError where it is missing."""
        return mapped(self.modules, self.name, self._cache)

    @property
    def fields(self) -> dict[str, tuple[int, ...]]:
        """Widths of the fields of each port that has some, by the port's name in Verilog."""
        flat = self._component.signature.flatten(self._component)
        shapes = (("__".join(map(str, path)), member.shape) for path, member, _ in flat)
        return {name: tuple(_widths(shape)) for name, shape in shapes if isinstance(shape, data.Layout)}

    def compare(
        self, netlists: Mapping[str, str], cycles: int, seed: int, folder: Path = Path("build/gates")
    ) -> dict[str, Verdict]:
        """Return the verdict on each of some netlists of this unit after random stimuli."""
        bench = GateBench(self.modules, self.name, netlists, folder)
        names = {port.name for port in bench.inputs}
        fields = {name: widths for port, widths in self.fields.items() if (name := _written(port, names))}
        return bench.run(random_stimuli(bench.inputs, cycles, seed, fields))


def _widths(shape: object) -> Iterator[int]:
    """Yield the widths of the fields of a shape, inner ones for themselves, from the lowest bit on."""
    if isinstance(shape, data.StructLayout):
        for inner in shape.members.values():
            yield from _widths(inner)
    elif isinstance(shape, data.ArrayLayout):
        for _ in range(shape.length):
            yield from _widths(shape.elem_shape)
    else:
        yield Shape.cast(shape).width


def _written(port: str, names: set[str]) -> str | None:
    """Return a port as Verilog writes it, None where it is no input."""
    return next((name for name in (port, f"\\{port}") if name in names), None)
