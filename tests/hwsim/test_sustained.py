"""What memories sustain: the derived rates against one long product in the simulator, and laws of latencies."""

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import Dot, End, Fetch, Format
from hwsim.arch.timing import FIFO_LATENCY, READ_LATENCY
from hwsim.machine.time import run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import HBM2, IDEAL, MemoryModel
from hwsim.memory.sustained import Readers, Sustained, sustained

_BLOCKS, _BODY = 200, 128


def _engine(ports: int, port_bits: int, fifo_beats: int, burst_beats: int, clock_mhz: int) -> EngineConfig:
    return load_engine("u280").with_values(
        {
            "tile.ports": ports,
            "tile.port_bits": port_bits,
            "fetch.fifo_beats": fifo_beats,
            "fetch.burst_beats": burst_beats,
            "clock_hz": clock_mhz * 1e6,
        }
    )


def _sustained(config: EngineConfig, memory: MemoryModel) -> Sustained:
    tile, fetch = config.tile, config.fetch
    return sustained(
        Readers(
            clock_hz=np.array([config.clock_hz]),
            ports=np.array([tile.ports]),
            port_bytes=np.array([tile.port_bytes]),
            burst_beats=np.array([fetch.burst_beats]),
            fifo_beats=np.array([fetch.fifo_beats]),
            memory=np.array([int(memory.kind)]),
        )
    )


def _cycles_a_beat(config: EngineConfig, memory: MemoryModel) -> float:
    """Return the cycles a beat of one product, which would pop a beat a cycle."""
    beats = Format.W2S.sizes.stream_words(_BLOCKS, 64 * _BODY)
    dot = Dot(format=Format.W2S, rows=1, source=0, inner=2 * _BODY, blocks=_BLOCKS, scale=0, address=0)
    words = [each.encode() for each in (Fetch(offset=0, beats=beats), dot, End())]
    timeline = run_time(run_control(words), config, memory)
    return float(timeline.release[1] - timeline.issue[1]) / beats


@pytest.mark.parametrize(
    ("ports", "port_bits", "fifo_beats", "burst_beats", "clock_mhz"),
    [
        (8, 512, 64, 32, 150),
        (8, 128, 64, 16, 300),
        (16, 256, 128, 64, 225),
        (32, 128, 64, 4, 250),
        (32, 256, 128, 8, 300),
        (16, 512, 1024, 16, 300),
        (32, 512, 4096, 64, 225),
        (8, 128, 4096, 16, 150),
    ],
)
def test_a_long_product_goes_at_the_sustained_rate(
    ports: int, port_bits: int, fifo_beats: int, burst_beats: int, clock_mhz: int
) -> None:
    config = _engine(ports, port_bits, fifo_beats, burst_beats, clock_mhz)
    rates = _sustained(config, HBM2)
    derived = max(rates.period[0], rates.slowing(np.ones((1, 1)))[0, 0])
    assert derived == pytest.approx(_cycles_a_beat(config, HBM2), rel=0.04)


def test_credits_limit_a_shallow_fifo() -> None:
    config = _engine(8, 128, 64, 32, 200)
    period = _sustained(config, IDEAL).period[0]
    assert period == (1 + READ_LATENCY + FIFO_LATENCY + 31) / 64
    assert period == pytest.approx(_cycles_a_beat(config, IDEAL), rel=0.005)


def test_ideal_memory_has_no_refresh() -> None:
    rates = _sustained(_engine(32, 512, 64, 4, 300), IDEAL)
    assert rates.slowing(np.ones((3, 1))).tolist() == [[1.0]] * 3


def test_a_unit_that_wants_less_is_slowed_down_less() -> None:
    rates = _sustained(_engine(16, 128, 64, 16, 300), HBM2)
    slow, half, little = rates.slowing(np.array([[1.0], [0.5], [0.1]]))[:, 0]
    assert slow > half > little == 1
