"""Control: a run from start to done, the queues of the four units, and how an error stops them."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, Signature

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import WORD_BITS, Unit
from rtl.control.errors import ErrorRegister, Watchdog
from rtl.control.queue import CommandQueue
from rtl.control.scoreboard import Scoreboard
from rtl.control.sequencer import Sequencer
from rtl.interfaces import assign, command_port, flags, header

__all__ = ["CLEAR_CYCLES", "Control"]

CLEAR_CYCLES = 64
"""Cycles `clear` is held after an error: longer than any pipeline of a unit."""


class Control(wiring.Component):
    """Runs programs and drives the units.

    `start` (held until `done`) begins a run where the buses were `quiet` a cycle before: cycle 0 follows. `load_start` asks the
    side reader for `load_beats` program words, which come back as `load_valid`, `load_data`, `load_last`. `units` are the four
    command ports.
    `running` comes from a register, and is low where a program begins to load.
    `stop` asks the bus masters to end; once `quiet` answers, `clear` empties every unit and `done` pulses.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                **flags(In, "start", "load_valid", "load_last", "quiet", "read_error", "write_error", "drained"),
                **flags(
                    Out,
                    "done",
                    "idle",
                    "load_start",
                    "running",
                    "stop",
                    "clear",
                    "trace_cycle_start",
                    "trace_running",
                    "trace_dispatch",
                ),
                "program_words": In(32),
                "position": In(32),
                "slot": In(32),
                "error": Out(32),
                "cycles": Out(64),
                "load_beats": Out(config.control.program_words.bit_length()),
                "load_data": In(WORD_BITS),
                "units": In(Signature(command_port())).array(len(Unit)),
                "read_error_port": In(8),
                "trace_issue": Out(len(Unit)),
                "trace_retire": Out(len(Unit)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        limits = self.config.control
        m.submodules.sequencer = sequencer = Sequencer(self.config)
        m.submodules.scoreboard = scoreboard = Scoreboard()
        m.submodules.errors = errors = ErrorRegister()
        m.submodules.watchdog = watchdog = Watchdog(cycles=limits.watchdog_cycles)
        m.submodules.stop_watchdog = stop_watchdog = Watchdog(cycles=limits.watchdog_cycles)

        # Units answer commands in the cycle in which they see them, so that `running` comes from a register.
        running, was_running = self.running, Signal(name="was_running")
        stopping, begin, go = (Signal(name=name) for name in ("stopping", "begin", "go"))

        # Queues and tokens.
        empty = []
        for unit in Unit:
            m.submodules[f"queue_{unit.name.lower()}"] = queue = CommandQueue(depth=limits.queue_depth)
            port = self.units[unit]
            head = queue.head.word
            m.d.comb += [
                queue.push.eq(sequencer.push[unit]),
                queue.entry.eq(sequencer.entry),
                queue.pop.eq(port.issue),
                queue.clear.eq(self.clear),
                sequencer.full[unit].eq(queue.full),
                port.command.eq(queue.head),
                port.command_valid.eq(queue.head_valid & scoreboard.granted[unit] & running),
                scoreboard.wait[unit].eq(header(head, "wait")),
                scoreboard.signal[unit].eq(header(head, "signal")),
                scoreboard.issue[unit].eq(port.issue),
                scoreboard.retire[unit].eq(port.retire),
            ]
            empty.append(~queue.head_valid)
        m.d.comb += [scoreboard.clear.eq(self.clear), sequencer.idle.eq(Cat(empty).all() & scoreboard.idle)]

        # The program on its way into its memory.
        load_address = Signal.like(sequencer.load_address)
        # The registers were written cycles before the start.
        m.d.sync += self.load_beats.eq(Mux(self.program_words > limits.program_words, limits.program_words, self.program_words))
        with m.If(begin):
            m.d.sync += load_address.eq(0)
        with m.Elif(sequencer.load_valid):
            m.d.sync += load_address.eq(load_address + 1)
        m.d.comb += [
            *assign(sequencer, self, "load_data", "position", "slot"),
            sequencer.load_address.eq(load_address),
            sequencer.words.eq(self.program_words),
            sequencer.start.eq(begin),
            sequencer.go.eq(go),
            sequencer.halt.eq(~running),
        ]

        # What is watched.
        m.d.comb += [
            *assign(errors, sequencer, "bad_check", "bad_opcode", "deep_loop", "pc"),
            errors.read_response.eq(self.read_error),
            errors.write_response.eq(self.write_error),
            errors.watchdog.eq(watchdog.expired),
            errors.token_overflow.eq(was_running & scoreboard.overflow),
            errors.port.eq(self.read_error_port),
            errors.pair.eq(scoreboard.overflow_pair),
            errors.start.eq(begin),
            self.error.eq(errors.value),
            watchdog.active.eq(running),
            watchdog.event.eq(sequencer.push.any() | scoreboard.retire.any() | self.drained),
            stop_watchdog.active.eq(stopping),
        ]

        m.d.sync += was_running.eq(running)
        self._run(m, sequencer, errors, stop_watchdog, running=running, stopping=stopping, begin=begin, go=go)

        m.d.comb += [
            self.trace_dispatch.eq(sequencer.push.any()),
            self.trace_issue.eq(scoreboard.issue),
            self.trace_retire.eq(scoreboard.retire),
        ]
        return m

    def _run(self, m, sequencer, errors, stop_watchdog, *, running, stopping, begin, go):
        """Add the states of a run: idle, load, run, stop (buses end), clear.

        An error that is told in cycle t ends the run in cycle t + 2, and the units hear of it in the next one.
        """
        cycle = Signal(64)
        clear_left = Signal(range(CLEAR_CYCLES))
        reported = Signal()
        # What is known late in a cycle, a cycle later: nothing can become busy in the states that ask, and a run that has
        # finished does no more.
        was_quiet, finished, failed, has_program = (
            Signal(name=name) for name in ("was_quiet", "finished", "failed", "has_program")
        )
        m.d.sync += [
            was_quiet.eq(self.quiet),
            finished.eq(sequencer.finished),
            failed.eq(errors.raised),
            has_program.eq(self.program_words != 0),
        ]
        m.d.comb += self.trace_running.eq(running & ~finished & ~errors.raised & ~failed)
        with m.If(failed):
            m.d.sync += clear_left.eq(CLEAR_CYCLES - 1)

        def end_run():
            m.d.sync += [running.eq(0), self.stop.eq(1), self.cycles.eq(cycle)]
            m.next = "STOP"

        m.d.sync += [cycle.eq(cycle + 1), self.trace_cycle_start.eq(begin)]
        with m.FSM(name="run"):
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(~self.start)
                with m.If(self.start & was_quiet):
                    m.d.comb += [begin.eq(1), self.load_start.eq(has_program)]
                    m.d.sync += [cycle.eq(0), running.eq(1), reported.eq(0), clear_left.eq(0)]
                    m.next = "LOAD"
            with m.State("LOAD"):
                with m.If(failed):
                    end_run()
                with m.Else():
                    m.d.comb += sequencer.load_valid.eq(self.load_valid)
                    with m.If((self.load_valid & self.load_last) | ~has_program):
                        m.d.comb += go.eq(1)
                        m.next = "RUN"
            with m.State("RUN"):
                # Nothing is under way when a run has finished: one cycle forgets tokens and beats that the program left over.
                with m.If(failed | finished):
                    end_run()
            with m.State("STOP"):
                m.d.comb += stopping.eq(1)
                with m.If(was_quiet):
                    m.next = "CLEAR"
                with m.Elif(stop_watchdog.expired & ~reported):
                    # A bus that never ends must not hide the error: report it, and keep waiting before the next run.
                    m.d.comb += self.done.eq(1)
                    m.d.sync += reported.eq(1)
            with m.State("CLEAR"):
                m.d.comb += self.clear.eq(1)
                m.d.sync += clear_left.eq(clear_left - 1)
                with m.If(clear_left == 0):
                    m.d.comb += self.done.eq(~reported)
                    m.d.sync += self.stop.eq(0)
                    m.next = "IDLE"
