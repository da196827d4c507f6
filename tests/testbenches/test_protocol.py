"""The engine's buses between cocotbext-axi's models under back-pressure, and the monitors on waveforms that break the rules."""

import numpy as np
import pytest

from compiler.model import compile_model
from hwsim.arch.config import load_engine
from hwsim.arch.program import MemoryImage
from hwsim.memory.models import IDEAL
from testbenches.backend import Inputs, place
from testbenches.protocol import Pace, ProtocolBench, ProtocolReport, ProtocolRun
from testbenches.simulated import Simulated
from testbenches.verilated import Run
from tests.random_model import random_model

FAILING_WRITE = 5
WRITE_ERROR = 5


@pytest.fixture(scope="module")
def outcome() -> tuple[ProtocolReport, MemoryImage, np.ndarray]:
    """Return what the bench saw of three decode steps, the second with a write error; memory and logits as simulated."""
    engine = load_engine("tiny")
    model = random_model(7)
    compiled = compile_model(model, engine, context=32)
    assert compiled.image is not None
    program, inputs = compiled.decode, Inputs(position=0, rows=model.embedding.rows([5]))
    expected, _ = Simulated(engine).run(program, compiled.image, inputs, IDEAL)
    placed = place(engine, program, compiled.image, inputs)
    start = Run(
        program=program.buffer(f"program.{program.name}").offset,
        words=len(program.words),
        position=inputs.position,
        slot=program.slot_of(inputs.position),
    )
    runs = [
        ProtocolRun(run=start, failing_write=FAILING_WRITE),
        ProtocolRun(run=start),
        ProtocolRun(run=start, pace=Pace.SHY),
    ]
    report = ProtocolBench(engine).execute(placed, runs, seed=11)
    output = program.buffer("output")
    logits = report.images[1].side[output.offset : output.offset + output.size].view(np.int32)
    assert np.array_equal(logits, expected.logits)
    return report, expected.image, logits
