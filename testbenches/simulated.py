"""The simulator backend: meaning and time of a program, as one log."""

from collections.abc import Mapping

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.isa import KvQuant
from hwsim.arch.program import MemoryImage, Program
from hwsim.host.inputs import Inputs, place
from hwsim.machine.meaning import ResultLog, run_meaning
from hwsim.machine.time import Timeline, run_time
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import MemoryModel
from testbenches.backend import Log, Outputs

__all__ = ["Simulated", "log_of"]


class Simulated:
    """The cycle-exact simulator, as a backend."""

    name = "simulator"

    def __init__(self, engine: EngineConfig):
        self.engine = engine

    def run(self, program: Program, image: MemoryImage, inputs: Inputs, memory: MemoryModel) -> tuple[Outputs, Log]:
        """Run a program once; raise MachineError or ProgramError where the engine would stop."""
        placed = place(self.engine, program, image, inputs)
        trace = run_control(program.words, position=inputs.position, slot=program.slot_of(inputs.position, inputs.sequence))
        _, results = run_meaning(trace, self.engine, placed.ports, placed.side, has_log=True)
        timeline = run_time(trace, self.engine, memory)
        return Outputs.of(program, placed), log_of(trace, timeline, results, self.engine.vector.lanes)


def log_of(trace: Trace, timeline: Timeline, results: ResultLog, lanes: int) -> Log:
    """Return the log of a run from its trace, its timeline and the results of its instructions."""
    unit = timeline.unit
    drained, drained_by = _joined(results.matrix, np.zeros((0, lanes), np.uint32))
    packed = set(trace.rows_of(KvQuant).tolist())  # codes of the pack buffer are seen in memory, not on the trace
    written = {index: words for index, words in results.vector.items() if index not in packed}
    codes, codes_by = _joined(written, np.zeros((0, lanes), np.int8))
    return Log(
        cycles=timeline.cycles,
        error=0,
        dispatch=timeline.dispatch,
        issue={each: timeline.issue[unit == each] for each in Unit},
        retire={each: timeline.retire[unit == each] for each in Unit},
        drained=drained,
        codes=codes,
        pc=trace.pc,
        drained_by=drained_by,
        codes_by=codes_by,
    )


def _joined(parts: Mapping[int, np.ndarray], empty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the words of all instructions in order, and the instruction of each word."""
    words = [empty, *parts.values()]
    owners = np.repeat(np.array(list(parts), dtype=np.int64), [len(part) for part in parts.values()])
    return np.concatenate(words), owners
