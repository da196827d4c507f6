"""The trace outputs of an engine, by which a bench follows what it does."""

import dataclasses

from hwsim.arch.config import EngineConfig

__all__ = ["TracePort", "trace_ports"]


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
