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
from rtl.matrix.accumulator import RowAccumulator
from rtl.matrix.broadcast import Broadcast
from rtl.matrix.drain import Drain
from rtl.matrix.epilogue import Epilogue
from rtl.matrix.front import Front
from rtl.matrix.gather import Gather, LaneTree
from rtl.matrix.lane import Decoder
from rtl.matrix.region import Region, shares_of, tiles_of
from rtl.matrix.sequencer import Sequencer as MatrixSequencer
from rtl.matrix.slice import ROW_BITS, Slice, Tile
from rtl.memories import ActivationMemory, ActivationWrite, ResidualMemory, ResultMemory
from rtl.mover.memories import Landing, Picker
from rtl.mover.unit import Mover
from rtl.regions import FAR
from rtl.synthesis.netlists import mapped
from rtl.synthesis.yosys import Module, modules_of
from rtl.vector.lane import Coder, Lane
from rtl.verilog import HAND_WRITTEN, PRIMITIVES, convert
from testbenches.gate_streams import random_stimuli
from testbenches.gates import GateBench, Verdict, ports_of

__all__ = ["UNITS", "GateUnit"]


def _farthest(config: EngineConfig) -> Region:
    """Return the region that lies farthest from the memory, without slices: a module of the same ports stands in for each."""
    name, tiles = list(tiles_of(config).items())[-1]
    return Region(config, tiles, hops=int(name == FAR), inline=False)


UNITS: Mapping[str, Callable[[EngineConfig], wiring.Component]] = {
    "slice": Slice,
    "decoder": lambda config: Decoder(),
    "accumulator": lambda config: RowAccumulator(ROW_BITS, has_offset=True),
    "broadcast": Broadcast,
    "region": _farthest,
    "gather": lambda config: Gather(config, tuple(shares_of(config).values())),
    "lane_tree": lambda config: LaneTree(config, tuple(shares_of(config).values())),
    "epilogue": Epilogue,
    "front": Front,
    "drain": Drain,
    "matrix_sequencer": MatrixSequencer,
    "vector_lane": Lane,
    "vector_coder": Coder,
    "stream_port": StreamPort,
    "mover": Mover,
    "picker": Picker,
    "landing": Landing,
    "activation_write": ActivationWrite,
    "activation_memory": ActivationMemory,
    "result_memory": ResultMemory,
    "residual_memory": ResidualMemory,
    "control_sequencer": ControlSequencer,
    "control": Control,
}
"""Component of each unit by name. Its netlist has all that it consists of, but for the slices of a region."""


class GateUnit:
    """A unit of an engine, its netlist, and the bench that has both.

    In the place of each slice of a region stands, on both sides, a module that puts registers of all its inputs on its outputs.
    """

    def __init__(self, name: str, config: EngineConfig, cache: Path = Path("build/synthesis")) -> None:
        """`name` is one of UNITS; `cache` keeps netlists."""
        self.name, self.config, self._cache = name, config, cache
        self._component = UNITS[name](config)

    @functools.cached_property
    def modules(self) -> Mapping[str, Module]:
        """Its Verilog modules by name."""
        texts = [convert(self._component, self.name), *(PRIMITIVES[name] for name in HAND_WRITTEN)]
        if isinstance(self._component, Region):
            piece = modules_of([convert(Slice(self.config), Slice.module)])[Slice.module]
            texts += [convert(Tile(self.config), Tile.module), _stand_in(piece)]
        return modules_of(texts)

    @functools.cached_property
    def netlist(self) -> str:
        """It after technology mapping; the first use runs Yosys and raises MachineError where it is missing."""
        return mapped(self.modules, self.name, self._cache, apart=[Slice.module])

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


def _stand_in(module: Module) -> str:
    """Return a module of the same ports; each output is, a cycle later, the parity of a share of the inputs' bits."""
    ports = ports_of(module)
    outputs = [port for port in ports if not port.is_input]
    bits = sum(port.width for port in outputs)
    shares = -(-sum(port.width for port in ports if port.is_input) // bits)
    declared = "".join(f"  {'input' if port.is_input else 'output'} [{port.width - 1}:0] {port.name} ;\n" for port in ports)
    listed = {is_input: ", ".join(f"{port.name} " for port in ports if port.is_input == is_input) for is_input in (True, False)}
    parity = " ^ ".join(f"inputs[{share * bits} +: {bits}]" for share in range(shares))
    return (
        f"module {module.name}(clk, {', '.join(f'{port.name} ' for port in ports)});\n  input clk;\n{declared}"
        f"  wire [{shares * bits - 1}:0] inputs = {{{listed[True]}}};\n  reg [{bits - 1}:0] held;\n  initial held = 0;\n"
        f"  always @(posedge clk) held <= {parity};\n  assign {{{listed[False]}}} = held;\nendmodule\n"
    )
