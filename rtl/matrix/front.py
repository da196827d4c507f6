"""What answers control and the stream FIFOs: it lies beside them, and sends what it decides to the regions."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.interfaces import UnitSizes, assign, command_port, flags
from rtl.matrix.broadcast import ARRANGE
from rtl.matrix.drain import Drain
from rtl.matrix.records import STEP, WORD_FLAGS, drained_word
from rtl.matrix.sequencer import Sequencer
from rtl.matrix.stages import DRAIN, LEAVE, SENT, WRITE
from rtl.pipeline import Pipeline

__all__ = ["Front"]


class Front(wiring.Component):
    """Sequencer and drain, and a register behind each of their outputs that goes to other regions.

    Members beyond the command port and those of the sequencer of the same names:
        step, arrange, segments: what the beat is, at stage SENT. a_address is at stage 0, from a register.
        flags, word: what the drain names, at stage DRAIN.
        drained: a word to be written leaves the array in this cycle. busy: an instruction has not retired.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            command_port()
            | {
                **flags(In, "head_valid", "clear"),
                **flags(Out, "pop", "repeat", "drained", "busy"),
                "a_address": Out(UnitSizes(config).activation),
                "step": Out(STEP),
                "arrange": Out(ARRANGE),
                "segments": Out(2),
                "flags": Out(WORD_FLAGS),
                "word": Out(drained_word(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self.config)
        m.submodules.drain = drain = Drain(self.config)
        named = Pipeline(m, drain.flags, DRAIN - 1, "flags", clear=self.clear)
        m.d.comb += [
            *assign(sequencer, self, "command", "command_valid", "head_valid", "clear"),
            *assign(self, sequencer, "issue", "pop", "repeat", "a_address"),
            *assign(sequencer, drain, "free_now", "free_soon"),
            *assign(drain, sequencer, "capture", "block"),
            drain.clear.eq(self.clear),
            self.step.eq(Pipeline(m, sequencer.step, 0, "step").at(SENT)),
            self.arrange.eq(Pipeline(m, sequencer.arrange, 0, "arrange").at(SENT)),
            self.segments.eq(Pipeline(m, sequencer.block.segments, 0, "segments").at(SENT)),
            self.flags.eq(named.at(DRAIN)),
            self.word.eq(Pipeline(m, drain.word, DRAIN - 1, "word").at(DRAIN)),
            self.retire.eq(named.at(WRITE + 1).retire),
            self.drained.eq(named.at(LEAVE).written),
        ]
        in_flight = Signal(6)
        m.d.comb += self.busy.eq(in_flight != 0)
        m.d.sync += in_flight.eq(in_flight + self.issue - self.retire)
        with m.If(self.clear):
            m.d.sync += in_flight.eq(0)
        return m
