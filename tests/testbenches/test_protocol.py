"""The engine's buses between cocotbext-axi's models under back-pressure, and the monitors on waveforms that break the rules."""

import numpy as np
import pytest

from compiler.model import compile_model
from hwsim.arch.config import load_engine
from hwsim.arch.isa import Fetch, decode
from hwsim.arch.program import INSTRUCTION_BYTES, MemoryImage
from hwsim.host.inputs import Inputs, place
from hwsim.machine.meaning import run_meaning
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL
from testbenches.protocol import Pace, ProtocolBench, ProtocolReport, ProtocolRun
from testbenches.protocol_rules import Channel, HoldMonitor, LiteMonitor, ReadMonitor, WriteMonitor
from testbenches.random_program import random_program
from testbenches.simulated import Simulated
from testbenches.verilated import Run
from tests.random_model import random_model

FAILING_WRITE = 5
WRITE_ERROR = 5


@pytest.fixture(scope="module")
def bench() -> ProtocolBench:
    return ProtocolBench(load_engine("tiny"))


@pytest.fixture(scope="module")
def outcome(bench: ProtocolBench) -> tuple[ProtocolReport, MemoryImage]:
    """Return what the bench saw of three decode steps, the first with a write error; and memory as simulated."""
    engine = bench.engine
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
    runs = [ProtocolRun(run=start, failing_write=FAILING_WRITE), ProtocolRun(run=start), ProtocolRun(run=start, pace=Pace.SHY)]
    report = bench.execute(placed, runs, seed=11)
    return report, expected.image


def test_no_rule_of_the_buses_is_broken(outcome: tuple[ProtocolReport, MemoryImage]) -> None:
    """Nor does a register or the interrupt line answer wrongly; and there was back-pressure on everything the engine offers."""
    report, _ = outcome
    assert report.faults == ()
    assert report.cycles > 15_000
    for channel in ("m_axi_00 AR", "m_axi_side AR", "m_axi_side AW", "m_axi_side W", "s_axi_control B", "s_axi_control R"):
        assert report.waits[channel] > 10, f"{channel} must have waited"
    assert report.accepted["m_axi_00 R"] > 5_000


@pytest.mark.parametrize("number", [1, 2])
def test_a_decode_step_leaves_the_simulators_memory(outcome: tuple[ProtocolReport, MemoryImage], number: int) -> None:
    """Logits, caches and all; also right after a run that ended with a bus error, and with ready only after valid."""
    report, expected = outcome
    answer = report.answers[number]
    assert (answer["hung"], answer["error"]) == (False, 0)
    assert np.array_equal(report.images[number].ports, expected.ports)
    assert np.array_equal(report.images[number].side, expected.side)
    assert 0 <= answer["cycles_seen"] - answer["cycles"] < 100


def test_a_write_error_stops_the_engine(outcome: tuple[ProtocolReport, MemoryImage]) -> None:
    """Done is raised (the bench looks at it after every run) and little is written after the failing beat."""
    answer = outcome[0].answers[0]
    assert (answer["hung"], answer["error"]) == (False, WRITE_ERROR)
    assert FAILING_WRITE <= answer["writes"] < FAILING_WRITE + 4


