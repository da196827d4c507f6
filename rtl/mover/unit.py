"""The mover: loads, stores and appends over the side port, and the path of the program to control."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Append, Load, Store
from hwsim.arch.timing import MOVER_WRITES, WRITE_LEAD
from hwsim.errors import ConfigError
from rtl.interfaces import (
    ADDRESS_BITS,
    COMMAND,
    PACK_ENTRY,
    WRITE_BEAT_BITS,
    UnitSizes,
    assign,
    axi_read,
    axi_write,
    command_port,
    field,
    flags,
    is_kind,
    read_port,
)
from rtl.mover.beats import PREPARE_CYCLES, STEP_CYCLES, Gather, Scatter
from rtl.mover.memories import Picker, loaded_beat
from rtl.mover.side_port import BEATS_BITS, WRITE_QUEUE_BEATS, SideReader, SideWriter

__all__ = ["Mover", "Retirement"]


class Retirement(wiring.Component):
    """Retires instructions in order, each in the cycle after its last beat or response.

    Members:
        issue, beats: an instruction begins; what it waits for. has_room: one more may.
        ends: a beat of a LOAD or the response to a write; they come in the order of the instructions.
        retire: the oldest retires. busy: some instruction has not retired. clear: forget all.
    """

    issue: In(1)
    beats: In(Load.field("beats").width)
    has_room: Out(1)
    ends: In(1)
    retire: Out(1)
    busy: Out(1)
    clear: In(1)

    def elaborate(self, platform):
        m = Module()
        counts = Array(Signal.like(self.beats, name=f"count_{place}", reset_less=True) for place in range(MOVER_WRITES))
        newest, oldest = (Signal(range(MOVER_WRITES), name=name) for name in ("newest", "oldest"))
        # Equals `oldest + 1`, but comes from a register.
        second = Signal.like(oldest, init=1)
        in_flight = Signal(range(MOVER_WRITES + 1))
        left = Signal.like(self.beats)
        # Equal `left == 0`, and comparisons of `in_flight` with 0, 1 and MOVER_WRITES, but come from registers.
        is_done = Signal(init=1)
        is_one, is_full = (Signal(name=name) for name in ("is_one", "is_full"))
        following = counts[second]
        m.d.comb += [self.has_room.eq(~is_full), self.retire.eq(self.busy & is_done)]
        m.d.sync += in_flight.eq(in_flight + self.issue - self.retire)
        with m.If(self.issue & ~self.retire):
            m.d.sync += [self.busy.eq(1), is_one.eq(~self.busy), is_full.eq(in_flight == MOVER_WRITES - 1)]
        with m.Elif(self.retire & ~self.issue):
            m.d.sync += [self.busy.eq(~is_one), is_one.eq(in_flight == 2), is_full.eq(0)]
        with m.If(self.ends):
            m.d.sync += [left.eq(left - 1), is_done.eq(left == 1)]
        with m.If(self.retire):
            m.d.sync += [
                oldest.eq(second),
                second.eq(second + 1),
                left.eq(following - self.ends),
                is_done.eq(Mux(self.ends, following == 1, following == 0)),
            ]
        with m.If(self.issue):
            m.d.sync += [counts[newest].eq(self.beats), newest.eq(newest + 1)]
            with m.If(~self.busy | (is_one & is_done)):
                m.d.sync += [left.eq(self.beats), is_done.eq(self.beats == 0)]
        with m.If(self.clear):
            m.d.sync += [in_flight.eq(0), self.busy.eq(0), is_one.eq(0), is_full.eq(0), newest.eq(0), oldest.eq(0), second.eq(1)]
        return m


if WRITE_LEAD < PREPARE_CYCLES + STEP_CYCLES + 1:
    raise ConfigError(f"WRITE_LEAD must be at least {PREPARE_CYCLES + STEP_CYCLES + 1} cycles, not {WRITE_LEAD}")


class Mover(wiring.Component):
    """Instructions over the side port: one LOAD, or writes one after the other while the responses of earlier ones come.

    `program_start` in a cycle in which no program is `running` reads `program_beats` words from `program_address`;
    they appear as `program_valid`, `program_data`, `program_last` in the cycle they arrive. `stop` raises nothing new
    on the bus, `quiet` says that nothing is offered or outstanding, `clear` forgets the instruction under way.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        sizes = UnitSizes(config)
        super().__init__(
            {
                **command_port(),
                "side": In(ADDRESS_BITS),
                "bases": In(data.ArrayLayout(ADDRESS_BITS, config.tile.ports)),
                **flags(In, "program_start", "running", "stop", "clear"),
                "program_address": In(ADDRESS_BITS),
                "program_beats": In(BEATS_BITS),
                **flags(Out, "program_valid", "program_last", "busy", "read_error", "write_error", "quiet"),
                "program_data": Out(WRITE_BEAT_BITS),
                "read": Out(axi_read(WRITE_BEAT_BITS)),
                "write": Out(axi_write(WRITE_BEAT_BITS)),
                **read_port("y", sizes.result, sizes.word_bits),
                **read_port("pack", Append.field("entry").width, PACK_ENTRY.as_shape().width),
                "loaded": Out(loaded_beat(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = SideReader()
        m.submodules.writer = writer = SideWriter()
        m.submodules.gather = gather = Gather(self.config)
        m.submodules.picker = picker = Picker(self.config)
        m.submodules.scatter = scatter = Scatter(self.config)
        connect(m, flipped(self.read), reader.axi)
        connect(m, flipped(self.write), writer.axi)

        # The instruction at work: `unwritten` counts the beats down that end it, unless it is a LOAD.
        command = Signal(COMMAND)
        active = Signal()
        beats = Signal(Load.field("beats").width)
        unwritten = Signal.like(beats)
        age = Signal(range(WRITE_LEAD + 1))
        # Equal `age >= PREPARE_CYCLES`, `age == WRITE_LEAD` and `unwritten == 1`, but come from registers.
        is_prepared, may_write, is_last_write = (Signal(name=name) for name in ("is_prepared", "may_write", "is_last_write"))
        asked = Signal(Store.field("beats").width)
        # Beats that have not been asked for, and whether there are any.
        unasked = Signal.like(beats)
        asks = Signal()
        credit = Signal(range(WRITE_QUEUE_BEATS + 1), init=WRITE_QUEUE_BEATS)
        starts_load = is_kind(self.command, Load)
        loading = Signal()
        m.submodules.retirement = retirement = Retirement()
        m.d.comb += [
            self.issue.eq(self.command_valid & ~active & Mux(starts_load, ~self.busy, retirement.has_room)),
            self.retire.eq(retirement.retire),
            self.busy.eq(retirement.busy),
            retirement.issue.eq(self.issue),
            retirement.beats.eq(beats),
            retirement.ends.eq(writer.response | (loading & reader.valid)),
            retirement.clear.eq(self.clear),
            gather.step.eq(asks & is_prepared & (credit != 0) & ~self.stop),
            writer.go.eq(may_write),
        ]
        with m.If(~may_write):
            m.d.sync += [age.eq(age + 1), is_prepared.eq(age >= PREPARE_CYCLES - 1), may_write.eq(age == WRITE_LEAD - 1)]
        with m.If(gather.step):
            m.d.sync += [asked.eq(asked + 1), unasked.eq(unasked - 1), asks.eq(unasked != 1)]
        m.d.sync += credit.eq(credit - gather.step + writer.popped)
        with m.If(is_kind(self.command, Append)):
            m.d.comb += beats.eq((1 << field(self.command, Append, "segments")) + 1)
        with m.Else():
            m.d.comb += beats.eq(Mux(starts_load, field(self.command, Load, "beats"), field(self.command, Store, "beats")))
        with m.If(writer.popped):
            m.d.sync += [unwritten.eq(unwritten - 1), is_last_write.eq(unwritten == 2)]
        with m.If(Mux(loading, self.retire, writer.popped & is_last_write)):
            m.d.sync += [active.eq(0), loading.eq(0)]
        # It is there before it is issued, so that this drives few registers.
        with m.If(~active):
            m.d.sync += command.eq(self.command)
        with m.If(self.issue):
            m.d.sync += [
                loading.eq(starts_load),
                active.eq(1),
                age.eq(0),
                is_prepared.eq(0),
                may_write.eq(0),
                asked.eq(0),
                unasked.eq(beats),
                asks.eq(~starts_load & (beats != 0)),
                unwritten.eq(beats),
                is_last_write.eq(beats == 1),
            ]
        with m.If(self.clear):
            m.d.sync += [active.eq(0), loading.eq(0), asks.eq(0), credit.eq(WRITE_QUEUE_BEATS)]

        m.d.comb += [
            reader.start.eq(self.program_start | (self.issue & starts_load)),
            *assign(reader, self, "stop", "clear"),
            self.program_valid.eq(reader.valid),
            self.program_data.eq(reader.data),
            self.program_last.eq(reader.last),
            self.read_error.eq(reader.error),
            scatter.command.eq(command),
            scatter.start.eq(self.issue),
            scatter.valid.eq(loading & reader.valid),
            scatter.data.eq(reader.data),
            self.loaded.eq(scatter.loaded),
            gather.command.eq(command),
            gather.index.eq(asked),
            *assign(gather, self, "side", "bases", "clear"),
            picker.choice.eq(gather.choice),
            gather.data.eq(picker.data),
            *assign(picker, self, "y_data", "pack_data"),
            *assign(self, picker, "y_address", "pack_address"),
            *assign(writer, gather, "push", "beat"),
            *assign(writer, self, "stop", "clear"),
            self.write_error.eq(writer.error),
            self.quiet.eq(reader.quiet & writer.quiet),
        ]
        with m.If(~self.running):
            m.d.comb += [reader.address.eq(self.program_address), reader.beats.eq(self.program_beats)]
        with m.Else():
            m.d.comb += [
                reader.address.eq(self.side + (field(self.command, Load, "offset") << 4)),
                reader.beats.eq(field(self.command, Load, "beats")),
            ]
        return m
