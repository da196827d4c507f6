"""When the vector unit does what: the rows of an instruction, the passes of a row, the words of a pass."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hwsim.arch.timing import KV_SCALAR, NORM_SCALAR, PASS_LATENCY, QUANT_SCALAR, SOFTMAX_SCALAR
from rtl.interfaces import command_port
from rtl.vector.operation import LENGTH_BITS, OPERATION, ROW_BITS, decode

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Counts the cycles of the timing law: a row takes its passes of length + PASS_LATENCY cycles and a scalar phase.

    A word is selected when `select` is high, `index` counts them; in the cycle after the last one `after_last` is high.
    `pointer` is the address of the selected word at the source. `peak`, `gather`, `quantize` name the pass under way:
    the maximum of a softmax row; the values and what is known of all of them; the codes. `begin` is high in the first
    cycle of a pass, `measured` in that of a scalar phase, `landed` in the cycle after row `landed_row`.
    """

    def __init__(self):
        super().__init__(
            {
                **command_port(),
                "busy": Out(1),
                "operation": Out(OPERATION),
                "peak": Out(1),
                "gather": Out(1),
                "quantize": Out(1),
                "begin": Out(1),
                "measured": Out(1),
                "select": Out(1),
                "after_last": Out(1),
                "index": Out(LENGTH_BITS),
                "pointer": Out(14),
                "row": Out(ROW_BITS),
                "source": Out(14),
                "up": Out(14),
                "landed": Out(1),
                "landed_row": Out(ROW_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        operation = self.operation
        decoded = decode(m, self.command)
        elapsed_bits = (2**LENGTH_BITS + PASS_LATENCY).bit_length()
        elapsed = Signal(elapsed_bits)
        # A cycle late, which no pass is short enough to notice.
        pass_last = Signal(elapsed_bits, reset_less=True)
        scalar_last = Signal(range(max(KV_SCALAR, NORM_SCALAR, QUANT_SCALAR, SOFTMAX_SCALAR)), reset_less=True)
        in_pass = Signal()
        pass_ends = Signal()
        next_source = Signal(14)
        m.d.comb += [
            in_pass.eq(self.peak | self.gather | self.quantize),
            pass_ends.eq(in_pass & (elapsed == pass_last)),
            self.begin.eq(in_pass & (elapsed == 0)),
            self.select.eq(in_pass & (elapsed < operation.length)),
            self.after_last.eq(in_pass & (elapsed == operation.length)),
            self.index.eq(elapsed[:LENGTH_BITS]),
            next_source.eq(self.source + operation.stride),
        ]
        m.d.sync += [
            elapsed.eq(elapsed + 1),
            self.pointer.eq(self.pointer + 1),
            pass_last.eq(operation.length + (PASS_LATENCY - 1)),
            scalar_last.eq(
                Mux(
                    operation.norm,
                    NORM_SCALAR - 1,
                    Mux(operation.softmax, SOFTMAX_SCALAR - 1, Mux(operation.cache, KV_SCALAR - 1, QUANT_SCALAR - 1)),
                )
            ),
            self.landed.eq(0),
        ]

        def enter(state: str) -> None:
            m.d.sync += elapsed.eq(0)
            m.next = state

        with m.FSM() as states:
            with m.State("IDLE"):
                m.d.comb += self.issue.eq(self.command_valid)
                m.d.sync += [
                    operation.eq(decoded),
                    self.row.eq(0),
                    self.source.eq(decoded.source),
                    self.pointer.eq(decoded.source),
                    self.up.eq(decoded.up),
                ]
                with m.If(self.command_valid):
                    enter("RETIRE")
                    with m.If(decoded.rows != 0):
                        m.next = "GATHER"
                        with m.If(decoded.softmax):
                            m.next = "PEAK"
            with m.State("PEAK"):
                m.d.comb += self.peak.eq(1)
                with m.If(pass_ends):
                    m.d.sync += self.pointer.eq(self.source)
                    enter("GATHER")
            with m.State("GATHER"):
                m.d.comb += self.gather.eq(1)
                with m.If(pass_ends):
                    enter("SCALAR")
            with m.State("SCALAR"):
                m.d.comb += self.measured.eq(elapsed == 0)
                with m.If(elapsed == scalar_last):
                    enter("QUANTIZE")
            with m.State("QUANTIZE"):
                m.d.comb += self.quantize.eq(1)
                with m.If(pass_ends):
                    m.d.sync += [
                        self.row.eq(self.row + 1),
                        self.source.eq(next_source),
                        self.pointer.eq(next_source),
                        self.up.eq(self.up + operation.stride),
                        self.landed.eq(1),
                        self.landed_row.eq(self.row),
                    ]
                    enter("RETIRE")
                    with m.If(self.row + 1 != operation.rows):
                        m.next = "GATHER"
                        with m.If(operation.softmax):
                            m.next = "PEAK"
            with m.State("RETIRE"):
                m.d.comb += self.retire.eq(1)
                m.next = "IDLE"
        m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
        return m
