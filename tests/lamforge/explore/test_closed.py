"""The closed form against the simulator: a random sample of designs, and laws that hold for every design."""

import dataclasses
import random

import numpy as np
import pytest

from compiler.pipeline import Request, compile_decode, compile_request
from hwsim.arch.config import load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.stream_sizes import CacheFormat, Format
from hwsim.errors import ScheduleError
from hwsim.machine.time import Cause, Timeline, run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import HBM2, IDEAL, MemoryModel
from lamforge.explore.candidates import Candidates
from lamforge.explore.closed import ClosedForm, closed
from models.zoo import shape

_SEED = 20
_NETWORKS = ("llama-2-7b", "llama-3-8b", "smollm2-135m", "mistral-7b")
_WEIGHTS = (Format.W2S, Format.W2, Format.W4, Format.W8)


def _design(chance: random.Random, networks: tuple[str, ...] = _NETWORKS) -> Request:
    """Return a random design of two or three layers."""
    pick = chance.choice
    tokens = chance.randint(1, 7)
    burst = pick([4, 8, 16, 32, 64])
    settings: dict[str, object] = {
        "tile.ports": pick([8, 16, 32]),
        "tile.port_bits": pick([128, 256, 512]),
        "tile.tokens": tokens,
        "tile.nibble_tokens": pick([rows for rows in range(1, 8) if rows >= tokens or rows % 2 == 0]),
        "vector.lanes": pick([8, 16, 32]),
        "fetch.burst_beats": burst,
        "fetch.fifo_beats": pick([beats for beats in (64, 256, 1024, 4096) if beats >= 2 * burst]),
        "control.queue_depth": pick([8, 16, 32, 64]),
        "clock_hz": pick([150e6, 200e6, 225e6, 300e6]),
        "buffer.residual_words": pick([1024, 4096]),
        "buffer.side_words": pick([256, 1024]),
        "buffer.result_words": pick([4096, 8192, 16384]),
        "buffer.scales": pick([32, 64]),
    }
    engine = load_engine("u280").with_values(settings)
    layers, context = pick(_WEIGHTS), pick([256, 700, 2048, 4096])
    return Request(
        config=dataclasses.replace(shape(pick(networks)), layers=chance.randint(2, 3), vocab=chance.randint(4000, 20000)),
        layers=layers,
        head=pick(_WEIGHTS),
        cache=pick(list(CacheFormat)),
        sinks=4,
        window=context - 4,
        engine=engine,
        context=context + tokens,
        prefill_rows=1,
        batch=chance.randint(1, engine.tile.rows_of(layers)),
    )


def _exact(request: Request, memory: MemoryModel) -> Timeline:
    program = compile_request(request).decode
    position = program.sinks + program.window
    trace = run_control(program.words, position=position, slot=program.slot_of(position))
    return run_time(trace, request.engine, memory)


@pytest.fixture(scope="module")
def sample() -> list[tuple[Request, MemoryModel, Timeline | None]]:
    """Designs with what the simulator says of them; None where the compiler refuses."""
    chance = random.Random(_SEED)
    print(f"seed {_SEED}")
    found: list[tuple[Request, MemoryModel, Timeline | None]] = []
    for index in range(30):
        request, memory = _design(chance), (IDEAL, HBM2)[index % 2]
        try:
            found.append((request, memory, _exact(request, memory)))
        except ScheduleError:
            found.append((request, memory, None))
    return found


def _form(requests: list[tuple[Request, MemoryModel]]) -> ClosedForm:
    return closed(Candidates.of(requests))


def test_a_sample_costs_what_the_simulator_says(sample: list[tuple[Request, MemoryModel, Timeline | None]]) -> None:
    form = _form([(request, memory) for request, memory, _ in sample])
    assert form.fits.tolist() == [timeline is not None for _, _, timeline in sample]
    assert form.fits.sum() >= 12
    errors = []
    for index, (_, _, timeline) in enumerate(sample):
        if timeline is None:
            continue
        assert form.stream_bytes[index] == timeline.stream_bytes
        assert form.side_read_bytes[index] == timeline.side_read_bytes
        assert form.side_write_bytes[index] == timeline.side_write_bytes
        errors.append(abs(form.cycles[index] / timeline.cycles - 1))
        at_work = sum(timeline.cause(Unit.MATRIX, cause) for cause in (Cause.COMPUTE, Cause.MEMORY, Cause.DRAIN))
        assert abs(form.stream[index] + form.matrix[index] - at_work) <= 0.1 * timeline.cycles
    assert np.median(errors) <= 0.02
    assert max(errors) <= 0.08