def test_bursts_from_anywhere_across_pages(bench: ProtocolBench) -> None:
    """A random program whose streams start inside a burst and go on into the next 4 KiB."""
    engine = bench.engine
    made = random_program(engine, 12)
    page = 4096 // engine.tile.port_bytes
    fetches = [word for word in map(decode, made.words) if isinstance(word, Fetch) and word.beats]
    crossing = [word for word in fetches if word.offset // page != (word.offset + word.beats - 1) // page]
    assert any(word.offset % engine.fetch.burst_beats for word in crossing)
    code = np.frombuffer(b"".join(word.to_bytes(INSTRUCTION_BYTES, "little") for word in made.words), np.uint8)
    start = len(made.side) + -len(made.side) % 4096
    image = MemoryImage(ports=made.ports, side=np.concatenate([made.side, np.zeros(start - len(made.side), np.uint8), code]))
    position, slot = made.registers
    run = Run(program=start, words=len(made.words), position=position, slot=slot)
    report = bench.execute(image, [ProtocolRun(run=run)], seed=12)
    run_meaning(run_control(made.words, position=position, slot=slot), engine, image.ports, image.side)
    assert report.faults == ()
    assert report.answers[0]["error"] == 0
    assert np.array_equal(report.images[0].ports, image.ports)
    assert np.array_equal(report.images[0].side, image.side)


IDLE = Channel(False, True)
LOW = Channel(False, False)


def offered(*payload: int, ready: bool = True) -> Channel:
    return Channel(True, ready, payload)


def test_a_payload_that_does_not_stay_is_noticed() -> None:
    monitor = HoldMonitor("AR")
    assert monitor.cycle(offered(64, ready=False)) == []
    assert monitor.cycle(offered(64, ready=False)) == []
    assert monitor.cycle(offered(128)) == ["AR: the payload must stay (64,) until ready, not become (128,)"]
    assert monitor.cycle(offered(192, ready=False)) == []
    assert monitor.cycle(IDLE) == ["AR: valid must stay until ready"]
    assert (monitor.accepted, monitor.waits) == (1, 3)


GOOD_BURST = (0x1F80, 7, 4, 1)


@pytest.mark.parametrize(
    ("burst", "fault"),
    [
        ((0x1FF0, 1, 4, 1), "a burst must not cross 4 KiB; 0x1ff0 with 2 beats does"),
        ((0x1F80, 7, 3, 1), "beats must have 16 bytes, not 8"),
        ((0x1F80, 7, 4, 2), "bursts must be INCR, not kind 2"),
        ((0x1F84, 6, 4, 1), "addresses must be aligned to a beat, not 0x1f84"),
        ((0x2FF0, 0, 4, 1), "a burst must lie in memory, not at 0x2ff0 with 1 beats"),
        ((0x1000, 8, 4, 1), "at most 8 beats must be outstanding, not 9"),
    ],
)
def test_a_wrong_burst_is_noticed(burst: tuple[int, ...], fault: str) -> None:
    reader = ReadMonitor("port", beat_bytes=16, ranges=[(0x1000, 0x1FF0)], limit_beats=8)
    assert reader.cycle(offered(*burst), IDLE) == [f"port AR: {fault}"]


def test_wrong_reads_are_noticed() -> None:
    reader = ReadMonitor("port", beat_bytes=16, ranges=[(0, 1 << 16)])
    assert reader.cycle(offered(*GOOD_BURST), IDLE) == []
    for _ in range(7):
        assert reader.cycle(IDLE, offered(0, 0)) == []
    assert reader.end() == ["port: every burst must have ended, not left 1 beats"]
    assert reader.cycle(IDLE, offered(0, 0)) == ["port R: last must mark the last beat of a burst and no other"]
    assert reader.cycle(IDLE, offered(1, 0)) == ["port R: a beat must have been asked for"]
    assert reader.cycle(IDLE, LOW) == ["port R: ready must always be up"]
    assert reader.end() == []


ADDRESS, BEAT, OKAY = offered(0x1000, 0, 4, 1), offered(7, 0xFFFF, 1), offered(0)
LATE_ADDRESS = offered(0x1000, 0, 4, 1, ready=False)
TOGETHER = "side: address and data of a write must rise together"
UNFINISHED = "side: a write must wait until address and data of the one before are accepted"
UNASKED = "side B: a response must follow the address and data of its write"


@pytest.mark.parametrize(
    ("waves", "faults"),
    [
        ([(ADDRESS, BEAT, IDLE), (ADDRESS, BEAT, OKAY), (IDLE, IDLE, OKAY)], []),
        ([(LATE_ADDRESS, BEAT, IDLE), (ADDRESS, IDLE, IDLE), (IDLE, IDLE, OKAY)], []),
        ([(ADDRESS, IDLE, IDLE)], [TOGETHER]),
        ([(LATE_ADDRESS, BEAT, IDLE), (ADDRESS, BEAT, IDLE)], [TOGETHER, UNFINISHED]),
        ([(ADDRESS, BEAT, OKAY)], [UNASKED]),
        ([(ADDRESS, BEAT, IDLE), (IDLE, IDLE, OKAY), (IDLE, IDLE, OKAY)], [UNASKED]),
        ([(ADDRESS, offered(7, 0xFFFF, 0), IDLE)], ["side W: last must come with every beat"]),
        ([(ADDRESS, offered(7, 0, 1), IDLE)], ["side W: a beat must write something"]),
        ([(offered(0x1000, 1, 4, 1), BEAT, IDLE)], ["side AW: a write must have one beat, not 2"]),
        ([(IDLE, IDLE, LOW)], ["side B: ready must always be up"]),
    ],
)
def test_wrong_writes_are_noticed(waves: list[tuple[Channel, Channel, Channel]], faults: list[str]) -> None:
    writer = WriteMonitor("side", beat_bytes=16, ranges=[(0, 1 << 16)])
    assert [fault for wave in waves for fault in writer.cycle(*wave)] == faults


def test_a_write_without_its_response_is_noticed() -> None:
    writer = WriteMonitor("side", beat_bytes=16, ranges=[(0, 1 << 16)])
    assert writer.cycle(ADDRESS, BEAT, IDLE) == []
    counts = {"side AW": 1, "side W": 1, "side B": 0}
    assert writer.end() == [f"side: every write must have one address, one beat and one response, not {counts}"]
    assert writer.cycle(IDLE, IDLE, OKAY) == []
    assert writer.end() == []


def test_a_slave_that_answers_wrongly_is_noticed() -> None:
    slave = LiteMonitor("control")
    address, beat = offered(16), offered(5, 15)
    assert slave.cycle(address, beat, IDLE, IDLE, IDLE) == []
    assert slave.cycle(IDLE, IDLE, offered(2), address, IDLE) == ["control B: a response must be OKAY, not 2"]
    assert slave.cycle(IDLE, IDLE, OKAY, IDLE, offered(9, 0)) == ["control B: a response must follow its request"]
    assert slave.end() == ["control: every request must have one response, not {'AW': 1, 'W': 1, 'B': 2, 'AR': 1, 'R': 1}"]
