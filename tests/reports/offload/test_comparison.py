"""Systems over contexts: each point is the answer to its own question, in the batch with the most token/s."""

import math

import numpy as np
import pytest

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from lamforge.flow.offload.comparison import BATCHES, CONTENDERS, CONTEXTS, Comparison, compare
from lamforge.flow.offload.contender import contender
from models.zoo import network
from reports.pictures.causes import COLOURS, KINDS, kind_of

LLAMA = network("llama-2-7b")
GENERATED = 64
CONTEXT = 2.0**12


def some(*names: str, batches: tuple[int, ...] = BATCHES) -> Comparison:
    return compare(LLAMA, [contender(name) for name in names], CONTEXTS, GENERATED, batches)


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_point_is_the_best_of_its_batches(name: str) -> None:
    """Every batch asked for alone, against the one that the grid took."""
    (line,) = some(name).lines
    place = CONTEXTS.index(CONTEXT)
    rates = {}
    for batch in BATCHES:
        if batch <= line.contender.system.most_sequences:
            asked = Workload(network=LLAMA, prompt=CONTEXT, generated=float(GENERATED), batch=float(batch))
            answer = line.contender.answer(asked)
            if answer.fits:
                rates[batch] = (float(answer.tokens_per_second), answer.binding, float(answer.step.time.value))
    best = max(rates, key=lambda batch: rates[batch][0])
    assert line.batch[place] == best
    assert (line.tokens_per_s[place], line.step_s[place]) == pytest.approx((rates[best][0], rates[best][2]))
    assert line.binding[place] == rates[best][1]


def test_without_room_there_is_no_figure() -> None:
    (line,) = some("gpu-rtx-4090").lines
    last = line.document()
    assert math.isnan(line.tokens_per_s[-1])
    assert last["tokens_per_s"][-1] is None
    assert last["binding"][-1] is None
    assert last["tokens_per_s"][0] > 0


def test_systems_change_places_where_their_lines_cross() -> None:
    compared = some("gpu-a100", "gpu-a100:w2a8kv4:2048", batches=(1,))
    one, other = compared.lines
    gap = one.tokens_per_s - other.tokens_per_s
    turns = np.count_nonzero(np.diff(np.sign(gap[np.isfinite(gap)])))
    assert len(compared.crossovers) == turns


def test_a_crossover_lies_between_its_neighbours() -> None:
    compared = some(*CONTENDERS)
    assert compared.crossovers
    lines = {line.contender.name: line.tokens_per_s for line in compared.lines}
    for each in compared.crossovers:
        left = int(np.searchsorted(CONTEXTS, each.context)) - 1
        before, after = lines[each.before], lines[each.after]
        assert before[left] > after[left]
        assert before[left + 1] < after[left + 1]
        assert CONTEXTS[left] <= each.context <= CONTEXTS[left + 1]


def test_a_system_made_for_one_sequence_is_asked_for_one() -> None:
    (line,) = some("triforce-a100").lines
    assert set(line.batch[np.isfinite(line.batch)]) == {1.0}
    with pytest.raises(SpecError) as refusal:
        some("triforce-a100", batches=(2, 4))
    assert str(refusal.value) == "Batch of triforce-a100 must be at most 1, not 2"


def test_the_same_system_twice_is_refused() -> None:
    with pytest.raises(SpecError) as refusal:
        some("gpu-a100", "gpu-a100")
    assert str(refusal.value) == "Compared systems must differ, not gpu-a100, gpu-a100"


def test_every_cause_has_a_kind_and_a_colour() -> None:
    for line in some(*CONTENDERS).lines:
        asked = Workload(network=LLAMA, prompt=CONTEXT, generated=8.0, batch=1.0)
        for cause in line.contender.answer(asked).whole.charged:
            assert COLOURS[kind_of(cause)]
    assert set(COLOURS) == set(KINDS)