def test_normalized_heads_cost_what_the_simulator_says() -> None:
    chance = random.Random(_SEED)
    print(f"seed {_SEED}")
    requests = [_design(chance, ("qwen3-0.6b", "qwen3-8b")) for _ in range(20)]
    form = _form([(request, IDEAL) for request in requests])
    assert 4 <= form.fits.sum() < 20
    for index, request in enumerate(requests):
        if not form.fits[index]:
            with pytest.raises(ScheduleError):
                compile_decode(request)
            continue
        timeline = _exact(request, IDEAL)
        assert form.stream_bytes[index] == timeline.stream_bytes
        assert form.side_read_bytes[index] == timeline.side_read_bytes
        assert form.side_write_bytes[index] == timeline.side_write_bytes
        assert form.cycles[index] == pytest.approx(timeline.cycles, rel=0.04)
    plain = closed(dataclasses.replace(Candidates.of([(request, IDEAL) for request in requests]), has_head_norms=np.array([0])))
    assert (plain.cycles < form.cycles)[form.fits].all()


def test_parts_sum_to_the_cycles(sample: list[tuple[Request, MemoryModel, Timeline | None]]) -> None:
    form = _form([(request, memory) for request, memory, _ in sample])
    fits = form.fits
    assert np.allclose((form.stream + form.matrix + form.exposed)[fits], form.cycles[fits])
    assert (form.stream[fits] > 0).all()
    assert (form.matrix[fits] >= 0).all()
    assert (form.exposed[fits] > 0).all()


def _like_u280(**values: object) -> Candidates:
    """Return one candidate, Llama-2-7B on u280 under ideal memory, with arrays in the place of some of its values."""
    request = Request(
        config=shape("llama-2-7b"),
        layers=Format.W2S,
        head=Format.W4,
        sinks=4,
        window=2044,
        engine=load_engine("u280"),
        context=2052,
        prefill_rows=1,
    )
    return dataclasses.replace(Candidates.of([(request, IDEAL)]), **values)


def test_every_layer_takes_the_same_time() -> None:
    form = closed(_like_u280(layers=np.array([1, 2, 4, 32]), channel_bytes=np.array([1 << 40])))
    first, second, fourth, last = form.cycles
    assert second - first == pytest.approx(form.layer[0])
    assert last - fourth == pytest.approx(28 * form.layer[0])


def test_more_ports_are_never_slower_where_the_stream_holds_the_engine() -> None:
    form = closed(_like_u280(ports=np.array([8, 16, 32]), channel_bytes=np.array([1 << 40])))
    assert (np.diff(form.cycles) < 0).all()
    assert (form.stream / form.cycles > 0.9).all()


def test_what_is_lacking_is_counted() -> None:
    form = closed(_like_u280(result_words=np.array([1024, 8192]), batch=np.array([5, 1]), channel_bytes=np.array([1 << 28])))
    assert form.fits.tolist() == [False, True]
    assert form.lacking["batch"].tolist() == [1, 0]
    # Four rows more than one: of the projection, of what attention sums, and of gate and up, 384 + 128 + 688 words each.
    assert form.lacking["result"][0] > 5 * (384 + 128 + 688) - 1024
    assert form.lacking["result"][1] == 0


def test_candidates_are_independent_of_each_other() -> None:
    contexts, depths = np.array([300, 1000, 2044, 6000]), np.array([8, 16, 32, 64])
    together = closed(_like_u280(window=contexts, queue_depth=depths, batch=np.array([1, 2, 3, 4])))
    for index in range(4):
        alone = closed(
            _like_u280(window=contexts[index : index + 1], queue_depth=depths[index : index + 1], batch=np.array([index + 1]))
        )
        assert alone.cycles[0] == pytest.approx(together.cycles[index])
