"""The engine: control, the four units and the memories between them, behind the port names of a Vitis kernel."""

import dataclasses

from amaranth import Cat, ClockDomain, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from rtl.control import Control, ControlRegisters, axi_lite_members
from rtl.fetch import Fetch
from rtl.instance import Shared
from rtl.interfaces import SCALE_ENTRY, WRITE_BEAT_BITS, assign, axi_read, axi_write
from rtl.matrix import Matrix, sources_of
from rtl.memories import ActivationMemory, ActivationWrite, ResidualMemory, ResultMemory
from rtl.mover import Landing, Mover
from rtl.ram import Ram
from rtl.vector import Vector

__all__ = ["BURST_INCR", "SIDE_PORT", "Engine", "TracePort", "axi_members", "engine_members", "stream_port", "trace_ports"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracePort:
    """One output by which a bench follows the engine; `width` in bits."""

    name: str
    width: int
    doc: str


def trace_ports(config: EngineConfig) -> tuple[TracePort, ...]:
    """Return the trace outputs of an engine, in port order."""
    lanes = config.vector.lanes
    return (
        TracePort(name="trace_cycle_start", width=1, doc="One in cycle 0 of a run."),
        TracePort(
            name="trace_running", width=1, doc="One from cycle 0 to the cycle in which End executes or an error stops the run."
        ),
        TracePort(name="trace_dispatch", width=1, doc="A unit instruction is dispatched."),
        TracePort(name="trace_issue", width=4, doc="Units that issue an instruction, bit Unit."),
        TracePort(name="trace_retire", width=4, doc="Units that retire an instruction, bit Unit."),
        TracePort(name="trace_drained", width=1, doc="The matrix unit writes a result or residual word."),
        TracePort(name="trace_drained_data", width=32 * lanes, doc="That word; lanes not written are zero."),
        TracePort(name="trace_vector", width=1, doc="The vector unit writes activation codes."),
        TracePort(name="trace_vector_data", width=8 * lanes, doc="Those codes."),
        TracePort(name="trace_done", width=1, doc="The run has ended: ap_done rises in the next cycle."),
    )


SIDE_PORT = "m_axi_side_"
LITE_PORT = "s_axi_control_"
BURST_INCR = 1


def stream_port(port: int) -> str:
    """Return the prefix of a stream port's signals."""
    return f"m_axi_{port:02d}_"


def axi_members(prefix: str, signature: wiring.Signature) -> dict:
    """Return the flat members of a master's channels, prefixed; addresses come with the size and burst kind of their beats."""
    members = {}
    for name, member in signature.members.items():
        members[prefix + name] = member
        if name in ("arlen", "awlen"):
            members |= {f"{prefix}{name[:2]}size": Out(3), f"{prefix}{name[:2]}burst": Out(2)}
    return members


def engine_members(config: EngineConfig) -> dict:
    """Return the members of an engine's signature."""
    tile = config.tile
    streams = [axi_members(stream_port(port), axi_read(tile.port_bits)) for port in range(tile.ports)]
    side = axi_members(SIDE_PORT, axi_read(WRITE_BEAT_BITS))
    side |= axi_members(SIDE_PORT, axi_write(WRITE_BEAT_BITS))
    return {
        "ap_clk": In(1),
        "ap_rst_n": In(1),
        "interrupt": Out(1),
        **axi_lite_members(LITE_PORT),
        **{name: member for stream in streams for name, member in stream.items()},
        **side,
        **{port.name: Out(port.width) for port in trace_ports(config)},
    }


class Engine(wiring.Component):
    """The whole engine, with its own clock domain from `ap_clk` and `ap_rst_n` (active low, synchronous).

    With `inline` every part is a submodule, as Amaranth's simulator needs it; otherwise parts that occur often are
    instances of `shared_modules`.
    """

    def __init__(self, config: EngineConfig, *, inline: bool = False):
        self.config, self.inline = config, inline
        self.fetch = Fetch(config, inline=inline)
        self.matrix = Matrix(config, inline=inline)
        self.vector = Vector(config, inline=inline)
        super().__init__(engine_members(config))

    @property
    def shared_modules(self) -> tuple[type[Shared], ...]:
        """Components whose Verilog the instances refer to."""
        return () if self.inline else (*self.fetch.shared_modules, *self.matrix.shared_modules, *self.vector.shared_modules)

    def elaborate(self, platform):
        m = Module()
        self._clock(m)
        config = self.config
        m.submodules.registers = registers = ControlRegisters(config)
        m.submodules.control = control = Control(config)
        m.submodules.mover = mover = Mover(config)
        fetch, matrix, vector = self.fetch, self.matrix, self.vector
        m.submodules.fetch, m.submodules.matrix, m.submodules.vector = fetch, matrix, vector
        units = {Unit.FETCH: fetch, Unit.MATRIX: matrix, Unit.VECTOR: vector, Unit.MOVER: mover}
        for unit, circuit in units.items():
            port = control.units[unit]
            m.d.comb += [*assign(circuit, port, "command", "command_valid"), *assign(port, circuit, "issue", "retire")]
        self._run(m, registers, control, mover)
        self._streams(m, registers)
        self._buses(m, registers, mover)
        self._result(m, mover)
        self._loaded(m, mover)
        self._cached(m, mover)
        self._activations(m)
        self._trace(m, control)
        return m

    def _clock(self, m):
        """Make the clock domain; the reset goes through a register, so that it can reach everything."""
        domain = ClockDomain("sync")
        domain.clk = self.ap_clk
        domain.rst = Signal(name="reset", init=1, reset_less=True)
        m.domains += domain
        m.d.sync += domain.rst.eq(~self.ap_rst_n)

    def _run(self, m, registers, control, mover):
        """Connect the registers to control, and control to the program's way in, errors, stop and clear."""
        fetch, matrix, vector = self.fetch, self.matrix, self.vector
        m.d.comb += [
            control.start.eq(registers.start),
            control.program_words.eq(registers.program_words),
            control.position.eq(registers.position),
            control.slot.eq(registers.slot),
            *assign(registers, control, "done", "idle", "error", "cycles"),
            self.interrupt.eq(registers.interrupt),
            mover.program_start.eq(control.load_start),
            mover.running.eq(control.running),
            mover.program_address.eq(registers.program),
            mover.program_beats.eq(control.load_beats),
            control.load_valid.eq(mover.program_valid),
            control.load_data.eq(mover.program_data),
            control.load_last.eq(mover.program_last),
            control.drained.eq(matrix.drained),
            control.read_error.eq(fetch.bus_error | mover.read_error),
            control.read_error_port.eq(Mux(fetch.bus_error, fetch.bus_error_port, self.config.tile.ports)),
            control.write_error.eq(mover.write_error),
            control.quiet.eq(fetch.quiet & mover.quiet),
            fetch.stop.eq(control.stop),
            mover.stop.eq(control.stop),
        ]
        m.d.comb += [circuit.clear.eq(control.clear) for circuit in (fetch, matrix, vector, mover)]

    def _streams(self, m, registers):
        fetch, matrix = self.fetch, self.matrix
        m.d.comb += [fetch.bases.eq(registers.bases), *assign(matrix, fetch, "head", "head_valid"), fetch.pop.eq(matrix.pop)]
        for port in range(self.config.tile.ports):
            self._bus(m, stream_port(port), fetch.axi[port])

    def _buses(self, m, registers, mover):
        m.d.comb += [mover.side.eq(registers.side), mover.bases.eq(registers.bases)]
        self._bus(m, SIDE_PORT, mover.read)
        self._bus(m, SIDE_PORT, mover.write)
        for name, member in axi_lite_members().items():
            inner, outer = getattr(registers, name), getattr(self, LITE_PORT + name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)

    def _bus(self, m, prefix, axi):
        """Connect a master's channels to the flat port."""
        for name, member in axi.signature.members.items():
            inner, outer = getattr(axi, name), getattr(self, prefix + name)
            m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)
            if name in ("arlen", "awlen"):
                data = "rdata" if name == "arlen" else "wdata"
                beat_bytes = len(getattr(axi, data)) // 8
                size, burst = (getattr(self, f"{prefix}{name[:2]}{each}") for each in ("size", "burst"))
                m.d.comb += [size.eq(beat_bytes.bit_length() - 1), burst.eq(BURST_INCR)]

    def _result(self, m, mover):
        """Three copies of the result memory, one for each reader."""
        matrix, vector = self.matrix, self.vector
        for name, reader, port in (("vector_a", vector, "y_a"), ("vector_b", vector, "y_b"), ("mover", mover, "y")):
            m.submodules[f"result_{name}"] = memory = ResultMemory(self.config)
            m.d.comb += [_write(memory, matrix, "y"), _read(memory, reader, port)]

    def _loaded(self, m, mover):
        """What the mover loads goes into the residual memory, and two copies of the parameter memory."""
        matrix, vector = self.matrix, self.vector
        buffer, lanes = self.config.buffer, self.config.vector.lanes
        m.submodules.load = load = Landing(self.config)
        m.submodules.residual = residual = ResidualMemory(self.config)
        m.d.comb += [
            load.loaded.eq(mover.loaded),
            *assign(residual, load, "x_enable", "x_address", "x_data"),
            *assign(residual, matrix, "x_write_enable", "x_write_address", "x_write_data"),
            residual.matrix_address.eq(matrix.x_address),
            residual.vector_address.eq(vector.x_address),
            residual.vector_reads.eq(vector.x_reads),
            matrix.x_data.eq(residual.read_data),
            vector.x_data.eq(residual.read_data),
        ]
        for name, reader in (("vector", vector), ("matrix", matrix)):
            m.submodules[f"parameter_{name}"] = ram = Ram(depth=buffer.parameter_words, lanes=lanes, lane_bits=32)
            m.d.comb += [_write(ram, load, "p"), _read(ram, reader, "p")]

    def _cached(self, m, mover):
        """The value parameters, and the pack buffer's way to the mover."""
        matrix, vector = self.matrix, self.vector
        m.submodules.value_parameters = ram = Ram(depth=self.config.buffer.side_words, lanes=self.config.vector.lanes, lane_bits=32)
        m.d.comb += [
            _write(ram, matrix, "h"),
            _read(ram, vector, "h"),
            vector.pack_address.eq(mover.pack_address),
            mover.pack_data.eq(vector.pack_data),
        ]

    def _activations(self, m):
        """A copy of the activation memory for each region that reads one, and the scale file."""
        config, matrix, vector = self.config, self.matrix, self.vector
        m.submodules.activation_write = write = ActivationWrite(config)
        m.d.comb += assign(write, vector, "a_enable", "a_row", "a_address", "a_data")
        for source in sources_of(config):
            m.submodules[f"activation_{source}"] = copy = ActivationMemory(config)
            m.d.comb += [copy.written.eq(write.written), _read(copy, matrix, f"a_{source}")]
        m.submodules.scales = scales = Ram(depth=config.buffer.scales, lanes=1, lane_bits=SCALE_ENTRY.size)
        m.d.comb += [_write(scales, vector, "scale"), _read(scales, matrix, "scale")]

    def _trace(self, m, control):
        matrix, vector = self.matrix, self.vector
        lanes = self.config.vector.lanes
        word = Mux(matrix.x_write_enable.any(), matrix.x_write_data, matrix.y_data)
        enable = matrix.y_enable | matrix.x_write_enable
        m.d.comb += [
            *assign(self, control, *(f"trace_{name}" for name in ("cycle_start", "running", "dispatch", "issue", "retire"))),
            self.trace_drained.eq(enable.any()),
            self.trace_drained_data.eq(Cat(Mux(enable[i], word[32 * i : 32 * i + 32], 0) for i in range(lanes))),
            self.trace_vector.eq(vector.a_enable),
            self.trace_vector_data.eq(vector.a_data),
            self.trace_done.eq(control.done),
        ]


def _read(ram, reader, name: str) -> list:
    """Return the assignments that give a memory's read port to a reader's port `name`."""
    return [ram.read_address.eq(getattr(reader, f"{name}_address")), getattr(reader, f"{name}_data").eq(ram.read_data)]


def _write(ram, writer, name: str) -> list:
    """Return the assignments that give a memory's write port to a writer's port `name`."""
    return [
        ram.write_enable.eq(getattr(writer, f"{name}_enable")),
        ram.write_address.eq(getattr(writer, f"{name}_address")),
        ram.write_data.eq(getattr(writer, f"{name}_data")),
    ]
